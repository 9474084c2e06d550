"""The outbound queue over PostgreSQL: enqueue, lease, read. What happens to leases is in `store/sql/queue.py`.

Nodes take due recipients with `FOR UPDATE SKIP LOCKED`, so two of them racing never wait for each other and never
get the same. A lease carries the node that holds it: when a node is gone for good, others give its leases back. All
times in the database are by the database's clock; nodes whose clocks are wrong still agree when a lease ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.store.interface import ChangeQueued, Enqueue, LeaseDue, RecordOutcomes, WakeDestination
from posthouse.store.model import Content, Lease, QueuedMessage, QueuedRecipient, Stored
from posthouse.store.postgres.connection import Connection
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql import queue as shared
from posthouse.store.sql.queue import RECIPIENT, destination_of, recipient_of

PAGE: Final = 8
"""Due recipients looked at for each lease wanted."""
_MESSAGE: Final = (
    "queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at,"
    " ret, envid, smtputf8, body, deliver_by, by_mode, blob_account"
)
_OLDEST: Final = """
SELECT queue_id, destination, due_at FROM queued_recipient
 WHERE due_at <= $1 ORDER BY due_at, queue_id LIMIT $2
"""
_OF_EACH: Final = """
WITH RECURSIVE destinations AS (        -- one step of the index for each destination, however long its backlog
  (SELECT destination FROM queued_recipient ORDER BY destination LIMIT 1)
  UNION ALL
  SELECT (SELECT r.destination FROM queued_recipient r
           WHERE r.destination > d.destination ORDER BY r.destination LIMIT 1)
    FROM destinations d WHERE d.destination IS NOT NULL
)
SELECT due.queue_id, d.destination, min(due.due_at) FROM destinations d
 CROSS JOIN LATERAL (
   SELECT queue_id, due_at FROM queued_recipient r
    WHERE r.destination = d.destination AND r.due_at <= $1
    ORDER BY due_at, queue_id LIMIT $3) AS due
 WHERE d.destination IS NOT NULL AND d.destination <> ALL ($2::text[])
 GROUP BY due.queue_id, d.destination ORDER BY min(due.due_at), due.queue_id LIMIT $4
"""
_TAKE: Final = """
WITH mine AS (
  SELECT r.queue_id, r.recipient_id, w.token FROM queued_recipient r
    JOIN unnest($1::bigint[], $2::text[], $3::bigint[]) AS w (queue_id, destination, token)
      ON r.queue_id = w.queue_id AND r.destination = w.destination
   WHERE r.due_at <= $4 ORDER BY r.queue_id, r.recipient_id FOR UPDATE OF r SKIP LOCKED
)
UPDATE queued_recipient r SET state = 'leased', token = mine.token, holder = $5, due_at = $6
  FROM mine WHERE r.queue_id = mine.queue_id AND r.recipient_id = mine.recipient_id
