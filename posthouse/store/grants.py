"""Grants: what an account lets others do with its mailboxes and address books (RFC 9670 §4).

A grant is an item of the account that gives it, one for each who gets something; its number is the other's account.
So one look at a key says what somebody may do here, its history goes with the account's, and its mod-sequence stands
in one row with those of the mail that it opens. The other account has an item too, so that it finds who shares with
it; that says nothing about rights, so nobody may rely on it. What rights mean is the protocols' business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from posthouse.store.account_model import Item

KIND: Final = "Grant"
"""The kind of these items."""
RECEIVED: Final = "SharedAccount"
"""The kind of the items by which an account finds those that share with it; its number is the other's account."""


class Share(msgspec.Struct, frozen=True):
    """What somebody may do with one mailbox or address book."""

    rights: tuple[str, ...]
    """In the protocol's words, such as `mayReadItems`; sorted."""
    subscribed: bool = False
    """Whether they want to see it."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one account lets another do."""

    mailboxes: dict[int, Share] = {}
    address_books: dict[int, Share] = {}
    rights_since: int = 0
    """The mod-sequence since when rights are as they are; 0: that of the item."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shared."""
        return not self.mailboxes and not self.address_books


decode: Final = msgspec.json.Decoder(Grant).decode
encode: Final = msgspec.json.encode


def rights_since(item: Item) -> int:
    """The mod-sequence (of the account that gives) since when nobody changed what this grant allows."""
    return decode(item.data).rights_since or item.modseq


def mailboxes_of(rows: Iterable[bytes]) -> frozenset[int]:
    """The mailboxes that any of these grants opens."""
    return frozenset(number for data in rows for number in decode(data).mailboxes)
