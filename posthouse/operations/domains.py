"""Administration of domains: which are ours, as mailbox host or as backup MX (see `people.py` for the manner)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.errors import Conflict, NotFound
from posthouse.message.address import normalize_domain
from posthouse.store.interface import PutDomain, RememberRecipient, RemoveDomain, Store
from posthouse.store.model import Domain, DomainKind


class DomainRow(msgspec.Struct, frozen=True, kw_only=True):
    """A domain as it is listed."""

    name: str
    kind: str
    catch_all: str
    recipients: str
    quota: int
    """Octets for each account without one of its own; 0: the configured default."""
    accounts: int
    aliases: int
    created_at: int


class Domains:
    """Commands on domains."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self.make_keys: Callable[[str], Awaitable[None]] | None = None
        """Makes the DKIM keys of a new domain."""
        self._store = store
        self._now = now
        self._changing = asyncio.Lock()

    async def domain_add(
        self,
        *,
        name: str,
        backup: bool = False,
        recipients: str = "ask",
        known: tuple[str, ...] = (),
        catch_all: str = "",
        quota: int = 0,
    ) -> DomainRow:
        """Take mail for a domain, for its own mailboxes or as `backup` MX.

        `recipients` (backup): "ask" the primary, or the "list" `known`. Conflict when the domain is here already.
        """
        if name.startswith("["):
            raise ValueError("a domain has a name: addresses in brackets are not served")
        domain = Domain(
            name=normalize_domain(name.rstrip(".")),
            kind=DomainKind.BACKUP if backup else DomainKind.LOCAL,
            catch_all=self._catch_all(catch_all),
            recipients=self._recipients(recipients),
            quota=checked_quota(quota),
            created_at=int(self._now()),
        )
        await self._store.commit(PutDomain(domain=domain, new=True), *self._remember(known))
        if domain.kind is DomainKind.LOCAL and self.make_keys is not None:
            await self.make_keys(domain.name)
        return await self._row(domain)

    async def domain_set(
        self,
        *,
        name: str,
        catch_all: str | None = None,
        recipients: str | None = None,
        known: tuple[str, ...] = (),
        quota: int | None = None,
    ) -> DomainRow:
        """Change a domain; what is None stays. NotFound."""
        # One after the other: what another command has changed meanwhile stays.
        async with self._changing:
            domain = await self.find(name)
            if catch_all is not None:
                domain = msgspec.structs.replace(domain, catch_all=self._catch_all(catch_all))
            if recipients is not None:
                domain = msgspec.structs.replace(domain, recipients=self._recipients(recipients))
            if quota is not None:
                domain = msgspec.structs.replace(domain, quota=checked_quota(quota))
            await self._store.commit(PutDomain(domain=domain), *self._remember(known))
        return await self._row(domain)

    async def domain_list(self) -> list[DomainRow]:
        """All domains, by name."""
        return [await self._row(domain) for domain in await self._store.domains()]

    async def domain_show(self, *, name: str) -> DomainRow:
        """One domain. NotFound."""
        return await self._row(await self.find(name))

    async def domain_remove(self, *, name: str) -> None:
        """Take no more mail for a domain; its aliases go too. NotFound; Conflict while it has accounts."""
        await self._store.apply(RemoveDomain(name=(await self.find(name)).name))

    async def quota(self, address: str) -> int:
        """What the domain of an address gives its accounts; 0: nothing of its own."""
        name = address.rpartition("@")[2]
        return next((domain.quota for domain in await self._store.domains() if domain.name == name), 0)

    async def find(self, name: str) -> Domain:
        """A domain of ours. NotFound."""
        wanted = normalize_domain(name.rstrip("."))
        for domain in await self._store.domains():
            if domain.name == wanted:
                return domain
        raise NotFound(f"no domain {wanted} here; add it with: posthouse domain add {wanted}")

    async def _row(self, domain: Domain) -> DomainRow:
        return DomainRow(
            name=domain.name,
            kind=domain.kind.value,
            catch_all=domain.catch_all,
            recipients=domain.recipients if domain.kind is DomainKind.BACKUP else "",
            quota=domain.quota,
            accounts=len(await self._store.accounts(domain.name)),
            aliases=len(await self._store.aliases(domain.name)),
            created_at=domain.created_at,
        )

    def _catch_all(self, address: str) -> str:
        return normalize_address(address) if address else ""

    def _recipients(self, recipients: str) -> str:
        if recipients not in {"ask", "list"}:
            raise ValueError('recipients of a backup domain are "ask" or "list"')
        return recipients

    def _remember(self, known: tuple[str, ...]) -> list[RememberRecipient]:
        at = int(self._now())
        return [RememberRecipient(address=normalize_address(a), valid=True, at=at) for a in known]

    async def local(self, address: str) -> Domain:
        """The domain of an address that is to be made here. NotFound; Conflict when its mailboxes are elsewhere."""
        domain = await self.find(address.rpartition("@")[2])
        if domain.kind is not DomainKind.LOCAL:
            raise Conflict(f"{domain.name} has its mailboxes elsewhere: we are its backup MX")
        return domain


def checked_quota(octets: int) -> int:
    """The quota as given. ValueError: it can be none."""
    if octets < 0:
        raise ValueError("a quota is not negative")
    if octets > limits.QUOTA:
        raise ValueError(f"a quota is at most {limits.QUOTA} octets; 0 is no quota")
    return octets
