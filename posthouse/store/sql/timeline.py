"""Operations on the timeline: lines in the lives of messages."""

from __future__ import annotations

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.message.address import found_as
from posthouse.store.interface import RecordEvents
from posthouse.store.model import Event
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction


def record(tx: Transaction, op: RecordEvents) -> None:
    """RecordEvents. Dropped silently while the disk is full: a timeline is worth less than the mail it tells of."""
    if len(op.events) > limits.EVENTS_PER_COMMIT:
        raise Conflict("Too many timeline lines at once.")
    if not tx.may_grow:
        return
    first = tx.take_numbers("event", len(op.events))
    for event_id, event in enumerate(op.events, first):
        whom = found_as(event.address)
        tx.add_row("event", (event_id, event.trace_id, event.at, event.kind, whom, event.detail))


def record_added(tx: Transaction, event: Event, uid: int) -> None:
    """The line that goes with a new message, naming its UID."""
    detail = f"{event.detail} uid {uid}"
    whom = found_as(event.address)
    row = (tx.take_numbers("event"), event.trace_id, event.at, event.kind, whom, detail)
    tx.add_row("event", row)


def read_events(
    db: Database, trace_id: str, address: str, limit: int, newest: str = "event_id DESC"
) -> list[Event]:
    """The lines of one message, or the latest about an address, in time order.

    `newest`: how the engine finds the latest ones.
    """
    where = ["trace_id = ?"] * bool(trace_id) + ["address = ?"] * bool(address)
    bindings = [text for text in (trace_id, found_as(address)) if text]
    rows = db.rows(
        f"SELECT trace_id, at, kind, address, detail FROM event WHERE {' AND '.join(where) or 'true'}"
        f" ORDER BY {newest} LIMIT ?",
        (*bindings, limit),
    )
    found = [
        Event(trace_id=trace, at=at, kind=kind, address=whom, detail=detail)
        for trace, at, kind, whom, detail in reversed(rows)
    ]
    return sorted(found, key=lambda event: event.at)
