"""The outbound queue: enqueue, lease, read. What happens to leases afterwards is in `store/sql/queue.py`.

A recipient's `due_at` is when somebody must look at it: its next attempt while it waits, the end of the lease while
it is leased, NULL while it is held. `queue_destination` keeps the earliest of each destination, so that leasing goes
straight to what is due, however long the backlog of another destination is. Leases are fenced: each has a token of
its own, and an outcome with an old token is refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.store.interface import (
    Enqueue,
    LeaseDue,
)
from posthouse.store.model import (
    Content,
    Lease,
    NewRecipient,
    QueuedMessage,
    QueuedRecipient,
    RecipientState,
    Stored,
)
from posthouse.store.sql.queue import RECIPIENT, destination_of, recipient_of, waiting_again
from posthouse.store.sqlite.connection import Connection
from posthouse.store.sqlite.transaction import Transaction

_MESSAGE: Final = (
    "queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at,"
    " ret, envid, smtputf8, body, deliver_by, by_mode"
)


def enqueue(tx: Transaction, op: Enqueue) -> int:
    """Enqueue."""
    tx.refuse_growth()
    message = op.message
    if isinstance(op.content, Content):
        blob_id = tx.blobs.of(0, op.content)
        size = len(op.prefix) + op.content.size
        prefix = op.prefix
    else:
        blob_id = op.content.blob_id
        if not tx.query("SELECT 1 FROM blob WHERE blob_id = ?", (blob_id,)):
            raise NotFound("The message is gone.")
        tx.blobs.own(0, blob_id)
        prefix = op.prefix + op.content.prefix
        size = len(op.prefix) + op.content.size
    queue_id = tx.take_numbers("queue")
    tx.execute(
        f"INSERT INTO queued ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (queue_id, message.trace_id, message.reverse_path, message.account_id, blob_id, prefix, size,
         message.created_at, message.ret, message.envid, message.smtputf8, message.body,
         message.deliver_by, message.by_mode),
    )  # fmt: skip
    for recipient_id, recipient in enumerate(message.recipients, 1):
        _insert_recipient(tx, queue_id, recipient_id, recipient)
    tx.destinations_changed({destination_of(recipient.address) for recipient in message.recipients})
    return queue_id


def _insert_recipient(tx: Transaction, queue_id: int, recipient_id: int, recipient: NewRecipient) -> None:
    state = RecipientState.HELD if recipient.held else RecipientState.WAITING
    tx.execute(
        f"INSERT INTO queued_recipient (queue_id, {RECIPIENT}, token, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, '', '', '', 0, 0, ?)",
        (queue_id, recipient_id, recipient.address, destination_of(recipient.address), state.value,
         recipient.notify, recipient.orcpt, recipient.next_attempt_at,
         None if recipient.held else recipient.next_attempt_at),
    )  # fmt: skip


# --- leases -----------------------------------------------------------------------------------------------


class _Due(msgspec.Struct, order=True, frozen=True):
    """One message's recipients of one destination, by the earliest of them."""

    due_at: float
    queue_id: int
    destination: str


def lease_due(tx: Transaction, op: LeaseDue) -> list[Lease]:
    """LeaseDue."""
    leases: list[Lease] = []
    seen: set[tuple[int, str]] = set()
    touched: dict[str, int] = {}
    for due in _oldest_first(tx, op):
        if len(leases) >= min(op.limit, limits.LEASES):
            break
        if (due.queue_id, due.destination) in seen:
            continue
        if op.per_destination and touched.get(due.destination, 0) >= op.per_destination:
            continue
        seen.add((due.queue_id, due.destination))
        touched[due.destination] = touched.get(due.destination, 0) + 1
        leases.append(_lease(tx, op, due))
    if touched:
        tx.destinations_changed(touched)
    return leases


