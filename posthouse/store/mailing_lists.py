"""Mailing lists as they are kept: values, operations, and what a store answers about them.

A list is an address of a domain of ours with members here or elsewhere. It shares the addresses with accounts and
aliases: nobody else has its own one, nor those that go with it (`SERVICES`).
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

from posthouse.store.model import Frozen
from posthouse.store.operations import Op

SERVICES: Final = ("owner", "request", "bounces", "unsubscribe")
"""What stands behind the list's name and a hyphen in the addresses that go with it (RFC 2142 §6 for "request")."""


class Posting(enum.StrEnum):
    """Who may post."""

    ANYONE = "anyone"
    MEMBERS = "members"
    """Members and owners."""
    OWNERS = "owners"


class Rewriting(enum.StrEnum):
    """When From becomes the list's address."""

    STRICT = "strict"
    """When the author's domain asks by DMARC to suspect or refuse what does not come from it."""
    ALWAYS = "always"
    NEVER = "never"


class ListMember(Frozen, frozen=True, kw_only=True):
    """One member."""

    address: str
    added_at: int = 0
    bounces: int = 0
    """On how many days copies came back."""
    bounced_at: int = 0
    """When the first one of the last day did; 0: never."""


class MailingList(Frozen, frozen=True, kw_only=True):
    """A list with all its members, by address."""

    address: str
    title: str = ""
    posting: Posting = Posting.MEMBERS
    rewriting: Rewriting = Rewriting.STRICT
    owners: tuple[str, ...] = ()
    created_at: int = 0
    members: tuple[ListMember, ...] = ()


class PutList(Op[None], frozen=True, kw_only=True):
    """Add a list (`new`: Conflict when somebody has one of its addresses) or change one; members stay as they are.

    NotFound: it is not new and is not there.
    """

    mailing_list: MailingList
    new: bool = False


class RemoveList(Op[None], frozen=True, kw_only=True):
    """Remove a list with its members. NotFound."""

    address: str


class AddMembers(Op[int], frozen=True, kw_only=True):
    """Add members; how many were not there. NotFound; Conflict when it would have more than `most`."""

    address: str
    members: tuple[str, ...]
    at: int
    most: int


class RemoveMembers(Op[int], frozen=True, kw_only=True):
    """Remove members; how many were there. NotFound: there is no such list."""

    address: str
    members: tuple[str, ...]


class NoteListBounce(Op[None], frozen=True, kw_only=True):
    """Copies to a member came back, on so many days. Nothing when the member has left."""

    address: str
    member: str
    at: int
    """The day's first."""
    bounces: int


class MailingListStore(Protocol):
    """What a store answers about lists."""

    async def mailing_lists(self, domain: str = "") -> tuple[MailingList, ...]:
        """All lists (of a domain), by address."""
        ...

    async def mailing_list(self, address: str) -> MailingList | None:
        """One list by its address in lower case."""
        ...
