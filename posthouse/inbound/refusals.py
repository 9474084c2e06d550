"""Refused mail in the timeline, so that `posthouse message log` also explains what never came in.

A refusal is answered at once and written a moment later, many in one commit; the number that waits is limited,
so that a flood of refused mail costs memory and disk nothing. Losing some at a crash harms nobody.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from posthouse.errors import PosthouseError
from posthouse.limits import REFUSALS_DELAY, REFUSALS_PENDING
from posthouse.store.interface import RecordEvents, Store
from posthouse.store.model import Event

log: Final = logging.getLogger(__name__)


class Refusals:
    """Collects refusals and writes them. One per process; `close` writes the rest."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    def note(self, event: Event) -> None:
        """Remember a refusal. Never waits, never raises."""
        log.info("refused id=%s address=<%s> %s", event.trace_id, event.address, event.detail)
        if len(self._pending) >= REFUSALS_PENDING:
            return
        self._pending.append(event)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_soon())

    async def _write_soon(self) -> None:
        await asyncio.sleep(REFUSALS_DELAY)
        self._task = None
        await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        events, self._pending = tuple(self._pending), []
        if not events:
            return
        try:
            await self._store.apply(RecordEvents(events=events))
        except PosthouseError as error:
            log.warning("%d refusals were not written to the timeline: %s", len(events), error)

    async def close(self) -> None:
        """Write the rest, then take no more time."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        await self.flush()
