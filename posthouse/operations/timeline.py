"""The life of a message as lines for people: what came in, what was checked, where it went, every reply.

Events are written where things happen (inbound, outbound); here they are only found and grouped by message.
"""

from __future__ import annotations

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.store.interface import Store
from posthouse.store.model import Event


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    at: float
    kind: str
    address: str
    detail: str


class Moment(EventRow, frozen=True, kw_only=True):
    """A line with the message it belongs to."""

    trace_id: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One message's lines, in time order."""

    trace_id: str
    events: tuple[EventRow, ...]


class Timeline:
    """Finds stories."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def message_log(self, *, what: str, messages: int = limits.TIMELINE_MESSAGES) -> list[Story]:
        """The story of one message by its id, or the latest ones that concern an address, oldest first. NotFound."""
        if "@" not in what:
            events = await self._store.events(trace_id=what.strip("<>"))
            if not events:
                raise NotFound(f"no message {what} in the timeline")
            return [_story(what, events)]
        found = await self._store.events(address=what.strip("<>"))
        ids = list(dict.fromkeys(event.trace_id for event in reversed(found)))[:messages]
        if not ids:
            raise NotFound(f"nothing about {what} in the timeline")
        return [_story(trace_id, await self._store.events(trace_id=trace_id)) for trace_id in reversed(ids)]

    async def message_latest(self, *, after: float = 0.0, limit: int = 200) -> list[Moment]:
        """The latest lines of all messages, in time order; only those after a moment when given."""
        most = max(1, min(limit, limits.TIMELINE_LATEST))
        events = await self._store.events(limit=most)
        return [
            Moment(trace_id=e.trace_id, at=e.at, kind=e.kind, address=e.address, detail=e.detail)
            for e in events
            if e.at > after
        ]


def _story(trace_id: str, events: list[Event]) -> Story:
    rows = (EventRow(at=e.at, kind=e.kind, address=e.address, detail=e.detail) for e in events)
    return Story(trace_id=trace_id, events=tuple(rows))
