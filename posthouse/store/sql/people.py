"""Operations on domains, accounts, aliases, app passwords and a backup's known recipients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from posthouse.errors import Conflict, NotFound
from posthouse.store import grants
from posthouse.store.credentials import Credential, LoginProofs
from posthouse.store.interface import (
    AddAccount,
    AddAppPassword,
    PutAccount,
    PutAlias,
    PutDomain,
    RememberRecipient,
    RemoveAccount,
    RemoveAlias,
    RemoveAppPassword,
    RemoveDomain,
    TouchAppPassword,
)
from posthouse.store.memory.changes import AccountGone, PeopleChanged, RecipientKnown
from posthouse.store.model import Account, Alias, AppPassword, Domain, DomainKind
from posthouse.store.sql import credentials, mailboxes, mailing_lists, remains, trust
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

_ACCOUNT = "account_id, address, display_name, password, scram, quota, disabled, admin, created_at"
_APP_PASSWORD = (
    "app_password_id, account_id, name, password, created_at, last_used_at, scope, expires_at, last_peer"
)


def domain_of(address: str) -> str:
    """The part behind the last @."""
    return address.rpartition("@")[2]


# --- domains --------------------------------------------------------------------------------------------


def put_domain(tx: Transaction, op: PutDomain) -> None:
    """PutDomain."""
    domain = op.domain
    before = tx.query("SELECT quota FROM domain WHERE name = ?", (domain.name,))
    if op.new and before:
        raise Conflict("That domain is here already.")
    tx.execute(
        "INSERT INTO domain VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET kind = excluded.kind,"
        " catch_all = excluded.catch_all, recipients = excluded.recipients,"
        " created_at = excluded.created_at, quota = excluded.quota",
        (
            domain.name,
            domain.kind.value,
            domain.catch_all,
            domain.recipients,
            domain.created_at,
            domain.quota,
        ),
    )
    if before and before[0][0] != domain.quota:
        _give_quota(tx, domain)
    tx.publish_once(PeopleChanged())


def _give_quota(tx: Transaction, domain: Domain) -> None:
    """The quota of a domain is that of its accounts without one, also of those in memory."""
    accounts = tx.query(
        "SELECT account_id FROM account WHERE domain = ? AND quota = 0 ORDER BY account_id", (domain.name,)
    )
    for (account_id,) in accounts:
        state = tx.account(account_id)
        state.quota = domain.quota
        tx.bump(state)  # as put_account does


def remove_domain(tx: Transaction, op: RemoveDomain) -> None:
    """RemoveDomain."""
    if not tx.query("SELECT 1 FROM domain WHERE name = ?", (op.name,)):
        raise NotFound("There is no such domain.")
    if tx.query("SELECT 1 FROM account WHERE domain = ? LIMIT 1", (op.name,)):
        raise Conflict("The domain still has accounts.")
    tx.execute("DELETE FROM alias WHERE domain = ?", (op.name,))
    mailing_lists.forget_domain(tx, op.name)
    trust.forget_domain(tx, op.name)
    tx.execute("DELETE FROM domain WHERE name = ?", (op.name,))
    tx.publish_once(PeopleChanged())


# --- accounts ---------------------------------------------------------------------------------------------


def add_account(tx: Transaction, op: AddAccount) -> Account:
    """AddAccount."""
    tx.refuse_growth()
    refuse_taken_address(tx, op.address)
    need_local_domain(tx, op.address)
    account = Account(
        account_id=tx.take_numbers("account"),
        address=op.address,
        display_name=op.display_name,
        password=op.password,
        scram=op.scram,
        quota=op.quota,
        disabled=op.disabled,
        admin=op.admin,
        created_at=op.created_at,
    )
    _write_account(tx, account)
    state = tx.account(account.account_id)
    for name, role in mailboxes.FIRST_MAILBOXES:
        tx.execute("INSERT INTO subscription VALUES (?, ?)", (account.account_id, name))
        mailboxes.make(tx, state, name, role)
    state.subscriptions = frozenset(name for name, _ in mailboxes.FIRST_MAILBOXES)
    tx.publish_once(PeopleChanged())
    return account


def _write_account(tx: Transaction, account: Account) -> None:
    tx.execute(
        f"INSERT INTO account ({_ACCOUNT}, domain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id) DO UPDATE SET display_name = excluded.display_name,"
        " password = excluded.password, scram = excluded.scram, quota = excluded.quota,"
        " disabled = excluded.disabled, admin = excluded.admin, created_at = excluded.created_at",
        (*msgspec.structs.astuple(account), domain_of(account.address)),
    )


def need_local_domain(tx: Transaction, address: str) -> None:
    """NotFound unless the mailboxes of its domain are here."""
    local = (domain_of(address), DomainKind.LOCAL.value)
    if not tx.query("SELECT 1 FROM domain WHERE name = ? AND kind = ?", local):
        raise NotFound("That domain is not one of ours.")


def refuse_taken_address(tx: Transaction, address: str) -> None:
    """Conflict when somebody has it, or had it as a masked one."""
    tables = ("account", "alias", "masked_address")
    if tx.query(" UNION ".join(f"SELECT 1 FROM {each} WHERE address = ?1" for each in tables), (address,)):
        raise Conflict("That address is in use already.")
    mailing_lists.refuse_list_address(tx, address)


def _domain_quota(tx: Transaction, address: str) -> int:
    found = tx.query("SELECT quota FROM domain WHERE name = ?", (domain_of(address),))
    return int(found[0][0]) if found else 0


def put_account(tx: Transaction, op: PutAccount) -> None:
    """PutAccount."""
    account = op.account
    if not tx.query(
        "SELECT 1 FROM account WHERE account_id = ? AND address = ?", (account.account_id, account.address)
    ):
        raise NotFound("There is no such account.")
    _write_account(tx, account)
    state = tx.account(account.account_id)
    state.quota = account.quota or _domain_quota(tx, account.address)
    tx.bump(state)  # whoever keeps the account's state in memory learns from it that it is another
    tx.publish_once(PeopleChanged())


_OF_ACCOUNT: Final = (
    *("subscription", "keyword", "account_state", "app_password", "credential"),
    *("mailbox_gone", "history", "item_state", "lesson", "memo"),
    "account",
)
"""Tables whose rows go with their account at once; emails and what belongs to them, and long tables, are swept."""


def remove_account(tx: Transaction, op: RemoveAccount) -> None:
    """RemoveAccount. Its mail is out of reach at once; the rows are swept away later."""
    account = tx.account(op.account_id)
    key = (op.account_id,)
    for mailbox_id in account.mailboxes:
        mailboxes.doom(tx, op.account_id, mailbox_id)
    tx.execute(
        "INSERT INTO doomed_mailbox (account_id, mailbox_id, modseq) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        (*key, remains.ACCOUNT),
    )
    # What others look at, whoever's it is: it must not come due, and nobody sees any more what was shared.
    tx.execute(
        "DELETE FROM item WHERE account_id = ? AND (due_at IS NOT NULL OR kind = ?)", (*key, grants.KIND)
    )
    for (address,) in tx.query("SELECT address FROM account WHERE account_id = ?", key):
        mailing_lists.forget_member(tx, address)
    for table in _OF_ACCOUNT:
        tx.execute(f"DELETE FROM {table} WHERE account_id = ?", key)
    tx.forget_account(op.account_id)
    tx.publish(AccountGone(op.account_id))
    tx.publish_once(PeopleChanged())


# --- aliases ------------------------------------------------------------------------------------------------


def put_alias(tx: Transaction, op: PutAlias) -> None:
    """PutAlias."""
    alias = op.alias
    present = tx.query("SELECT 1 FROM alias WHERE address = ?", (alias.address,))
    if op.new or not present:
        refuse_taken_address(tx, alias.address)
    targets = msgspec.json.encode(alias.targets).decode()
    tx.execute(
        "INSERT INTO alias VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET targets = excluded.targets",
        (alias.address, domain_of(alias.address), targets),
    )
    tx.publish_once(PeopleChanged())


def remove_alias(tx: Transaction, op: RemoveAlias) -> None:
    """RemoveAlias."""
    if not tx.query("SELECT 1 FROM alias WHERE address = ?", (op.address,)):
        raise NotFound("There is no such alias.")
    tx.execute("DELETE FROM alias WHERE address = ?", (op.address,))
    tx.publish_once(PeopleChanged())


# --- app passwords --------------------------------------------------------------------------------------------


def add_app_password(tx: Transaction, op: AddAppPassword) -> AppPassword:
    """AddAppPassword."""
    tx.account(op.account_id)
    ((count,),) = tx.query("SELECT count(*) FROM app_password WHERE account_id = ?", (op.account_id,))
    if op.most and count >= op.most:
        raise Conflict(f"This account has {count} app passwords: revoke one first.")
    new = AppPassword(
        app_password_id=tx.take_numbers("app_password"),
        account_id=op.account_id,
        name=op.name,
        password=op.password,
        created_at=op.created_at,
        last_used_at=0,
        scope=op.scope,
        expires_at=op.expires_at,
    )
    row = msgspec.structs.astuple(msgspec.structs.replace(new, scope=",".join(op.scope)))
    tx.execute(f"INSERT INTO app_password ({_APP_PASSWORD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    tx.publish_once(PeopleChanged())
    return new


def remove_app_password(tx: Transaction, op: RemoveAppPassword) -> None:
    """RemoveAppPassword."""
    key = (op.app_password_id, op.account_id)
    if not tx.query("SELECT 1 FROM app_password WHERE app_password_id = ? AND account_id = ?", key):
        raise NotFound("There is no such app password.")
    tx.execute("DELETE FROM app_password WHERE app_password_id = ? AND account_id = ?", key)
    tx.publish_once(PeopleChanged())


def touch_app_password(tx: Transaction, op: TouchAppPassword) -> None:
    """TouchAppPassword. Nobody is told: nothing that decides a login has changed."""
    tx.execute(
        "UPDATE app_password SET last_used_at = ?, last_peer = ? WHERE app_password_id = ?",
        (op.at, op.peer, op.app_password_id),
    )


def remember_recipient(tx: Transaction, op: RememberRecipient) -> None:
    """RememberRecipient."""
    tx.execute(
        "INSERT INTO known_recipient VALUES (?, ?, ?)"
        " ON CONFLICT (address) DO UPDATE SET valid = excluded.valid, at = excluded.at",
        (op.address, op.valid, op.at),
    )
    tx.publish(RecipientKnown(op.address, op.valid, op.at))


# --- reading --------------------------------------------------------------------------------------------------


def read_domains(db: Database) -> tuple[Domain, ...]:
    """All domains, by name."""
    rows = db.rows("SELECT name, kind, catch_all, recipients, created_at, quota FROM domain ORDER BY name")
    return tuple(
        Domain(
            name=name,
            kind=DomainKind(kind),
            catch_all=catch_all,
            recipients=who,
            created_at=created_at,
            quota=quota,
        )
        for name, kind, catch_all, who, created_at, quota in rows
    )


def _accounts(db: Database, where: str, bindings: tuple[Any, ...]) -> tuple[Account, ...]:
    rows = db.rows(f"SELECT {_ACCOUNT} FROM account WHERE {where} ORDER BY address", bindings)
    return tuple(
        Account(
            account_id=account_id,
            address=address,
            display_name=display_name,
            password=password,
            scram=scram,
            quota=quota,
            disabled=bool(disabled),
            admin=bool(admin),
            created_at=created_at,
        )
        for account_id, address, display_name, password, scram, quota, disabled, admin, created_at in rows
    )


def read_accounts(db: Database, domain: str) -> tuple[Account, ...]:
    """All accounts (of a domain), by address."""
    return _accounts(db, "domain = ?", (domain,)) if domain else _accounts(db, "true", ())


def read_account(db: Database, address: str) -> Account | None:
    """One account by its address."""
    return next(iter(_accounts(db, "address = ?", (address,))), None)


def read_account_by_id(db: Database, account_id: int) -> Account | None:
    """One account by its number."""
    return next(iter(_accounts(db, "account_id = ?", (account_id,))), None)


def _aliases(db: Database, where: str, bindings: tuple[Any, ...]) -> tuple[Alias, ...]:
    rows = db.rows(f"SELECT address, targets FROM alias WHERE {where} ORDER BY address", bindings)
    return tuple(
        Alias(address=address, targets=msgspec.json.decode(targets, type=tuple[str, ...]))
        for address, targets in rows
    )


def read_aliases(db: Database, domain: str) -> tuple[Alias, ...]:
    """All aliases (of a domain), by address."""
    return _aliases(db, "domain = ?", (domain,)) if domain else _aliases(db, "true", ())


def read_alias(db: Database, address: str) -> Alias | None:
    """One alias by its address."""
    return next(iter(_aliases(db, "address = ?", (address,))), None)


def read_app_passwords(db: Database, account_id: int) -> tuple[AppPassword, ...]:
    """An account's app passwords, oldest first."""
    return _app_passwords(db, "account_id = ?", (account_id,))


