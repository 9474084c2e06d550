"""The store of many machines: PostgreSQL for everything, an object store for large bodies, any number of nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from posthouse.store.interface import Staging
from posthouse.store.memory.engine import Derive
from posthouse.store.memory.store import LiveStore
from posthouse.store.postgres.engine import Engine, Place
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.reading import PostgresReading
from posthouse.store.postgres.search import Search
from posthouse.store.postgres.staging import BufferStaging
from posthouse.store.sql.transaction import Settings


class PostgresStore(LiveStore[Reader]):
    """A node's view of the cluster's `Store`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, PostgresReading())
        self._engine = engine
        self._search = Search(engine.readers, engine.foreground)

    @classmethod
    async def open(
        cls,
        place: Place,
        *,
        derive: Derive,
        default_quota: int = 0,
        now: Callable[[], float] = time.time,
    ) -> Self:
        """Open a cluster's store, or make it in an empty database. As `SqliteStore.open`; StoreUnavailable."""
        return cls(await Engine.open(place, derive, Settings(default_quota=default_quota, now=now)))

    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""
        return BufferStaging(self._engine.staging)
