"""Operations on the outbound queue: enqueue, lease, record, and an administrator's hand.

A recipient's `due_at` is when somebody must look at it: its next attempt while it waits, the end of the lease while
it is leased, NULL while it is held. `queue_destination` keeps the earliest of each destination, so that leasing goes
straight to what is due, however long the backlog of another destination is. Leases are fenced: each has a token of
its own, and an outcome with an old token is refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.store.interface import (
    ChangeQueued,
    Enqueue,
    LeaseDue,
    RecordOutcomes,
    ReleaseLease,
    WakeDestination,
)
from posthouse.store.memory.changes import QueueChanged
from posthouse.store.model import (
    Content,
    Lease,
    NewRecipient,
    QueuedMessage,
    QueuedRecipient,
    RecipientState,
    Stored,
)
from posthouse.store.sqlite.connection import Connection
from posthouse.store.sqlite.transaction import Transaction

_FINAL: Final = {RecipientState.DELIVERED, RecipientState.FAILED, RecipientState.DROPPED}
_MESSAGE: Final = (
    "queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at,"
    " ret, envid, smtputf8, body"
)
_RECIPIENT: Final = (
    "recipient_id, address, destination, state, notify, orcpt, attempts, next_attempt_at, delay_noticed,"
    " last_at, last_reply, last_host, last_tls, last_attempt"
)


def destination_of(address: str) -> str:
    """The domain by which deliveries are grouped."""
    return address.rpartition("@")[2].lower()


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
        f"INSERT INTO queued ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (queue_id, message.trace_id, message.reverse_path, message.account_id, blob_id, prefix, size,
         message.created_at, message.ret, message.envid, message.smtputf8, message.body),
    )  # fmt: skip
    for recipient_id, recipient in enumerate(message.recipients, 1):
        _insert_recipient(tx, queue_id, recipient_id, recipient)
    _refresh(tx, {destination_of(recipient.address) for recipient in message.recipients})
    return queue_id


def _insert_recipient(tx: Transaction, queue_id: int, recipient_id: int, recipient: NewRecipient) -> None:
    state = RecipientState.HELD if recipient.held else RecipientState.WAITING
    tx.execute(
        f"INSERT INTO queued_recipient (queue_id, {_RECIPIENT}, token, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, '', '', '', 0, 0, ?)",
        (queue_id, recipient_id, recipient.address, destination_of(recipient.address), state.value,
         recipient.notify, recipient.orcpt, recipient.next_attempt_at,
         None if recipient.held else recipient.next_attempt_at),
    )  # fmt: skip


def _refresh(tx: Transaction, destinations: Iterable[str]) -> None:
    """Bring the destinations' earliest times up to date and tell the queue's watchers."""
    for destination in destinations:
        ((rows, due_at),) = tx.query(
            "SELECT EXISTS (SELECT 1 FROM queued_recipient WHERE destination = ?1),"
            " (SELECT due_at FROM queued_recipient WHERE destination = ?1 AND due_at IS NOT NULL"
            "  ORDER BY due_at LIMIT 1)",
            (destination,),
        )
        if rows:
            tx.execute("INSERT OR REPLACE INTO queue_destination VALUES (?, ?)", (destination, due_at))
        else:
            tx.execute("DELETE FROM queue_destination WHERE destination = ?", (destination,))
    tx.publish_once(QueueChanged())


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
        _refresh(tx, touched)
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


def release_lease(tx: Transaction, op: ReleaseLease) -> None:
    """ReleaseLease. An unknown token is no error: the lease is over then anyway."""
    _waiting_again(tx, "queue_id = ? AND token = ? AND state = 'leased'", (op.queue_id, op.token))


def release_all(tx: Transaction) -> None:
    """At the start: whoever held a lease is dead, for only this process opens the store."""
    _waiting_again(tx, "state = 'leased'", ())


def _waiting_again(tx: Transaction, where: str, bindings: tuple[Any, ...]) -> None:
    rows = tx.execute(
        "UPDATE queued_recipient SET state = 'waiting', token = 0, due_at = next_attempt_at"
        f" WHERE {where} RETURNING destination",
        bindings,
    )
    if rows:
        _refresh(tx, {destination for (destination,) in rows})


def record_outcomes(tx: Transaction, op: RecordOutcomes) -> None:
    """RecordOutcomes."""
    leased = dict(
        tx.query(
            "SELECT recipient_id, destination FROM queued_recipient"
            " WHERE queue_id = ? AND token = ? AND state = 'leased'",
            (op.queue_id, op.token),
        )
    )
    if not leased or any(outcome.recipient_id not in leased for outcome in op.outcomes):
        raise Conflict("The lease is over.")
    for outcome in op.outcomes:
        key = (op.queue_id, outcome.recipient_id)
        if outcome.state in _FINAL:
            tx.execute("DELETE FROM queued_recipient WHERE queue_id = ? AND recipient_id = ?", key)
            continue
        held = outcome.state is RecipientState.HELD
        due_at = None if held else outcome.next_attempt_at
        tx.execute(
            "UPDATE queued_recipient SET state = ?, attempts = attempts + ?, next_attempt_at = ?, due_at = ?,"
            " token = 0, delay_noticed = delay_noticed OR ?, last_at = ?, last_reply = ?, last_host = ?,"
            " last_tls = ? WHERE queue_id = ? AND recipient_id = ?",
            ("held" if held else "waiting", outcome.tried, outcome.next_attempt_at, due_at,
             outcome.delay_noticed, outcome.at, outcome.reply, outcome.host, outcome.tls, *key),
        )  # fmt: skip
    _leave_when_done(tx, op.queue_id)
    _refresh(tx, set(leased.values()))


def _leave_when_done(tx: Transaction, queue_id: int) -> None:
    if tx.query("SELECT 1 FROM queued_recipient WHERE queue_id = ? LIMIT 1", (queue_id,)):
        return
    gone = tx.execute("DELETE FROM queued WHERE queue_id = ? RETURNING blob_id", (queue_id,))
    tx.blobs.disown([blob_id for (blob_id,) in gone])


# --- an administrator's hand --------------------------------------------------------------------------------

_BY_HAND: Final = {
    "retry": "state = 'waiting', next_attempt_at = :now, due_at = :now",
    "hold": "state = 'held', due_at = NULL",
    "release": "state = 'waiting', due_at = next_attempt_at",
    "fail": "state = 'waiting', next_attempt_at = :now, due_at = :now, last_attempt = 1",
}


def change_queued(tx: Transaction, op: ChangeQueued) -> int:
    """ChangeQueued."""
    if not tx.query("SELECT 1 FROM queued WHERE queue_id = ?", (op.queue_id,)):
        raise NotFound("There is no such message in the queue.")
    where = "queue_id = :queue AND state IN ('waiting', 'held')"
    bindings = {"queue": op.queue_id, "now": op.now, "one": op.recipient_id}
    if op.recipient_id is not None:
        where += " AND recipient_id = :one"
    if op.action == "release":
        where += " AND state = 'held'"
    tx.flush()
    tx.writes += 1
    statement = (
        f"DELETE FROM queued_recipient WHERE {where} RETURNING destination"
        if op.action == "drop"
        else f"UPDATE queued_recipient SET {_BY_HAND[op.action]} WHERE {where} RETURNING destination"
    )
    rows = tx.db.rows(statement, bindings)
    if op.action == "drop":
        _leave_when_done(tx, op.queue_id)
    _refresh(tx, {destination for (destination,) in rows})
    return len(rows)


def wake_destination(tx: Transaction, op: WakeDestination) -> int:
    """WakeDestination."""
    where = "state = 'waiting' AND due_at > ?"
    bindings: tuple[Any, ...] = (op.now, op.now, op.now)
    if op.destination:
        where += " AND destination = ?"
        bindings += (op.destination.lower(),)
    rows = tx.execute(
        f"UPDATE queued_recipient SET next_attempt_at = ?, due_at = ? WHERE {where} RETURNING destination",
        bindings,
    )
    _refresh(tx, {destination for (destination,) in rows})
    return len(rows)


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
            f"SELECT {_RECIPIENT} FROM queued_recipient WHERE queue_id = ? AND {recipients_where}",
            (row[0], *recipients_bindings),
        )
        found.append(_message(row, tuple(_recipient(each) for each in recipients)))
    return found


def _message(row: tuple[Any, ...], recipients: tuple[QueuedRecipient, ...]) -> QueuedMessage:
    (queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at, ret, envid, smtputf8,
     body) = row  # fmt: skip
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
    )


def _recipient(row: tuple[Any, ...]) -> QueuedRecipient:
    (recipient_id, address, destination, state, notify, orcpt, attempts, next_attempt_at, delay_noticed,
     last_at, last_reply, last_host, last_tls, last_attempt) = row  # fmt: skip
    return QueuedRecipient(
        recipient_id=recipient_id,
        address=address,
        destination=destination,
        state=RecipientState(state),
        notify=notify,
        orcpt=orcpt,
        attempts=attempts,
        next_attempt_at=next_attempt_at,
        delay_noticed=bool(delay_noticed),
        last_at=last_at,
        last_reply=last_reply,
        last_host=last_host,
        last_tls=last_tls,
        last_attempt=bool(last_attempt),
    )


def read_queue(db: Connection, destination: str, address: str, limit: int) -> list[QueuedMessage]:
    """What is queued, oldest first."""
    where, bindings = "1", ()  # type: tuple[str, tuple[Any, ...]]
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
