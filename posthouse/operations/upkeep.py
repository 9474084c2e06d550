"""What is done from time to time while serving: the timeline forgets what is old.

A round that fails is logged and tried again at the next; it never stops the house.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from posthouse import limits
from posthouse.errors import PosthouseError
from posthouse.store.interface import Store
from posthouse.store.operations import PruneEvents

log: Final = logging.getLogger(__name__)


class Upkeep:
    """`start`, then `stop`. `timeline_kept` gives the seconds that events are kept; 0: for ever."""

    def __init__(
        self, store: Store, timeline_kept: Callable[[], float], now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._timeline_kept = timeline_kept
        self._now = now
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first round."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="upkeep")

    async def stop(self) -> None:
        """End between two commits."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except PosthouseError as fault:
                log.warning("upkeep put off: %s", fault.public)
            except Exception:
                log.exception("upkeep failed")
            await asyncio.sleep(limits.UPKEEP_INTERVAL)

    async def round(self) -> int:
        """Forget old events; how many."""
        kept = self._timeline_kept()
        if not kept:
            return 0
        pruned = await self._store.apply(PruneEvents(before=self._now() - kept))
        if pruned:
            log.info("timeline pruned=%d", pruned)
        return pruned
