"""Commands on mailing lists and their members. Every change is committed when its method returns.

What can be a list is said here: the name is letters and digits with dots, hyphens and underscores between them, since
it stands in List-Id (RFC 2919 §2) and in links, and is short enough for the addresses that go with it.
"""

from __future__ import annotations

import asyncio
import re
import time
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from posthouse.accounts.addresses import is_returning, normalize_address
from posthouse.accounts.directory import POSTMASTER, REPORTS
from posthouse.errors import NotFound
from posthouse.limits import LIST_MEMBERS, LIST_NAME, LIST_OWNERS, LIST_TITLE
from posthouse.operations.administration import Method
from posthouse.operations.domains import Domains
from posthouse.store.interface import Store
from posthouse.store.mailing_lists import (
    AddMembers,
    MailingList,
    Posting,
    PutList,
    RemoveList,
    RemoveMembers,
    Rewriting,
)

_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_RESERVED: Final = frozenset({POSTMASTER, *REPORTS})


class ListRow(msgspec.Struct, frozen=True, kw_only=True):
    """A mailing list as it is listed."""

    address: str
    title: str
    posting: str
    """Who may post: "anyone", "members", "owners"."""
    rewriting: str
    """When From becomes the list's: "strict" (the author's domain insists on DMARC), "always", "never"."""
    owners: tuple[str, ...]
    members: int
    created_at: int


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a list."""

    address: str
    added_at: int
    bounces: int
    """On how many days its copies came back."""
    bounced_at: int
    """When they did last; 0: never."""


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What became of those who were to be members, or none any more."""

    address: str
    changed: int
    """How many were not there, or were."""
    members: int
    """How many there are now."""


class MailingListDesk:
    """The commands for them."""

    def __init__(self, store: Store, domains: Domains, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._domains = domains
        self._now = now
        self._changing = asyncio.Lock()

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {
            "list.add": self.list_add,
            "list.set": self.list_set,
            "list.list": self.list_list,
            "list.show": self.list_show,
            "list.remove": self.list_remove,
            "list.members": self.list_members,
            "list.join": self.list_join,
            "list.drop": self.list_drop,
        }

    # --- lists ----------------------------------------------------------------------------------------

    async def list_add(
        self,
        *,
        address: str,
        title: str = "",
        posting: str = Posting.MEMBERS.value,
        rewriting: str = Rewriting.STRICT.value,
        owners: tuple[str, ...] = (),
        members: tuple[str, ...] = (),
    ) -> ListRow:
        """Make a list, with its members or not at all.

        NotFound: not a domain of ours; Conflict: one of its addresses is taken, too many members; ValueError.
        """
        wanted = normalize_address(address)
        await self._domains.local(wanted)
        _check_name(wanted)
        made = _changed(
            MailingList(address=wanted, created_at=int(self._now())), title, posting, rewriting, owners
        )
        await self._store.commit(PutList(mailing_list=made, new=True), self._joining(made, members))
        return _row(await self._found(wanted))

    async def list_set(
        self,
        *,
        address: str,
        title: str | None = None,
        posting: str | None = None,
        rewriting: str | None = None,
        owners: tuple[str, ...] | None = None,
    ) -> ListRow:
        """Change a list; what is not given stays. NotFound, ValueError."""
        async with self._changing:
            changed = _changed(await self._found(address), title, posting, rewriting, owners)
            await self._store.apply(PutList(mailing_list=changed))
        return _row(changed)

    async def list_list(self, *, domain: str = "") -> list[ListRow]:
        """All lists, or those of a domain, by address."""
        found = await self._store.mailing_lists((await self._domains.find(domain)).name if domain else "")
        return [_row(each) for each in found]

    async def list_show(self, *, address: str) -> ListRow:
        """One list. NotFound."""
        return _row(await self._found(address))

    async def list_remove(self, *, address: str) -> None:
        """Take a list away, with what is known of its members. NotFound."""
        await self._store.apply(RemoveList(address=normalize_address(address)))

    # --- members --------------------------------------------------------------------------------------

    async def list_members(self, *, address: str) -> list[MemberRow]:
        """All members, by address. NotFound."""
        found = await self._found(address)
        return [
            MemberRow(
                address=one.address, added_at=one.added_at, bounces=one.bounces, bounced_at=one.bounced_at
            )
            for one in found.members
        ]

    async def list_join(self, *, address: str, members: tuple[str, ...]) -> Joined:
        """Make them members, all or none. NotFound; Conflict: too many; ValueError: what cannot be one."""
        found = await self._found(address)
        return await self._joined(found.address, await self._store.apply(self._joining(found, members)))

    def _joining(self, one: MailingList, members: tuple[str, ...]) -> AddMembers:
        wanted = _addresses(members)
        if one.address in wanted:
            raise ValueError("a list is no member of itself")
        return AddMembers(address=one.address, members=wanted, at=int(self._now()), most=LIST_MEMBERS)

    async def list_drop(self, *, address: str, members: tuple[str, ...]) -> Joined:
        """They are members no more. NotFound: there is no such list."""
        found = await self._found(address)
        op = RemoveMembers(address=found.address, members=_addresses(members))
        return await self._joined(found.address, await self._store.apply(op))

    async def _joined(self, address: str, changed: int) -> Joined:
        members = len((await self._found(address)).members)
        return Joined(address=address, changed=changed, members=members)

    async def _found(self, address: str) -> MailingList:
        wanted = normalize_address(address)
        found = await self._store.mailing_list(wanted)
        if found is None:
            raise NotFound(f"no mailing list {wanted}")
        return found


def _row(one: MailingList) -> ListRow:
    return ListRow(
        address=one.address,
        title=one.title,
        posting=one.posting.value,
        rewriting=one.rewriting.value,
        owners=one.owners,
        members=len(one.members),
        created_at=one.created_at,
    )


def _check_name(address: str) -> None:
    """Raise ValueError when a list cannot have this address."""
    local = address.rpartition("@")[0]
    if not _NAME.fullmatch(local) or local in _RESERVED or is_returning(local):
        raise ValueError(
            f"a list cannot be called {local}: a-z, 0-9, and . - _ between them, and nobody's duty"
        )
    if len(local) > LIST_NAME:
        raise ValueError(f"a list's name has at most {LIST_NAME} characters")


def _changed(
    one: MailingList,
    title: str | None,
    posting: str | None,
    rewriting: str | None,
    owners: Iterable[str] | None,
) -> MailingList:
    """With what is given. ValueError."""
    changed = msgspec.structs.replace(
        one,
        title=one.title if title is None else _checked_title(title),
        posting=one.posting if posting is None else Posting(posting),
        rewriting=one.rewriting if rewriting is None else Rewriting(rewriting),
        owners=one.owners if owners is None else _addresses(owners),
    )
    if len(changed.owners) > LIST_OWNERS:
        raise ValueError(f"a list has at most {LIST_OWNERS} owners")
    if changed.posting is Posting.OWNERS and not changed.owners:
        raise ValueError("only its owners may post to the list, but it has none")
    if changed.address in changed.owners:
        raise ValueError("a list is no owner of itself")
    return changed


def _checked_title(title: str) -> str:
    title = title.strip()
    if len(title) > LIST_TITLE:
        raise ValueError(f"a title has at most {LIST_TITLE} characters")
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in title):
        raise ValueError("a title is one line of text")
    return title


def _addresses(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(normalize_address, given)))
