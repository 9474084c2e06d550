"""Administration of accounts and aliases: one method per command, used by the control socket and the
command line alike. Every change is committed when its method returns, and takes effect at once.

Methods take plain values and give structs. They raise NotFound, Conflict, ValueError (something that cannot be) and
what the store raises. Passwords are hashed in threads; they are never logged or given back, but for a generated app
password, which is shown once.
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncIterator, Callable

import msgspec

from posthouse import limits
from posthouse.accounts.addresses import is_returning, normalize_address
from posthouse.accounts.model import DOORS
from posthouse.accounts.named import named_account
from posthouse.accounts.passwords import (
    SCRAM,
    check_password,
    generate_app_password,
    hash_app_password,
    hash_password,
    is_kept_form,
    make_scram,
)
from posthouse.errors import PosthouseError, Temporary
from posthouse.operations.domains import Domains, checked_quota
from posthouse.operations.listing import AccountLine, read_accounts
from posthouse.store.interface import (
    AddAccount,
    AddAppPassword,
    PutAccount,
    PutAlias,
    RemoveAccount,
    RemoveAlias,
    RemoveAppPassword,
    Store,
)
from posthouse.store.model import Account, Alias


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is listed."""

    address: str
    name: str
    admin: bool
    disabled: bool
    octets: int
    messages: int
    quota: int
    """Octets: its own quota, else its domain's, else the configured one; 0: unlimited."""
    own_quota: int
    """0: it has none of its own."""
    created_at: int


class AppPasswordRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app password as it is listed; the password itself is not known to anybody."""

    id: int
    name: str
    created_at: int
    last_used_at: int


class AccountDetail(AccountRow, frozen=True, kw_only=True):
    """All there is to say of an account."""

    account_id: int
    scram: bool
    aliases: tuple[str, ...]
    app_passwords: tuple[AppPasswordRow, ...]
    mailboxes: tuple[tuple[str, int, int], ...]
    """(name, messages, unseen)."""


class NewAppPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A generated app password; this is the one time that it is seen."""

    id: int
    name: str
    password: str


class AliasRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alias as it is listed."""

    address: str
    targets: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an import that was not taken."""

    line: int
    address: str
    reason: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did."""

    added: int
    refused: tuple[Refused, ...]


class People:
    """Accounts and aliases. `password_hash` and `default_domain` are `[auth]`'s."""

    def __init__(
        self,
        store: Store,
        domains: Domains,
        *,
        password_hash: str,
        default_domain: str,
        default_quota: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._changing = asyncio.Lock()
        self._store = store
        self._domains = domains
        self._password_hash = password_hash
        self._default_domain = default_domain
        self._default_quota = default_quota
        self._now = now

    # --- accounts ------------------------------------------------------------------------------------

    async def account_add(
        self, *, address: str, password: str, name: str = "", quota: int = 0, admin: bool = False
    ) -> AccountRow:
        """Give somebody mailboxes. NotFound: not a domain of ours; Conflict: the address is taken."""
        line = AccountLine(line=0, address=address, password=password, name=name, quota=quota, admin=admin)
        account = await self._store.apply(await self._new_account(line))
        return await self._account_row(account)

    async def _new_account(self, line: AccountLine) -> AddAccount:
        address = await self._own_address(line.address)
        _check_name(line.name)
        if line.hash:
            kept, scram = _given_hash(line)
        else:
            kept, scram = await asyncio.to_thread(self._hash, line.password)
        return AddAccount(
            address=address,
            password=kept,
            scram=scram,
            display_name=line.name,
            quota=checked_quota(line.quota),
            admin=line.admin,
            disabled=line.disabled,
            created_at=int(self._now()),
        )

    async def _own_address(self, text: str) -> str:
        """An address that can be given to somebody: NotFound: not a domain of ours; ValueError: none to write to."""
        address = normalize_address(text)
        await self._domains.local(address)
        if is_returning(address):
            raise ValueError("an address that begins so is for mail that comes back (SRS)")
        if len(address.rpartition("@")[0].encode()) > limits.LOCAL_PART:
            raise ValueError(
                f"before the @ there are more than {limits.LOCAL_PART} octets: no mail would come"
            )
        return address

    def _hash(self, password: str) -> tuple[str, str]:
        """(kept form, SCRAM keys). Slow: in a thread."""
        check_password(password)
        return hash_password(password, self._password_hash), make_scram(password)

    async def account_import(self, *, body: bytes) -> AsyncIterator[Imported]:
        """Add accounts from CSV text (`listing.py`). Lines that cannot be are told, the others are added.

        After each batch how many there are, so that who waits hears something; at the end all. When the store fails in
        the middle, what was added by then is told too, and each line that was not tried.
        """
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise ValueError("the list is not in UTF-8: save it as UTF-8, or “CSV UTF-8”") from fault
        refused: list[Refused] = []
        lines: list[AccountLine] = []
        for item in read_accounts(text):
            if isinstance(item, AccountLine):
                lines.append(item)
            else:
                refused.append(Refused(line=item.line, address="", reason=item.reason))
        added = 0
        for start in range(0, len(lines), limits.IMPORT_BATCH):
            batch = lines[start : start + limits.IMPORT_BATCH]
            outcomes = await asyncio.gather(*map(self._import_line, batch))
            faults = [(line, fault) for line, fault in zip(batch, outcomes, strict=True) if fault is not None]
            refused += [_refused(line, str(fault)) for line, fault in faults]
            added += len(batch) - len(faults)
            if trouble := [fault for _, fault in faults if isinstance(fault, Temporary | OSError)]:
                rest = lines[start + limits.IMPORT_BATCH :]
                refused += [_refused(line, f"not tried after: {trouble[0]}") for line in rest]
                break
            if start + limits.IMPORT_BATCH < len(lines):
                yield Imported(added=added, refused=())
        yield Imported(added=added, refused=tuple(sorted(refused, key=lambda r: r.line)))

    async def _import_line(self, line: AccountLine) -> Exception | None:
        """Add one; what kept it from being added."""
        try:
            await self._store.apply(await self._new_account(line))
        except (PosthouseError, ValueError, OSError) as fault:
            return fault
        return None

    async def account_list(self, *, domain: str = "") -> list[AccountRow]:
        """All accounts, or those of a domain, by address."""
        accounts = await self._store.accounts((await self._domains.find(domain)).name if domain else "")
        return [await self._account_row(account) for account in accounts]

    async def account_show(self, *, address: str) -> AccountDetail:
        """All about one account. NotFound."""
        account = await self._account(address)
        row = await self._account_row(account)
        aliases = [a.address for a in await self._store.aliases() if account.address in a.targets]
        known = await self._store.app_passwords(account.account_id)
        mailboxes = await self._store.mailboxes(account.account_id)
        return AccountDetail(
            **msgspec.structs.asdict(row),
            account_id=account.account_id,
            scram=bool(account.scram),
            aliases=tuple(aliases),
            app_passwords=tuple(
                AppPasswordRow(
                    id=p.app_password_id, name=p.name, created_at=p.created_at, last_used_at=p.last_used_at
                )
                for p in known
            ),
            mailboxes=tuple((m.name, m.total, m.unseen) for m in mailboxes),
        )

    async def account_passwd(self, *, address: str, password: str) -> None:
        """Give an account a new password. NotFound."""
        await self._account(address)
        kept, scram = await asyncio.to_thread(self._hash, password)
        await self._change(address, password=kept, scram=scram)

    async def account_set(
        self,
        *,
        address: str,
        name: str | None = None,
        admin: bool | None = None,
        quota: int | None = None,
        disabled: bool | None = None,
    ) -> AccountRow:
        """Change an account; what is None stays. A disabled one keeps its mail, but nobody can log in. NotFound."""
        wanted = {"display_name": name, "admin": admin, "quota": quota, "disabled": disabled}
        checked_quota(quota or 0)
        _check_name(name or "")
        account = await self._change(address, **{k: v for k, v in wanted.items() if v is not None})
        return await self._account_row(account)

    async def account_remove(self, *, address: str) -> None:
        """Remove an account with all its mail. NotFound."""
        await self._store.apply(RemoveAccount(account_id=(await self._account(address)).account_id))

    async def app_password_add(
        self, *, address: str, name: str, scope: tuple[str, ...] = (), expires_at: int = 0
    ) -> NewAppPassword:
        """Generate a password for one device, for the doors of `scope` (of DOORS; empty: all). NotFound, Conflict."""
        if unknown := sorted(set(scope) - set(DOORS)):
            raise ValueError(f"no such scope: {', '.join(unknown)}; there are {', '.join(DOORS)}")
        _check_name(name)
        account = await self._account(address)
        password = generate_app_password()
        added = await self._store.apply(
            AddAppPassword(
                account_id=account.account_id,
                name=name,
                password=hash_app_password(password),
                created_at=int(self._now()),
                scope=tuple(dict.fromkeys(scope)),
                expires_at=expires_at,
                most=limits.APP_PASSWORDS,
            )
        )
        return NewAppPassword(id=added.app_password_id, name=name, password=password)

    async def app_password_revoke(self, *, address: str, id: int) -> None:
        """End an app password. NotFound."""
        account = await self._account(address)
        await self._store.apply(RemoveAppPassword(account_id=account.account_id, app_password_id=id))

    async def _account(self, address: str) -> Account:
        return await named_account(self._store, address, self._default_domain)

    async def _change(self, address: str, **changes: object) -> Account:
        """Change an account as it is now: what another command has changed meanwhile stays. NotFound."""
        async with self._changing:
            changed = msgspec.structs.replace(await self._account(address), **changes)
            await self._store.apply(PutAccount(account=changed))
        return changed

    async def _account_row(self, account: Account) -> AccountRow:
        usage = await self._store.usage(account.account_id)
        return AccountRow(
            address=account.address,
            name=account.display_name,
            admin=account.admin,
            disabled=account.disabled,
            octets=usage.octets,
            messages=usage.messages,
            quota=account.quota or await self._domains.quota(account.address) or self._default_quota,
            own_quota=account.quota,
            created_at=account.created_at,
        )

    # --- aliases -------------------------------------------------------------------------------------

    async def alias_add(self, *, address: str, targets: tuple[str, ...], replace: bool = False) -> AliasRow:
        """Let an address stand for others. NotFound: not a domain of ours; Conflict: taken; ValueError: a circle."""
        wanted = await self._own_address(address)
        if not targets:
            raise ValueError("an alias stands for at least one address")
        alias = Alias(address=wanted, targets=tuple(dict.fromkeys(map(normalize_address, targets))))
        await self._check_circle(alias)
        await self._store.apply(PutAlias(alias=alias, new=not replace))
        return AliasRow(address=alias.address, targets=alias.targets)

    async def _check_circle(self, alias: Alias) -> None:
        """Raise ValueError when an alias would lead nowhere but to aliases that come back to each other."""
        known = {each.address: each.targets for each in await self._store.aliases("")}
        known[alias.address] = alias.targets
        seen: set[str] = set()
        ahead = [alias.address]
        while ahead:
            address = ahead.pop()
            if address not in known:
                return
            if address not in seen:
                seen.add(address)
                ahead += known[address]
        raise ValueError(f"{alias.address} would lead nowhere: its targets come back to it")

    async def alias_list(self, *, domain: str = "") -> list[AliasRow]:
        """All aliases, or those of a domain, by address."""
        aliases = await self._store.aliases((await self._domains.find(domain)).name if domain else "")
        return [AliasRow(address=alias.address, targets=alias.targets) for alias in aliases]

    async def alias_remove(self, *, address: str) -> None:
        """Remove an alias. NotFound."""
        await self._store.apply(RemoveAlias(address=normalize_address(address)))


def _given_hash(line: AccountLine) -> tuple[str, str]:
    """(kept form, SCRAM keys) of a line with a hash. ValueError."""
    if not is_kept_form(line.hash):
        raise ValueError("the hash is neither argon2 nor scram-sha-256 in PHC form")
    scram = line.hash if line.hash.startswith(SCRAM) else line.scram
    if scram and not (scram.startswith(SCRAM) and is_kept_form(scram)):
        raise ValueError("scram is no scram-sha-256 in PHC form")
    return line.hash, scram.removeprefix(SCRAM)


def _refused(line: AccountLine, reason: str) -> Refused:
    return Refused(line=line.line, address=line.address, reason=reason)


def _check_name(name: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in name):
        raise ValueError("a name is one line of text")
