"""The addresses of mailing lists: the list's own, and those that go with it.

    team@              posts
    team-owner@        to its owners, as an alias of them (so does team-request@, RFC 2142 §6); has it none, to the
                       domain's postmaster
    team-bounces+…@    what comes back from a member
    team-unsubscribe+…@  a member leaves

Whether a token is good is another's question (`inbound.list_tokens`).
"""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.accounts.addresses import split_tag
from posthouse.accounts.model import Destination, DestinationKind
from posthouse.store.interface import Store
from posthouse.store.mailing_lists import SERVICES, MailingList
from posthouse.store.model import Domain

_FOR_OWNERS: Final = frozenset({"owner", "request"})


class ListAddresses:
    """What an address is to the lists. Keeps what it looked up until `forget`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, MailingList | None] = {}
        self._generation = 0

    def forget(self) -> None:
        """Something changed."""
        self._generation += 1
        self._known.clear()

    async def find(self, plain: str, given: str, domain: Domain) -> Destination | None:
        """What a normalized address is; `given`: as it is written. None: nothing to the lists."""
        local = plain.rpartition("@")[0]
        found = await self._list(plain)
        if found is not None:
            return Destination(kind=DestinationKind.LIST, address=given, domain=domain, mailing_list=found)
        user, tag = split_tag(local)
        name, hyphen, service = user.rpartition("-")
        if not (hyphen and name and service in SERVICES):
            return None
        found = await self._list(f"{name}@{domain.name}")
        if found is None:
            return None
        if service in _FOR_OWNERS:
            kind, owners = DestinationKind.ALIAS, found.owners or (f"postmaster@{domain.name}",)
            return Destination(kind=kind, address=given, domain=domain, tag=tag, targets=owners)
        return Destination(
            kind=DestinationKind.LIST_SERVICE,
            address=given,
            domain=domain,
            tag=tag,
            mailing_list=found,
            service=service,
        )

    async def _list(self, address: str) -> MailingList | None:
        if address in self._known:
            return self._known[address]
        generation = self._generation
        found = await self._store.mailing_list(address)
        if generation == self._generation:
            if len(self._known) >= limits.DIRECTORY_CACHE:
                del self._known[next(iter(self._known))]
            self._known[address] = found
        return found
