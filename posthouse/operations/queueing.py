"""The administrator's hand in the queue: look, retry, hold, release, drop, flush.

Deliveries themselves are `outbound`'s; what is changed here is committed to the store, which wakes the runner.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.message.address import normalize_domain
from posthouse.store.interface import ChangeQueued, Store, WakeDestination
from posthouse.store.model import QueuedMessage, QueuedRecipient
from posthouse.store.queue_pages import queue_pages

ACTIONS = ("retry", "hold", "release", "drop", "fail")


class RecipientRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queued recipient with the outcome of its last attempt."""

    address: str
    destination: str
    state: str
    attempts: int
    next_attempt_at: float
    last_at: float
    last_host: str
    last_reply: str
    last_tls: str


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queued message."""

    id: int
    trace_id: str
    sender: str
    size: int
    created_at: float
    recipients: tuple[RecipientRow, ...]
    deliver_by: float
    """RFC 2852: the time that the sender has set for it; 0: none."""
    by_mode: str
    """RFC 2852 §4: "R" (it comes back then), "N" (the sender hears of it then), with "T" behind it; empty: no time."""


class Queue:
    """Commands on the queue. `forgive` lets a running queue forget that a destination (empty: any) was away."""

    def __init__(
        self, store: Store, forgive: Callable[[str], None], now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._forgive = forgive
        self._now = now

    async def queue_list(
        self, *, destination: str = "", address: str = "", limit: int = 1000
    ) -> list[QueueRow]:
        """What waits, oldest first; of one destination domain, sender or recipient when given."""
        domain = normalize_domain(destination) if destination else ""
        found = await self._store.queue(destination=domain, address=address.lower(), limit=limit)
        return [_row(message) for message in found]

    async def queue_show(self, *, id: int) -> QueueRow:
        """One queued message. NotFound."""
        message = await self._store.queued(id)
        if message is None:
            raise NotFound(f"no message {id} in the queue")
        return _row(message)

    async def queue_change(self, *, action: str, ids: tuple[int, ...]) -> int:
        """retry, hold, release, drop or fail messages; the result counts recipients.

        NotFound when one of them is not there: then none was changed.
        """
        _check_action(action)
        messages: list[QueuedMessage] = []
        for queue_id in dict.fromkeys(ids):
            message = await self._store.queued(queue_id)
            if message is None:
                raise NotFound(f"no message {queue_id} in the queue; nothing was changed")
            messages.append(message)
        changed = 0
        for start in range(0, len(messages), limits.QUEUE_PAGE):
            changed += await self._change_page(action, messages[start : start + limits.QUEUE_PAGE])
        return changed

    async def queue_change_all(self, *, action: str) -> AsyncIterator[int]:
        """The same for all of the queue: how many recipients so far, the last time all.

        Page by page, so that neither mail nor whoever waits for us waits long.
        """
        _check_action(action)
        changed = 0
        async for page in queue_pages(self._store):
            changed += await self._change_page(action, page)
            yield changed
        yield changed

    async def _change_page(self, action: str, page: Sequence[QueuedMessage]) -> int:
        """In one commit; one by one when some of it were delivered meanwhile."""
        self._forgive_all(page)
        operations = [self._change(action, message.queue_id) for message in page]
        with contextlib.suppress(NotFound):
            return sum(await self._store.commit(*operations))
        changed = 0
        for operation in operations:
            with contextlib.suppress(NotFound):
                changed += await self._store.apply(operation)
        return changed

    def _change(self, action: str, queue_id: int) -> ChangeQueued:
        return ChangeQueued(queue_id=queue_id, action=action, now=self._now())

    def _forgive_all(self, messages: Sequence[QueuedMessage]) -> None:
        for destination in {one.destination for message in messages for one in message.recipients}:
            self._forgive(destination)

    async def queue_flush(self, *, destination: str = "") -> int:
        """Try everything for a destination (empty: all) now; the result counts recipients."""
        domain = normalize_domain(destination) if destination else ""
        self._forgive(domain)
        return await self._store.apply(WakeDestination(destination=domain, now=self._now()))


def _row(message: QueuedMessage) -> QueueRow:
    return QueueRow(
        id=message.queue_id,
        trace_id=message.trace_id,
        sender=message.reverse_path,
        size=message.stored.size,
        created_at=message.created_at,
        recipients=tuple(map(_recipient, message.recipients)),
        deliver_by=message.deliver_by if message.by_mode else 0.0,
        by_mode=message.by_mode,
    )


def _recipient(recipient: QueuedRecipient) -> RecipientRow:
    return RecipientRow(
        address=recipient.address,
        destination=recipient.destination,
        state=recipient.state.value,
        attempts=recipient.attempts,
        next_attempt_at=recipient.next_attempt_at,
        last_at=recipient.last_at,
        last_host=recipient.last_host,
        last_reply=recipient.last_reply,
        last_tls=recipient.last_tls,
    )


def _check_action(action: str) -> None:
    if action not in ACTIONS:
        raise ValueError(f"an action is one of {', '.join(ACTIONS)}")
