"""The `verdict` of an Email: what the junk filter made of it (docs/trust.md). And `caution`: its one word for lists.

Extensions of our own beside RFC 8621, given only when `properties` names them. `verdict`: decision, score, every check
with its weight and evidence, facts for the reader's banner, and what would have changed it. `caution`: the one fact
that a reader should see before opening the message. null: it was not judged, or there is nothing to say.
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


class _Fact(msgspec.Struct):
    fact: str
    value: str = ""


class _Facts(msgspec.Struct):
    """What of a record is looked at for a list's row."""

    facts: tuple[_Fact, ...] = ()


_CAUTIONS: Final = ("look-alike", "not-aligned", "address-in-name", "misleading-link")
"""The worst first. `not-aligned` only where the author's domain says that it did not send this."""


async def read_cautions(context: Context, account_id: int, numbers: Sequence[int]) -> dict[int, Any]:
    """The worst that is to be said of each of these emails, by its fact's name."""
    found = {}
    kept = await context.store.verdict(account_id, numbers)
    for number, record in zip(numbers, kept, strict=True):
        if record is None:
            continue
        facts = msgspec.json.decode(record, type=_Facts).facts
        names = {one.fact for one in facts if one.fact != "not-aligned" or one.value == "failed"}
        found[number] = next((name for name in _CAUTIONS if name in names), None)
    return found


CAUTION: Final = Extra("caution", read_cautions)
VERDICT: Final = Extra("verdict", read_verdicts)
