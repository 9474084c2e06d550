"""The `verdict` property of an Email: what the junk filter made of it, and why (docs/trust.md).

An extension of our own beside RFC 8621, given only when `properties` names it: decision, score, every check with its
weight and evidence, facts for the reader's banner, and what would have changed it. null: it was not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from posthouse.jmap.context import Context
from posthouse.jmap.email_extras import Extra


async def read_verdicts(context: Context, account_id: int, numbers: Sequence[int]) -> dict[int, Any]:
    """The kept records of these emails, as they are."""
    kept = await context.store.verdict(account_id, numbers)
    return {
        number: msgspec.json.decode(record)
        for number, record in zip(numbers, kept, strict=True)
        if record is not None
    }


VERDICT: Final = Extra("verdict", read_verdicts)
