"""Operations on credentials: sessions, tokens, second factors, passkeys.

A removal or a change is told to everybody at once, because it may close a door; an addition opens nothing that
anybody has looked up before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from posthouse.errors import Conflict, NotFound
from posthouse.store.credentials import (
    COLUMNS,
    AddCredential,
    Credential,
    CredentialKind,
    PruneCredentials,
    PutCredential,
    RemoveCredentials,
    TouchCredential,
)
from posthouse.store.memory.changes import PeopleChanged
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

FACTORS = (CredentialKind.TOTP, CredentialKind.PASSKEY)
"""Kinds whose arrival changes how somebody must log in."""


def add(tx: Transaction, op: AddCredential) -> Credential:
    """AddCredential."""
    tx.refuse_growth()
    tx.account(op.account_id)
    if tx.query("SELECT 1 FROM credential WHERE kind = ? AND key = ?", (op.kind.value, op.key)):
        raise Conflict("That is known already.")
    ((count,),) = tx.query(
        "SELECT count(*) FROM credential WHERE account_id = ? AND kind = ?", (op.account_id, op.kind.value)
    )
    if count >= op.most:
        raise Conflict(f"There are {count} of them already; remove one first.")
    new = Credential(
        credential_id=tx.take_numbers("credential"),
        account_id=op.account_id,
        kind=op.kind,
        key=op.key,
        name=op.name,
        data=op.data,
        created_at=op.created_at,
        expires_at=op.expires_at,
        last_used_at=op.created_at if op.peer else 0,
        last_peer=op.peer,
        agent=op.agent,
    )
    row = (*msgspec.structs.astuple(new)[:2], op.kind.value, *msgspec.structs.astuple(new)[3:])
    tx.execute(f"INSERT INTO credential ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if op.kind in FACTORS:
        tx.publish_once(PeopleChanged())
    return new


def put(tx: Transaction, op: PutCredential) -> None:
    """PutCredential."""
    rows = tx.query(
        "SELECT name, data, last_used_at FROM credential WHERE credential_id = ? AND account_id = ?",
        (op.credential_id, op.account_id),
    )
    if not rows:
        raise NotFound("That is not here any more.")
    name, data, used_at = rows[0]
    if op.before is not None and bytes(data) != op.before:
        raise Conflict("It was used at the same moment.")
    tx.execute(
        "UPDATE credential SET name = ?, data = ?, last_used_at = ? WHERE credential_id = ?",
        (
            name if op.name is None else op.name,
            data if op.data is None else op.data,
            used_at if op.used_at is None else op.used_at,
            op.credential_id,
        ),
    )
    tx.publish_once(PeopleChanged())


def touch(tx: Transaction, op: TouchCredential) -> None:
    """TouchCredential. Nobody is told: whoever looked it up knows it as good."""
    tx.execute(
        "UPDATE credential SET last_used_at = ?, last_peer = ?, expires_at = ? WHERE credential_id = ?",
        (op.at, op.peer, op.expires_at, op.credential_id),
    )


def remove(tx: Transaction, op: RemoveCredentials) -> int:
    """RemoveCredentials."""
    removed = 0
    rows = tx.query("SELECT credential_id, kind FROM credential WHERE account_id = ?", (op.account_id,))
    for credential_id, kind in rows:
        wanted = op.credential_ids is None or credential_id in op.credential_ids
        if wanted and (op.kind is None or kind == op.kind.value) and credential_id != op.but:
            tx.execute("DELETE FROM credential WHERE credential_id = ?", (credential_id,))
            removed += 1
    if removed:
        tx.publish_once(PeopleChanged())
    return removed


def prune(tx: Transaction, op: PruneCredentials) -> int:
    """PruneCredentials."""
    ((count,),) = tx.query(
        "SELECT count(*) FROM credential WHERE expires_at > 0 AND expires_at < ?", (op.before,)
    )
    tx.execute("DELETE FROM credential WHERE expires_at > 0 AND expires_at < ?", (op.before,))
    return int(count)


# --- reading --------------------------------------------------------------------------------------------------


def _read(db: Database, where: str, bindings: tuple[Any, ...]) -> tuple[Credential, ...]:
    rows = db.rows(f"SELECT {COLUMNS} FROM credential WHERE {where} ORDER BY credential_id", bindings)
    return tuple(
        Credential(
            credential_id=number,
            account_id=owner,
            kind=CredentialKind(kind),
            key=bytes(key),
            name=name,
            data=bytes(data),
            created_at=created_at,
            expires_at=expires_at,
            last_used_at=last_used_at,
            last_peer=last_peer,
            agent=agent,
        )
        for (
            number, owner, kind, key, name, data, created_at, expires_at, last_used_at, last_peer, agent,
        ) in rows
    )  # fmt: skip


def read_of_account(db: Database, account_id: int) -> tuple[Credential, ...]:
    """An account's credentials, oldest first."""
    return _read(db, "account_id = ?", (account_id,))


def read_of_accounts(db: Database, account_ids: Sequence[int]) -> tuple[Credential, ...]:
    """The credentials of several accounts."""
    condition, some = db.among("account_id", account_ids)
    return _read(db, condition, (some,))


def read_by_key(db: Database, kind: CredentialKind, key: bytes) -> Credential | None:
    """One credential by its key."""
    return next(iter(_read(db, "kind = ? AND key = ?", (kind.value, key))), None)
