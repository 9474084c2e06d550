"""Ids as clients see them (RFC 8620 §1.2) and the store's numbers behind them.

How they are written is in `accounts.object_ids`. Decoding never raises: an id that is none of ours names nothing.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from posthouse.accounts.object_ids import ACCOUNT, EMAIL, MAILBOX, PRINCIPAL, THREAD, encode

__all__ = [
    "ACCOUNT",
    "EMAIL",
    "MAILBOX",
    "PRINCIPAL",
    "THREAD",
    "CreationId",
    "Id",
    "Int",
    "UnsignedInt",
    "decode",
    "encode",
]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[A-Za-z0-9_-]+$")]
"""RFC 8620 §1.2."""
CreationId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[A-Za-z0-9_-]+$")]
UnsignedInt = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""RFC 8620 §1.3."""
Int = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]

_NUMBER = re.compile(r"[A-Za-z](0|[1-9][0-9]{0,18})")


def decode(letter: str, text: str) -> int | None:
    """The number of an id of this kind; None when it is none."""
    if text[:1] != letter or _NUMBER.fullmatch(text) is None:
        return None
    number = int(text[1:])
    return number if number < 2**63 else None
