"""The store of many machines: PostgreSQL for everything, an object store for large bodies, any number of nodes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Self

from posthouse import limits
from posthouse.store.host_facts import HostFacts
from posthouse.store.interface import Staging
from posthouse.store.memory.engine import Derive
from posthouse.store.memory.store import LiveStore
from posthouse.store.postgres.engine import Engine, Place
from posthouse.store.postgres.leases import ClusterLocks
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.reading import PostgresReading
from posthouse.store.postgres.search import Search
from posthouse.store.postgres.staging import BufferStaging
from posthouse.store.postgres.transaction import Transaction
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
        keep_deleted: bool = False,
        now: Callable[[], float] = time.time,
    ) -> Self:
        """Open a cluster's store, or make it in an empty database. As `SqliteStore.open`; StoreUnavailable."""
        settings = Settings(default_quota=default_quota, keep_deleted=keep_deleted, now=now)
        return cls(await Engine.open(place, derive, settings))

    async def secret(self, name: str) -> bytes:
        """32 octets of chance that all nodes share, made by the first one that asks."""
        return await self._readers.run(_secret, name, secrets.token_bytes(32))

    def maildrop_locks(self) -> ClusterLocks:
        """The lock on a maildrop, for all nodes together."""
        return ClusterLocks(self._readers, self._engine.name)

    def healthy(self) -> bool:
        """Whether the database is there."""
        return self._engine.notices.connected.is_set()

    def clock_is_off(self) -> bool:
        """Whether our clock differed so much from the database's, when we started, that nobody may go by it."""
        return abs(self._engine.clock_ahead) > limits.CLOCK_LEAP

    def hosts(self) -> tuple[HostFacts, ...]:
        """The hosts of the house; none while the schema before the one that remembers them is kept."""
        return self._engine.node.hosts

    async def mend(self, work: Callable[[Transaction], bool]) -> bool:
        """Have something mended that was found wrong, within a transaction of upkeep; whether there may be more."""
        more: bool = await self._engine.background(work)
        return more

    async def probe_objects(self) -> str | None:
        """Why the object store cannot be used; empty: it can be; None: there is none."""
        return await self._engine.objects.probe() if self._engine.objects is not None else None

    def tell(self, topic: str, words: tuple[str, ...]) -> None:
        """Tell all other nodes something small; it may be lost. Never waits."""
        self._engine.notices.tell(topic, words)

    def hear(self, topic: str, heard: Callable[[tuple[str, ...]], None]) -> None:
        """Call `heard` for what other nodes tell of a topic."""
        self._engine.notices.listeners[topic] = heard

    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""
        return BufferStaging(self._engine.staging)


def _secret(reader: Reader, name: str, value: bytes) -> bytes:
    reader.db.fetch("INSERT INTO secret VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, value)
    ((kept,),) = reader.db.fetch("SELECT value FROM secret WHERE name = $1", name)
    return bytes(kept)