def read_login_proofs(db: Database, account_ids: Sequence[int]) -> dict[int, LoginProofs]:
    """As `Store.login_proofs`."""
    condition, some = db.among("account_id", account_ids)
    with db.snapshot():
        accounts = _accounts(db, condition, (some,))
        app_passwords = _app_passwords(db, condition, (some,))
        held = credentials.read_of_accounts(db, account_ids)
    of_password: dict[int, list[AppPassword]] = {}
    for item in app_passwords:
        of_password.setdefault(item.account_id, []).append(item)
    of_credential: dict[int, list[Credential]] = {}
    for each in held:
        of_credential.setdefault(each.account_id, []).append(each)
    return {
        account.account_id: LoginProofs(
            account=account,
            app_passwords=tuple(of_password.get(account.account_id, ())),
            credentials=tuple(of_credential.get(account.account_id, ())),
        )
        for account in accounts
    }


def _app_passwords(db: Database, where: str, bindings: tuple[Any, ...]) -> tuple[AppPassword, ...]:
    rows = db.rows(
        f"SELECT {_APP_PASSWORD} FROM app_password WHERE {where} ORDER BY app_password_id", bindings
    )
    return tuple(
        AppPassword(
            app_password_id=app_password_id,
            account_id=owner,
            name=name,
            password=password,
            created_at=created_at,
            last_used_at=last_used_at,
            scope=tuple(filter(None, scope.split(","))),
            expires_at=expires_at,
            last_peer=last_peer,
        )
        for app_password_id, owner, name, password, created_at, last_used_at, scope, expires_at, last_peer in rows
    )


def read_known_recipient(db: Database, address: str) -> tuple[bool, int] | None:
    """(valid, when learnt), or None."""
    rows = db.rows("SELECT valid, at FROM known_recipient WHERE address = ?", (address,))
    return (bool(rows[0][0]), rows[0][1]) if rows else None
