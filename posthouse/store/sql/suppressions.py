"""Operations on the suppression list: addresses that nothing is sent to."""

from __future__ import annotations

from collections.abc import Sequence

from posthouse.errors import NotFound
from posthouse.store.care import ForgetRefusals, NoteRefusal, PutSuppression, RemoveSuppression
from posthouse.store.model import Suppression
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

_COLUMNS = "address, active, reason, failures, at"
_AT_ONCE = 500
"""Addresses of one statement: engines bound how many bindings it may have."""


def put(tx: Transaction, op: PutSuppression) -> None:
    """PutSuppression."""
    tx.refuse_growth()
    _write(tx, op.suppression)


def _write(tx: Transaction, one: Suppression) -> None:
    tx.execute(
        f"INSERT INTO suppression ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET"
        " active = excluded.active, reason = excluded.reason, failures = excluded.failures, at = excluded.at",
        (one.address, int(one.active), one.reason, one.failures, one.at),
    )


def remove(tx: Transaction, op: RemoveSuppression) -> None:
    """RemoveSuppression."""
    if not tx.query("SELECT 1 FROM suppression WHERE address = ?", (op.address,)):
        raise NotFound(f"{op.address} is not on the suppression list.")
    tx.execute("DELETE FROM suppression WHERE address = ?", (op.address,))


def note_refusal(tx: Transaction, op: NoteRefusal) -> None:
    """NoteRefusal."""
    if not tx.may_grow:
        return
    known = tx.query("SELECT active, failures FROM suppression WHERE address = ?", (op.address,))
    if known and known[0][0]:
        return
    failures = known[0][1] + 1 if known else 1
    active = bool(op.after) and failures >= op.after
    _write(tx, Suppression(address=op.address, active=active, reason=op.reply, failures=failures, at=op.at))


def forget_refusals(tx: Transaction, op: ForgetRefusals) -> None:
    """ForgetRefusals."""
    for address in op.addresses:
        tx.execute("DELETE FROM suppression WHERE address = ? AND active = 0", (address,))


def read_all(db: Database, limit: int) -> list[Suppression]:
    """The list with suggestions, by address."""
    return _suppressions(db, "1 = 1", (), limit)


def read_some(db: Database, addresses: Sequence[str]) -> list[Suppression]:
    """What is known of some addresses."""
    found: list[Suppression] = []
    for start in range(0, len(addresses), _AT_ONCE):
        some = addresses[start : start + _AT_ONCE]
        found += _suppressions(db, f"address IN ({', '.join('?' * len(some))})", tuple(some), len(some))
    return found


def _suppressions(db: Database, where: str, bindings: tuple[str, ...], limit: int) -> list[Suppression]:
    rows = db.rows(
        f"SELECT {_COLUMNS} FROM suppression WHERE {where} ORDER BY address LIMIT ?", (*bindings, limit)
    )
    return [
        Suppression(address=address, active=bool(active), reason=reason, failures=failures, at=at)
        for address, active, reason, failures, at in rows
    ]
