"""Masked addresses: more addresses of one account, each made for one site and thrown away alone.

What its owner sees of one is an item of the account (KIND), so that it has a history; who gets its mail is a row of the
directory, which stays for ever. The operations (`masked.py`) keep the two together.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from posthouse.store.model import Frozen

KIND: Final = "MaskedEmail"
"""The kind of its items."""


class MaskedState(enum.Enum):
    """What becomes of its mail, in the words of JMAP's extension."""

    PENDING = "pending"
    """Made for a form that may never be sent: the first mail makes it `enabled`, without one it goes."""
    ENABLED = "enabled"
    DISABLED = "disabled"
    """Its mail goes to Trash."""
    DELETED = "deleted"
    """Its mail is refused; its owner may take it into use again."""


class Takes(enum.Enum):
    """Where the mail of an address goes."""

    INBOX = "inbox"
    TRASH = "trash"
    NOWHERE = "nowhere"


TAKES: Final = {
    MaskedState.PENDING: Takes.INBOX,
    MaskedState.ENABLED: Takes.INBOX,
    MaskedState.DISABLED: Takes.TRASH,
    MaskedState.DELETED: Takes.NOWHERE,
}


class Masked(Frozen, frozen=True, kw_only=True, rename="camel"):
    """An item's data. Times are POSIX seconds."""

    email: str
    state: MaskedState
    for_domain: str = ""
    description: str = ""
    url: str | None = None
    created_by: str = ""
    created_at: int
    last_message_at: int | None = None

    def encoded(self) -> bytes:
        """As it is kept."""
        return msgspec.json.encode(self)


def decode(data: bytes) -> Masked:
    """An item's data."""
    return msgspec.json.decode(data, type=Masked)


class MaskedAddress(Frozen, frozen=True, kw_only=True):
    """What whoever brings mail must know of one."""

    address: str
    account_id: int
    item_id: int
    takes: Takes
