"""Ids of what others are told about, as JMAP's clients see them (RFC 8620 §1.2) and IMAP's OBJECTID (RFC 8474).

The first letter tells the type, so that an id of one kind is never taken for another.
"""

from __future__ import annotations

from typing import Final

ACCOUNT: Final = "A"
MAILBOX: Final = "F"
EMAIL: Final = "M"
THREAD: Final = "T"
PRINCIPAL: Final = "W"


def encode(letter: str, number: int) -> str:
    """The id of a number."""
    return f"{letter}{number}"
