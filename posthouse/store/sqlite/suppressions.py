"""Operations on the suppression list: addresses that nothing is sent to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse.errors import NotFound
from posthouse.store.interface import ForgetRefusals, NoteRefusal, PutSuppression, RemoveSuppression
from posthouse.store.model import Suppression
from posthouse.store.sqlite.connection import Connection
from posthouse.store.sqlite.transaction import Transaction


def put(tx: Transaction, op: PutSuppression) -> None:
    """PutSuppression."""
    tx.refuse_growth()
    _write(tx, op.suppression)


def _write(tx: Transaction, suppression: Suppression) -> None:
    tx.execute(
        "INSERT OR REPLACE INTO suppression VALUES (?, ?, ?, ?, ?)",
        (
            suppression.address,
            int(suppression.active),
            suppression.reason,
            suppression.failures,
            suppression.at,
        ),
    )


def remove(tx: Transaction, op: RemoveSuppression) -> None:
    """RemoveSuppression."""
    if not tx.execute("DELETE FROM suppression WHERE address = ? RETURNING 1", (op.address,)):
        raise NotFound(f"{op.address} is not on the suppression list.")


def note_refusal(tx: Transaction, op: NoteRefusal) -> None:
    """NoteRefusal."""
    if not tx.may_grow:
        return
    known = read(tx.db, [op.address], 1)
    if known and known[0].active:
        return
    failures = known[0].failures + 1 if known else 1
    active = bool(op.after) and failures >= op.after
    _write(
        tx,
        Suppression(address=op.address, active=active, reason=op.reply, failures=failures, at=op.at),
    )


def forget_refusals(tx: Transaction, op: ForgetRefusals) -> None:
    """ForgetRefusals."""
    for address in op.addresses:
        tx.execute("DELETE FROM suppression WHERE address = ? AND NOT active", (address,))


def read(db: Connection, addresses: Sequence[str] | None, limit: int) -> list[Suppression]:
    """The list by address, or what is known of some addresses."""
    where, bindings = "1", ()  # type: tuple[str, tuple[str, ...]]
    if addresses is not None:
        where = "address IN (SELECT value FROM json_each(?))"
        bindings = (msgspec.json.encode(addresses).decode(),)
        limit = len(addresses)
    rows = db.rows(
        f"SELECT address, active, reason, failures, at FROM suppression WHERE {where} ORDER BY address LIMIT ?",
        (*bindings, limit),
    )
    return [
        Suppression(address=address, active=bool(active), reason=reason, failures=failures, at=at)
        for address, active, reason, failures, at in rows
    ]