def _oldest_first(tx: Transaction, op: LeaseDue) -> Iterator[_Due]:
    """Everything due in order of time, without reading more of any destination than is taken."""
    wanted = min(op.limit, limits.LEASES)
    destinations = [
        destination
        for (destination,) in tx.query(
            "SELECT destination FROM queue_destination WHERE due_at <= ? ORDER BY due_at LIMIT ?",
            (op.now, wanted + len(op.except_destinations)),
        )
        if destination not in op.except_destinations
    ]
    return heapq.merge(*(_due_of(tx, destination, op.now) for destination in destinations))


def _due_of(tx: Transaction, destination: str, now: float) -> Iterator[_Due]:
    after, queue_id = -1e18, 0
    while True:
        rows = tx.query(
            "SELECT due_at, queue_id FROM queued_recipient"
            " WHERE destination = ? AND due_at <= ? AND (due_at, queue_id) > (?, ?)"
            " GROUP BY due_at, queue_id ORDER BY due_at, queue_id LIMIT 20",
            (destination, now, after, queue_id),
        )
        for after, queue_id in rows:
            yield _Due(after, queue_id, destination)
        if not rows:
            return


def _lease(tx: Transaction, op: LeaseDue, due: _Due) -> Lease:
    token = tx.take_numbers("lease")
    tx.execute(
        "UPDATE queued_recipient SET state = 'leased', token = ?, due_at = ?"
        " WHERE queue_id = ? AND destination = ? AND due_at <= ?",
        (token, op.until, due.queue_id, due.destination, op.now),
    )
    (message,) = read_messages(tx.db, "queue_id = ?", (due.queue_id,), "token = ?", (token,))
    return Lease(message=message, destination=due.destination, token=token, until=op.until)


def release_all(tx: Transaction) -> None:
    """At the start: whoever held a lease is dead, for only this process opens the store."""
    waiting_again(tx, "state = 'leased'", ())


# --- reading --------------------------------------------------------------------------------------------------


def read_messages(
    db: Connection,
    where: str,
    bindings: tuple[Any, ...],
    recipients_where: str = "1",
    recipients_bindings: tuple[Any, ...] = (),
) -> list[QueuedMessage]:
    """Queued messages that a condition selects, with those recipients that another one selects."""
    found = []
    for row in db.rows(f"SELECT {_MESSAGE} FROM queued WHERE {where}", bindings):
        recipients = db.rows(
            f"SELECT {RECIPIENT} FROM queued_recipient WHERE queue_id = ? AND {recipients_where}",
            (row[0], *recipients_bindings),
        )
        found.append(_message(row, tuple(recipient_of(each) for each in recipients)))
    return found


def _message(row: tuple[Any, ...], recipients: tuple[QueuedRecipient, ...]) -> QueuedMessage:
    (queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at, ret, envid, smtputf8,
     body, deliver_by, by_mode) = row  # fmt: skip
    return QueuedMessage(
        queue_id=queue_id,
        trace_id=trace_id,
        reverse_path=reverse_path,
        account_id=account_id,
        stored=Stored(blob_id=blob_id, prefix=prefix, size=size),
        created_at=created_at,
        ret=ret,
        envid=envid,
        smtputf8=bool(smtputf8),
        body=body,
        recipients=recipients,
        deliver_by=deliver_by,
        by_mode=by_mode,
    )


def read_queue(db: Connection, destination: str, address: str, after: int, limit: int) -> list[QueuedMessage]:
    """What is queued, by number above `after`."""
    where, bindings = "queue_id > ?", (after,)  # type: tuple[str, tuple[Any, ...]]
    if destination:
        where += " AND queue_id IN (SELECT queue_id FROM queued_recipient WHERE destination = ?)"
        bindings += (destination.lower(),)
    if address:
        where += (
            " AND (reverse_path = ? OR queue_id IN (SELECT queue_id FROM queued_recipient WHERE address = ?))"
        )
        bindings += (address, address)
    return read_messages(db, f"{where} ORDER BY queue_id LIMIT ?", (*bindings, limit))


def read_next_due(db: Connection) -> float | None:
    """The earliest time at which something is due."""
    rows = db.rows("SELECT due_at FROM queue_destination WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1")
    return float(rows[0][0]) if rows else None
