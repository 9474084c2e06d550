"""Ids as clients see them (RFC 8620 §1.2) and the store's numbers behind them.

The first letter tells the type, so that an id of one kind is never taken for another. IMAP's OBJECTID
(RFC 8474) shows the same ids. Decoding never raises: an id that is none of ours names nothing.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[A-Za-z0-9_-]+$")]
"""RFC 8620 §1.2."""
CreationId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[A-Za-z0-9_-]+$")]
UnsignedInt = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""RFC 8620 §1.3."""
Int = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]

ACCOUNT: Final = "A"
MAILBOX: Final = "F"
EMAIL: Final = "M"
THREAD: Final = "T"
PRINCIPAL: Final = "W"

_NUMBER = re.compile(r"[A-Za-z](0|[1-9][0-9]{0,18})")


def encode(letter: str, number: int) -> str:
    """The id of a number."""
    return f"{letter}{number}"


def decode(letter: str, text: str) -> int | None:
    """The number of an id of this kind; None when it is none."""
    if text[:1] != letter or _NUMBER.fullmatch(text) is None:
        return None
    number = int(text[1:])
    return number if number < 2**63 else None