RETURNING r.queue_id, r.destination, r.token
"""
_ADD_RECIPIENTS: Final = (
    "INSERT INTO queued_recipient SELECT $1, i, address, destination, state, notify, orcpt, 0, next_at, 0, 0,"
    " '', '', '', 0, 0, '', CASE state WHEN 'held' THEN NULL ELSE next_at END"
    " FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"
    " $8::double precision[]) AS new (i, address, destination, state, notify, orcpt, next_at)"
)


def enqueue(tx: Transaction, op: Enqueue) -> int:
    """Enqueue."""
    message = op.message
    content = op.content
    if isinstance(content, Content):
        owner = message.account_id or 0
        blob_id, prefix = tx.blobs.of(owner, content), op.prefix
    else:
        owner, blob_id, prefix = content.account_id, content.blob_id, op.prefix + content.prefix
        known = "SELECT 1 FROM blob WHERE account_id = ? AND blob_id = ? FOR UPDATE"
        if not tx.query(known, (owner, blob_id)):
            raise NotFound("The message is gone.")
        tx.blobs.own(owner, blob_id)
    queue_id = tx.take_numbers("queue")
    tx.execute(
        f"INSERT INTO queued ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (queue_id, message.trace_id, message.reverse_path, message.account_id, blob_id, prefix,
         len(op.prefix) + content.size, message.created_at, message.ret, message.envid, message.smtputf8,
         message.body, message.deliver_by, message.by_mode, owner),
    )  # fmt: skip
    recipients = [
        (i, each.address, destination_of(each.address), "held" if each.held else "waiting", each.notify,
         each.orcpt, each.next_attempt_at + tx.clock_ahead)
        for i, each in enumerate(message.recipients, 1)
    ]  # fmt: skip
    tx.fetch(_ADD_RECIPIENTS, queue_id, *map(list, zip(*recipients, strict=True)))
    tx.destinations_changed({each[2] for each in recipients})
    return queue_id


# --- leases -----------------------------------------------------------------------------------------------


def lease_due(tx: Transaction, op: LeaseDue) -> list[Lease]:
    """LeaseDue. Who holds it is the node, whatever `holder` says."""
    now, until = op.now + tx.clock_ahead, op.until + tx.clock_ahead
    most = min(op.limit, limits.LEASES)
    each = op.per_destination or most
    page = most * PAGE
    found = tx.fetch(_OLDEST, now, page)
    wanted = _chosen(found, op.except_destinations, most, each)
    if len(wanted) < most and len(found) == page:  # a backlog may hide others: a few of each destination
        found = tx.fetch(_OF_EACH, now, sorted(op.except_destinations), each, page)
        wanted = _chosen(found, op.except_destinations, most, each)
    if not wanted:
        return []
    tokens = range(first := tx.take_numbers("lease", len(wanted)), first + len(wanted))
    queue_ids, destinations = map(list, zip(*wanted, strict=True))
    got = tx.fetch(_TAKE, queue_ids, destinations, list(tokens), now, tx.node, until)
    tx.destinations_changed(set(destinations))
    held = {(row[0], row[1]): row[2] for row in got}
    messages = {
        message.queue_id: message
        for message in _messages(
            tx.db, sorted({key[0] for key in held}), sorted(held.values()), tx.clock_ahead
        )
    }
    return [
        Lease(
            message=_narrowed(messages[queue_id], destination),
            destination=destination,
            token=held[queue_id, destination],
            until=op.until,
        )
        for queue_id, destination in wanted
        if (queue_id, destination) in held and queue_id in messages
    ]


def _chosen(
    found: Iterable[tuple[int, str, float]], without: frozenset[str], most: int, each: int
) -> list[tuple[int, str]]:
    """The first (message, destination) of what is due, `most` in all and `each` of a destination."""
    taken: dict[str, int] = {}
    wanted: dict[tuple[int, str], None] = {}
    for queue_id, destination, _ in found:
        key = (queue_id, destination)
        if key in wanted or destination in without or taken.get(destination, 0) >= each:
            continue
        if len(wanted) == most:
            break
        taken[destination] = taken.get(destination, 0) + 1
        wanted[key] = None
    return list(wanted)


def _narrowed(message: QueuedMessage, destination: str) -> QueuedMessage:
    mine = tuple(each for each in message.recipients if each.destination == destination)
    return msgspec.structs.replace(message, recipients=mine)


def release_of(tx: Transaction, nodes: Sequence[str]) -> None:
    """These nodes are gone: what they had leased is due again."""
    shared.waiting_again(tx, "state = 'leased' AND holder = ANY(CAST(? AS text[]))", (list(nodes),))


def record_outcomes(tx: Transaction, op: RecordOutcomes) -> None:
    """RecordOutcomes."""
    outcomes = tuple(
        msgspec.structs.replace(each, next_attempt_at=each.next_attempt_at + tx.clock_ahead)
        for each in op.outcomes
    )
    shared.record_outcomes(tx, msgspec.structs.replace(op, outcomes=outcomes))


def change_queued(tx: Transaction, op: ChangeQueued) -> int:
    """ChangeQueued."""
    return shared.change_queued(tx, msgspec.structs.replace(op, now=op.now + tx.clock_ahead))


def wake_destination(tx: Transaction, op: WakeDestination) -> int:
    """WakeDestination."""
    later_than = None if op.later_than is None else op.later_than + tx.clock_ahead
    ahead = msgspec.structs.replace(op, now=op.now + tx.clock_ahead, later_than=later_than)
    return shared.wake_destination(tx, ahead)


# --- reading --------------------------------------------------------------------------------------------------


def read_messages(reader: Reader, queue_ids: Sequence[int]) -> list[QueuedMessage]:
    """Queued messages by number, with all their recipients."""
    return _messages(reader.db, queue_ids, None, reader.clock_ahead)


def _messages(
    db: Connection, queue_ids: Sequence[int], tokens: Sequence[int] | None, clock_ahead: float
) -> list[QueuedMessage]:
    ids = list(queue_ids)
    rows = db.fetch(
        f"SELECT {_MESSAGE} FROM queued WHERE queue_id = ANY($1::bigint[]) ORDER BY queue_id", ids
    )
    recipients: dict[int, list[QueuedRecipient]] = {}
    wanted = "" if tokens is None else " AND token = ANY($2::bigint[])"
    for queue_id, *row in db.fetch(
        f"SELECT queue_id, {RECIPIENT} FROM queued_recipient WHERE queue_id = ANY($1::bigint[]){wanted}"
        " ORDER BY queue_id, recipient_id",
        ids,
        *([] if tokens is None else [list(tokens)]),
    ):
        each = recipient_of(tuple(row))
        due = msgspec.structs.replace(each, next_attempt_at=each.next_attempt_at - clock_ahead)
        recipients.setdefault(queue_id, []).append(due)
    return [_message(row, recipients.get(row[0], ())) for row in rows]


def _message(row: Any, recipients: Iterable[QueuedRecipient]) -> QueuedMessage:
    (queue_id, trace_id, reverse_path, account_id, blob_id, prefix, size, created_at, ret, envid, smtputf8,
     body, deliver_by, by_mode, owner) = row  # fmt: skip
    return QueuedMessage(
        queue_id=queue_id,
        trace_id=trace_id,
        reverse_path=reverse_path,
        account_id=account_id,
        stored=Stored(blob_id=blob_id, prefix=prefix, size=size, account_id=owner),
        created_at=created_at,
        ret=ret,
        envid=envid,
        smtputf8=bool(smtputf8),
        body=body,
        recipients=tuple(recipients),
        deliver_by=deliver_by,
        by_mode=by_mode,
    )


def read_queue(reader: Reader, destination: str, address: str, after: int, limit: int) -> list[QueuedMessage]:
    """What is queued, by number above `after`."""
    where, bindings = ["queue_id > $1"], [after]  # type: tuple[list[str], list[Any]]
    if destination:
        bindings.append(destination.lower())
        where.append("queue_id IN (SELECT queue_id FROM queued_recipient WHERE destination = $2)")
    if address:
        bindings.append(address)
        which = f"${len(bindings)}"
        where.append(
            f"(reverse_path = {which}"
            f" OR queue_id IN (SELECT queue_id FROM queued_recipient WHERE address = {which}))"
        )
    bindings.append(limit)
    rows = reader.db.fetch(
        f"SELECT queue_id FROM queued WHERE {' AND '.join(where)} ORDER BY queue_id LIMIT ${len(bindings)}",
        *bindings,
    )
    return read_messages(reader, [row[0] for row in rows])


def read_next_due(reader: Reader) -> float | None:
    """The earliest time at which something is due."""
    rows = reader.db.fetch(
        "SELECT due_at FROM queued_recipient WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1"
    )
    return float(rows[0][0]) - reader.clock_ahead if rows else None
