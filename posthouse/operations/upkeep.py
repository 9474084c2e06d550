"""What is done from time to time while serving: the timeline forgets what is old, keys are cared for, reports are made.

Each duty runs by itself. A round that fails is logged and tried again at the next; it never stops the house. What
removes things for their age waits while the clock cannot be trusted (`steady_clock.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import PosthouseError
from posthouse.steady_clock import SteadyClock
from posthouse.store.credentials import PruneCredentials
from posthouse.store.interface import PruneUploads, Store
from posthouse.store.operations import PruneEvents

log: Final = logging.getLogger(__name__)


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is done again and again."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: float = limits.UPKEEP_INTERVAL
    """Seconds between rounds."""
    first: float = limits.UPKEEP_FIRST
    """Seconds before the first one."""
    by_age: bool = False
    """It removes for good what is old by the clock."""


def by_age(name: str, run: Callable[[], Awaitable[object]], every: float = limits.UPKEEP_INTERVAL) -> Duty:
    """A duty that removes for good what is old by the clock."""
    return Duty(name=name, run=run, every=every, by_age=True)


class Upkeep:
    """`start`, then `stop`. `timeline_kept` gives the seconds that events are kept; 0: for ever."""

    def __init__(
        self,
        store: Store,
        timeline_kept: Callable[[], float],
        now: Callable[[], float] = time.time,
        duties: Sequence[Duty] = (),
        steady: SteadyClock | None = None,
    ) -> None:
        self._store = store
        self._timeline_kept = timeline_kept
        self._now = now
        self._steady = steady if steady is not None else SteadyClock(now)
        self._duties = (Duty(name="timeline", run=self.round, first=0, by_age=True), *duties)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(duty), name=f"upkeep {duty.name}") for duty in self._duties]

    async def stop(self) -> None:
        """End between two commits."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, duty: Duty) -> None:
        await asyncio.sleep(duty.first)
        while True:
            try:
                if self._steady.is_steady() or not duty.by_age:
                    await duty.run()
            except PosthouseError as fault:
                log.warning("upkeep of %s put off: %s", duty.name, fault.public)
            except Exception:
                log.exception("upkeep of %s failed", duty.name)
            await asyncio.sleep(duty.every)

    async def round(self) -> int:
        """Forget uploads that nobody used (RFC 8620 §6), ended sessions, and old events; how many events."""
        await self._store.apply(PruneCredentials(before=int(self._now())))
        old = int(self._now() - limits.UPLOAD_KEPT)
        while await self._store.apply(PruneUploads(before=old)):
            pass
        kept = self._timeline_kept()
        if not kept:
            return 0
        pruned = await self._store.apply(PruneEvents(before=self._now() - kept))
        if pruned:
            log.info("timeline pruned=%d", pruned)
        return pruned
