"""The job that sweeps: remains of deleted mail at once, objects that nothing points at after their time of grace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from posthouse import limits
from posthouse.store.postgres import strays, upkeep
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.s3 import Objects
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

RETRY_SECONDS: Final = 5.0
"""After a fault of the database or the object store."""
OBJECTS_EVERY: Final = 600.0
"""Seconds between looks for stray objects."""
LISTED_EVERY: Final = 86_400.0
"""Seconds between listings of the whole bucket, for objects whose node died before its commit."""


class Sweeper:
    """The job. `wake` when mail went."""

    def __init__(
        self,
        background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
        objects: Objects | None,
        now: Callable[[], float],
    ) -> None:
        self._background = background
        self._objects = objects
        self._now = now
        self._wanted = asyncio.Event()
        self.done = asyncio.Event()
        """Set while there is nothing to do."""
        self.done.set()
        self._next_objects = 0.0
        self._next_listing = now() + OBJECTS_EVERY

    def wake(self) -> None:
        """There is something to sweep."""
        self.done.clear()
        self._wanted.set()

    async def run(self) -> None:
        """For as long as the store is open."""
        while True:
            try:
                async with asyncio.timeout(OBJECTS_EVERY):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                while await self._background(upkeep.sweep):
                    pass
                if self._objects is not None and self._now() >= self._next_objects:
                    await self.sweep_objects(self._now() - limits.OBJECT_GRACE)
                    self._next_objects = self._now() + OBJECTS_EVERY
                if self._objects is not None and self._now() >= self._next_listing:
                    await self.find_strays(self._now() - limits.OBJECT_GRACE)
                    self._next_listing = self._now() + LISTED_EVERY
            except Exception as fault:
                told(log, "sweeping is put off", fault)
                await asyncio.sleep(RETRY_SECONDS)
                self._wanted.set()
            if not self._wanted.is_set():
                self.done.set()

    async def sweep_objects(self, before: float) -> int:
        """Remove objects that were strays before a time and have no rows; how many."""
        assert self._objects is not None
        removed = 0
        while keys := await self._background(lambda tx: strays.due(tx, before)):
            await self._objects.delete(keys)
            await self._background(lambda tx: strays.gone(tx, keys))
            removed += len(keys)
        return removed

    async def find_strays(self, before: float) -> None:
        """Go through the bucket for objects older than a time that no row points at, and note them as strays."""
        assert self._objects is not None

        async def look(page: list[tuple[str, float]]) -> None:
            old = [key for key, at in page if at < before]
            if old:
                await self._background(lambda tx: strays.note_unowned(tx, old, int(before)))

        await self._objects.every_key(look)
