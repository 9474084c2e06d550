"""Operations on the queue that both engines share: giving back, recording, and an administrator's hand.

A recipient's `due_at` is when somebody must look at it: its next attempt while it waits, the end of the lease while
it is leased, NULL while it is held. Leases are fenced: each has a token of its own, and an outcome with an old token
is refused.
"""

from __future__ import annotations

from typing import Any, Final

from posthouse.errors import Conflict, NotFound
from posthouse.store.interface import ChangeQueued, RecordOutcomes, ReleaseLease, WakeDestination
from posthouse.store.model import QueuedRecipient, RecipientState
from posthouse.store.sql.transaction import Transaction

_FINAL: Final = {RecipientState.DELIVERED, RecipientState.FAILED, RecipientState.DROPPED}
RECIPIENT: Final = (
    "recipient_id, address, destination, state, notify, orcpt, attempts, next_attempt_at, delay_noticed,"
    " last_at, last_reply, last_host, last_tls, last_attempt, rrvs"
)
"""The columns that `recipient_of` reads."""


def destination_of(address: str) -> str:
    """The domain by which deliveries are grouped."""
    return address.rpartition("@")[2].lower()


def release_lease(tx: Transaction, op: ReleaseLease) -> None:
    """ReleaseLease. An unknown token is no error: the lease is over then anyway."""
    waiting_again(tx, "queue_id = ? AND token = ? AND state = 'leased'", (op.queue_id, op.token))


def waiting_again(tx: Transaction, where: str, bindings: tuple[Any, ...]) -> None:
    """Take the leases from what a condition selects."""
    rows = tx.execute(
        f"UPDATE queued_recipient SET state = 'waiting', {tx.unleased}, due_at = next_attempt_at"
        f" WHERE {where} RETURNING destination",
        bindings,
    )
    if rows:
        tx.destinations_changed({destination for (destination,) in rows})


def record_outcomes(tx: Transaction, op: RecordOutcomes) -> None:
    """RecordOutcomes."""
    tx.query(f"SELECT 1 FROM queued WHERE queue_id = ?{tx.locking}", (op.queue_id,))
    leased = dict(
        tx.query(
            "SELECT recipient_id, destination FROM queued_recipient"
            f" WHERE queue_id = ? AND token = ? AND state = 'leased'{tx.locking}",
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
            f" {tx.unleased}, delay_noticed = delay_noticed | ?, last_at = ?, last_reply = ?, last_host = ?,"
            " last_tls = ? WHERE queue_id = ? AND recipient_id = ?",
            ("held" if held else "waiting", outcome.tried, outcome.next_attempt_at, due_at,
             outcome.delay_noticed, outcome.at, outcome.reply, outcome.host, outcome.tls, *key),
        )  # fmt: skip
    _leave_when_done(tx, op.queue_id)
    tx.destinations_changed(set(leased.values()))


def _leave_when_done(tx: Transaction, queue_id: int) -> None:
    if tx.query("SELECT 1 FROM queued_recipient WHERE queue_id = ? LIMIT 1", (queue_id,)):
        return
    tx.remove_queued(queue_id)


# --- an administrator's hand --------------------------------------------------------------------------------

_BY_HAND: Final = {
    "retry": "state = 'waiting', next_attempt_at = ?, due_at = ?",
    "hold": "state = 'held', due_at = NULL",
    "release": "state = 'waiting', due_at = next_attempt_at",
    "fail": "state = 'waiting', next_attempt_at = ?, due_at = ?, last_attempt = 1",
}


def change_queued(tx: Transaction, op: ChangeQueued) -> int:
    """ChangeQueued."""
    if not tx.query(f"SELECT 1 FROM queued WHERE queue_id = ?{tx.locking}", (op.queue_id,)):
        raise NotFound("There is no such message in the queue.")
    change = _BY_HAND.get(op.action, "")
    where, bindings = "queue_id = ? AND state IN ('waiting', 'held')", [op.now] * change.count("?")
    bindings.append(op.queue_id)
    if op.recipient_id is not None:
        where += " AND recipient_id = ?"
        bindings.append(op.recipient_id)
    if op.action == "release":
        where += " AND state = 'held'"
    verb = "DELETE FROM queued_recipient" if op.action == "drop" else f"UPDATE queued_recipient SET {change}"
    rows = tx.execute(f"{verb} WHERE {where} RETURNING destination", bindings)
    if op.action == "drop":
        _leave_when_done(tx, op.queue_id)
    tx.destinations_changed({destination for (destination,) in rows})
    return len(rows)


def wake_destination(tx: Transaction, op: WakeDestination) -> int:
    """WakeDestination."""
    where = "state = 'waiting' AND due_at > ?"
    bindings: tuple[Any, ...] = (op.now, op.now, op.now if op.later_than is None else op.later_than)
    if op.destination:
        where += " AND destination = ?"
        bindings += (op.destination.lower(),)
    rows = tx.execute(
        f"UPDATE queued_recipient SET next_attempt_at = ?, due_at = ? WHERE {where} RETURNING destination",
        bindings,
    )
    tx.destinations_changed({destination for (destination,) in rows})
    return len(rows)


# --- reading --------------------------------------------------------------------------------------------------


def recipient_of(row: tuple[Any, ...]) -> QueuedRecipient:
    """A recipient of a row of RECIPIENT."""
    (recipient_id, address, destination, state, notify, orcpt, attempts, next_attempt_at, delay_noticed,
     last_at, last_reply, last_host, last_tls, last_attempt, rrvs) = row  # fmt: skip
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
        rrvs=rrvs,
    )
