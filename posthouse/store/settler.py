"""The job that brings placements up to logged flag changes in quiet moments (`flag_log.py` of each engine)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from posthouse import limits
from posthouse.store.foreground import Foreground
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

RETRY_SECONDS: Final = 30.0
"""After a fault of the disk or the database, before settling is tried again."""


class Settler:
    """The job. `wake` when something was logged."""

    def __init__(
        self, settle_one: Callable[[], Awaitable[bool]], foreground: Foreground, every: float | None = None
    ) -> None:
        """`settle_one`: settle a logged run; whether there is more. `every`: seconds after which it looks unasked."""
        self._settle_one = settle_one
        self._foreground = foreground
        self._every = every
        self._woken = asyncio.Event()
        self.done = asyncio.Event()
        """Set while there is nothing to do."""
        self.wake()  # a crash may have left something

    def wake(self) -> None:
        """There is something new."""
        self.done.clear()
        self._woken.set()

    async def run(self) -> None:
        """For as long as the store is open."""
        while True:
            try:
                async with asyncio.timeout(self._every):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                more = True
                while more:
                    await self._quiet()
                    more = await self._settle_one()
                if not self._woken.is_set():
                    self.done.set()
            except Exception as fault:
                told(log, "settling flags is put off", fault)
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()

    async def _quiet(self) -> None:
        """Wait for a quiet moment, but not for long."""
        waited = 0.0
        while self._foreground.busy and waited < limits.FLAGS_LOGGED_SECONDS:
            await asyncio.sleep(limits.QUIET_SECONDS)
            waited += limits.QUIET_SECONDS
