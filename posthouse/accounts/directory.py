"""The directory: what an address is, where its mail goes, who may log in and send as whom.

Everything looked up is kept in memory and dropped on `Store.watch_people`, so a known address is answered without
suspending. The answer about a person is never older than the last committed change. Aliases are followed at most
ALIAS_DEPTH deep and loops are cut (RFC 5321 §3.9.1). `authenticate` and its kin are in `logins.py`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from posthouse import limits
from posthouse.accounts.addresses import is_returning, normalize_address, normalize_login, split_tag
from posthouse.accounts.bearers import Bearers, by_bearer
from posthouse.accounts.factors import is_second_factor
from posthouse.accounts.last_used import LastUsed
from posthouse.accounts.list_addresses import ListAddresses
from posthouse.accounts.logins import Clock, Logins
from posthouse.accounts.model import Destination, DestinationKind, Login, LoginFailed
from posthouse.accounts.open_logins import OpenLogins
from posthouse.accounts.throttle import peer_key, stand_in
from posthouse.errors import Permanent
from posthouse.sasl.model import ScramKeys
from posthouse.store.credentials import Credential, live
from posthouse.store.interface import Store
from posthouse.store.masked_model import Takes
from posthouse.store.model import Account, Alias, AppPassword, Domain, DomainKind

K = TypeVar("K")
V = TypeVar("V")
POSTMASTER = "postmaster"
DMARC_REPORTS = "dmarc-reports"
TLS_REPORTS = "tls-reports"
REPORTS = frozenset({DMARC_REPORTS, TLS_REPORTS})
"""Local parts at which reports are read, in every domain whose mailboxes are here, unless somebody has them."""


class Directory:
    """Answers questions about people. One per process; `close` ends it."""

    def __init__(
        self,
        store: Store,
        *,
        default_domain: str = "",
        default_quota: int = 0,
        password_hash: str = "argon2id",
        secret: bytes = b"",
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`default_quota`: octets, 0 for none; `secret`: 32 octets kept over restarts (else made anew)."""
        self._store = store
        self.default_domain = default_domain
        self.default_quota = default_quota
        self._wall = wall
        self.bearers = Bearers(store, wall)
        self.open_logins = OpenLogins(store, wall)
        self._logins = Logins(
            self, scheme=password_hash, secret=secret or secrets.token_bytes(32), clock=clock
        )
        self._generation = 0
        self._domains: dict[str, Domain] | None = None
        self._accounts: dict[str, Account | None] = {}
        self._aliases: dict[str, Alias | None] = {}
        self._destinations: dict[str, Destination] = {}
        self._app_passwords: dict[int, tuple[AppPassword, ...]] = {}
        self._credentials: dict[int, tuple[Credential, ...]] = {}
        self._administrators: tuple[int, ...] | None = None
        self._lists = ListAddresses(store)
        self._last_used = LastUsed(store)
        self._unwatch = store.watch_people(self.forget)

    def forget(self) -> None:
        """Drop everything that was looked up; answers on their way from the store are not kept either."""
        self._generation += 1
        self._domains = self._administrators = None
        for cache in (self._accounts, self._aliases, self._destinations, self._app_passwords):
            cache.clear()
        self._credentials.clear()
        self._lists.forget()

    def close(self) -> None:
        """Stop watching the store; let the password threads go."""
        self._unwatch()
        self.bearers.close()
        self.open_logins.close()
        self._logins.close()

    def share_failures(
        self,
        tell: Callable[[str, tuple[str, ...]], None],
        hear: Callable[[str, Callable[[tuple[str, ...]], None]], None],
    ) -> None:
        """Count the failed logins of other nodes too, and tell them ours."""
        self._logins.tell = lambda *words: tell("login", words)
        hear("login", lambda words: self._logins.heard(*words))

    def prepare(self) -> None:
        """Do the slow preparations of logging in. Blocks; call it from a thread at the start."""
        self._logins.prepare()

    # --- where mail goes -----------------------------------------------------------------------------

    async def destination(self, address: str) -> Destination:
        """What an envelope recipient is to us. Never raises for a strange address: that is UNKNOWN or REMOTE."""
        found = self._destinations.get(address)
        if found is not None:
            return found
        generation = self._generation
        found = await self._find(address)
        if found.kind is not DestinationKind.REMOTE:
            self._keep(self._destinations, address, found, generation)
        return found

    async def _find(self, address: str) -> Destination:
        if address.casefold() == POSTMASTER:
            # RFC 5321 §4.5.1: <Postmaster> without a domain is a mailbox of every host that takes mail.
            return await self._postmaster(Destination(kind=DestinationKind.UNKNOWN, address=address))
        try:
            plain = normalize_address(address)
        except ValueError:
            remote = address.endswith("]")  # an address literal (RFC 5321 §4.1.3)
            kind = DestinationKind.REMOTE if remote else DestinationKind.UNKNOWN
            return Destination(kind=kind, address=address)
        local, _, name = plain.rpartition("@")
        given = f"{address.rpartition('@')[0]}@{name}"
        domain = await self.domain(name)
        if domain is None:
            return Destination(kind=DestinationKind.REMOTE, address=given)
        if domain.kind is DomainKind.BACKUP or is_returning(local):
            kind = DestinationKind.BACKUP if domain.kind is DomainKind.BACKUP else DestinationKind.RETURNING
            return Destination(kind=kind, address=given, domain=domain)
        user, tag = split_tag(local)
        for candidate, detail in ((plain, ""), (f"{user}@{name}", tag)) if tag else ((plain, ""),):
            found = await self._exactly(candidate, given, domain, detail)
            if found is not None:
                return found
        found = await self._lists.find(plain, given, domain)
        if found is not None:
            return found
        unknown = Destination(kind=DestinationKind.UNKNOWN, address=given, domain=domain)
        if user in REPORTS:
            return Destination(kind=DestinationKind.REPORTS, address=given, domain=domain)
        if domain.catch_all:
            return await self._catch_all(domain, unknown)
        return await self._postmaster(unknown) if local == POSTMASTER else unknown

    async def _exactly(self, plain: str, given: str, domain: Domain, tag: str) -> Destination | None:
        """An account, an alias or a masked address of exactly this spelling."""
        account = await self.account(plain)
        if account is not None:
            kind = DestinationKind.MAILBOX
            return Destination(kind=kind, address=given, domain=domain, account=account, tag=tag)
        alias = await self._alias(plain)
        if alias is not None:
            kind = DestinationKind.ALIAS
            return Destination(kind=kind, address=given, domain=domain, tag=tag, targets=alias.targets)
        masked = await self._store.masked_address(plain)
        if masked is None:
            return None
        owner = await self._store.account_by_id(masked.account_id)
        if owner is None or masked.takes is Takes.NOWHERE:
            # Once given it is nobody's: no catch-all gets what its owner does not want any more.
            return Destination(kind=DestinationKind.UNKNOWN, address=given, domain=domain)
        kind = DestinationKind.MAILBOX
        return Destination(kind=kind, address=given, domain=domain, account=owner, tag=tag, masked=masked)

    async def _catch_all(self, domain: Domain, unknown: Destination) -> Destination:
        """Mail for nobody in particular goes to the domain's collector, which may be anywhere."""
        try:
            plain = normalize_address(domain.catch_all)
        except ValueError:
            return unknown
        found = await self._exactly(plain, unknown.address, domain, "")
        if found is not None:
            return found
        if await self.domain(plain.rpartition("@")[2]) is not None:
            return unknown  # the collector is gone
        return Destination(
            kind=DestinationKind.ALIAS, address=unknown.address, domain=domain, targets=(plain,)
        )

    async def _postmaster(self, unknown: Destination) -> Destination:
        """RFC 5321 §4.5.1: every domain has a postmaster: an administrator, of this domain when there is one."""
        name = unknown.domain.name if unknown.domain is not None else ""
        accounts = [a for a in await self._store.accounts() if not a.disabled]
        accounts.sort(key=lambda a: (not a.admin, a.address.rpartition("@")[2] != name, a.account_id))
        if not accounts:
            return unknown
        return Destination(
            kind=DestinationKind.MAILBOX,
            address=unknown.address,
            domain=unknown.domain,
            account=accounts[0],
        )

    async def expand(self, address: str) -> tuple[Destination, ...]:
        """Every final destination of an address, aliases followed, each once, in order.

        A loop, or a nest deeper than ALIAS_DEPTH, ends where it is found. Raises Permanent when an address stands
        for more than ALIAS_TARGETS.
        """
        final: dict[str, Destination] = {}
        seen = {address}
        level = [await self.destination(address)]
        for _ in range(limits.ALIAS_DEPTH + 1):
            below: list[Destination] = []
            for destination in level:
                if destination.kind is not DestinationKind.ALIAS:
                    final.setdefault(destination.identity, destination)
                    continue
                for target in destination.targets:
                    if target not in seen:
                        seen.add(target)
                        below.append(await self.destination(target))
            if len(seen) > limits.ALIAS_TARGETS:
                raise Permanent("this address stands for too many others")
            if not below:
                break
            level = below
        return tuple(final.values())

    # --- people --------------------------------------------------------------------------------------

    async def domain(self, name: str) -> Domain | None:
        """A domain of ours by its lower case A-label name."""
        domains = self._domains
        if domains is None:
            generation = self._generation
            domains = {domain.name: domain for domain in await self._store.domains()}
            if generation == self._generation:
                self._domains = domains
        return domains.get(name)

    async def is_backup(self, name: str) -> bool:
        """Whether we are a backup MX for a domain."""
        domain = await self.domain(name)
        return domain is not None and domain.kind is DomainKind.BACKUP

    async def account(self, address: str) -> Account | None:
        """An account by its normalized address."""
        try:
            return self._accounts[address]
        except KeyError:
            generation = self._generation
            account = await self._store.account(address)
            self._keep(self._accounts, address, account, generation)
            return account

    async def administrators(self) -> tuple[int, ...]:
        """The accounts of those who look after the house, ascending."""
        if self._administrators is not None:
            return self._administrators
        generation = self._generation
        found = tuple(sorted(each.account_id for each in await self._store.accounts() if each.admin))
        self._administrators = found if generation == self._generation else None
        return found

    async def _alias(self, address: str) -> Alias | None:
        try:
            return self._aliases[address]
        except KeyError:
            generation = self._generation
            alias = await self._store.alias(address)
            self._keep(self._aliases, address, alias, generation)
            return alias

    def _keep(self, cache: dict[K, V], key: K, value: V, generation: int) -> None:
        if generation != self._generation:
            return  # something changed while the store was asked
        if len(cache) >= limits.DIRECTORY_CACHE:
            del cache[next(iter(cache))]
        cache[key] = value

    async def may_send_as(self, account: Account, address: str) -> bool:
        """Whether mail for the address reaches this account: its own, its +tags, aliases and catch-alls."""
        destination = await self.destination(address)
        if destination.kind is DestinationKind.MAILBOX:
            return destination.account is not None and destination.account.account_id == account.account_id
        if destination.kind is not DestinationKind.ALIAS:
            return False
        try:
            reached = await self.expand(address)
        except Permanent:
            return False
        return any(d.account is not None and d.account.account_id == account.account_id for d in reached)

    async def quota(self, account: Account) -> int:
        """Octets the account may hold: its own quota, else its domain's, else the configured one; 0: unlimited."""
        if account.quota:
            return account.quota
        domain = await self.domain(account.address.rpartition("@")[2])
        return (domain.quota if domain is not None else 0) or self.default_quota

    async def room(self, account: Account) -> int | None:
        """Octets left in the account's quota, never below 0; None: unlimited."""
        quota = await self.quota(account)
        if not quota:
            return None
        usage = await self._store.usage(account.account_id)
        return max(0, quota - usage.octets)

    # --- logging in ----------------------------------------------------------------------------------

    async def authenticate(
        self, login: str, password: str, peer: str, mechanism: str = "PLAIN", door: str = "imap"
    ) -> Login:
        """Prove an identity by password or app password; `peer` is the client's address, `door` one of DOORS.

        With an empty `door` (the login page) app passwords are not taken, and a second factor may be still to come;
        then `succeeded` is to be called.

        Raises LoginFailed (after a delay when it is not the first time), LoginDelayed, or what the store raises.
        """
        return await self._logins.authenticate(login, password, peer, mechanism, door)

    def admit(self, login: str, peer: str) -> None:
        """Raise LoginDelayed when this name or address has failed too often."""
        self._logins.admit(login, peer_key(peer))

    async def scram_keys(self, login: str) -> ScramKeys:
        """The SCRAM keys of a login name, or a stable fake for an unknown one."""
        return await self._logins.scram_keys(login)

    async def proved(self, login: str, peer: str, mechanism: str, door: str, keys: ScramKeys) -> Login:
        """The identity that a SASL exchange with these keys has proved. LoginFailed, LoginDelayed."""
        return await self._logins.proved(login, peer, mechanism, door, keys)

    async def refused(self, login: str, peer: str) -> None:
        """Note a failed SASL exchange; raises LoginFailed or LoginDelayed."""
        await self._logins.refused(login, peer)

    def succeeded(self, account: Account, peer: str) -> None:
        """The second proof that `authenticate` left to its caller has come: failures are forgiven."""
        self._logins.succeeded(account.address, peer_key(peer))

    async def with_token(self, login: str, token: str, peer: str, mechanism: str, door: str) -> Login:
        """The identity that a bearer token proves at a door; `login`: whose it is said to be, or empty.

        LoginFailed, LoginDelayed.
        """
        name = login or stand_in(peer)
        self.admit(name, peer)
        found = await self.bearers.token(token, peer, door)
        if found is None or (login and not await self._is_login_of(login, found.account)):
            await self.refused(name, peer)
            raise LoginFailed("the token is not good")
        return by_bearer(found, mechanism)

    async def _is_login_of(self, login: str, account: Account) -> bool:
        _, named = await self.login_account(login)
        return named is not None and named.account_id == account.account_id

    async def login_account(self, login: str) -> tuple[str, Account | None]:
        """(normalized login name, its account)."""
        try:
            name = normalize_login(login, self.default_domain)
        except ValueError:
            return login[: limits.LOGIN_OCTETS].casefold(), None
        return name, await self.account(name)

    async def app_passwords(self, account: Account) -> tuple[AppPassword, ...]:
        """An account's app passwords that have not ended."""
        known = self._app_passwords.get(account.account_id)
        if known is None:
            generation = self._generation
            known = await self._store.app_passwords(account.account_id)
            self._keep(self._app_passwords, account.account_id, known, generation)
        now = self._wall()
        return tuple(item for item in known if not item.expires_at or item.expires_at > now)

    async def credentials(self, account: Account) -> tuple[Credential, ...]:
        """An account's sessions, tokens, second factors and passkeys that have not ended."""
        known = self._credentials.get(account.account_id)
        if known is None:
            generation = self._generation
            known = await self._store.credentials(account.account_id)
            self._keep(self._credentials, account.account_id, known, generation)
        now = self._wall()
        return tuple(item for item in known if live(item, now))

    async def second_factor(self, account: Account) -> bool:
        """Whether the account's password alone is not enough."""
        return any(is_second_factor(item) for item in await self.credentials(account))

    def app_password_used(self, used: AppPassword, peer: str) -> None:
        """Note the use in the background."""
        self._last_used.note(used, peer, self._wall())
