"""An account over PostgreSQL and S3 whose bytes are known, for tests that pack, sweep and break them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import obstore

from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge
from posthouse.store.model import Content
from posthouse.store.postgres import PostgresStore, packs
from tests.cluster.database import Database
from tests.kits.engine import Desk

if TYPE_CHECKING:
    from tests.cluster.conftest import PostgresEngine

LATER = 2 * 10**9 + 10**8
"""POSIX seconds when every grace is over."""


class House:
    """An account with mail whose bytes are known."""

    def __init__(self, server: Database, engine: PostgresEngine, desk: Desk) -> None:
        self.server = server
        self.engine = engine
        self.desk = desk
        self.mail: dict[int, bytes] = {}
        """By UID of the inbox."""

    async def receive(self, count: int, octets: int = 6_000) -> None:
        inbox = await self.desk.box()
        for number in range(count):
            chance = random.Random(number)
            words = b" ".join(b"%d" % chance.randrange(10**6) for _ in range(octets // 7))
            raw = b"Subject: %d\r\n\r\n" % number + (words if number % 3 else chance.randbytes(octets))
            added = await self.desk.store.apply(self.desk.message(inbox, content=Content.of(raw)))
            self.mail[added.uid] = raw

    async def expunge(self, first: int, last: int) -> None:
        inbox = await self.desk.box()
        await self.desk.store.apply(
            Expunge(
                account_id=self.desk.id,
                mailbox_id=inbox.mailbox_id,
                uids=Ranges([(first, last)]),
                force=True,
            )
        )
        for uid in range(first, last + 1):
            self.mail.pop(uid, None)
        await self.engine.settle()

    async def all_is_well(self, store: PostgresStore | None = None) -> None:
        """Everything is there and as it was, for a node that has nothing in memory."""
        if store is None:
            store = await self.engine.reopen()
        inbox = await self.desk.box()
        index = await store.index(self.desk.id, inbox.mailbox_id)
        found = await store.messages(self.desk.id, list(index.email_ids))
        assert dict(zip(index.uids, found, strict=True)) == self.mail

    def sql(self, what: str) -> list[str]:
        return self.server.sql(what, self.engine.place.url.rpartition("/")[2]).splitlines()

    @property
    def unpacked(self) -> int:
        return int(self.sql("SELECT count(*) FROM blob WHERE content IS NOT NULL")[0])

    @property
    def packs(self) -> list[list[int]]:
        """Each pack that has bodies: its octets, those that live."""
        rows = self.sql(
            "SELECT b.size, p.living FROM pack p JOIN blob b USING (account_id, blob_id) WHERE living > 0 ORDER BY 1"
        )
        return [list(map(int, row.split("|"))) for row in rows]

    async def pack(self, store: PostgresStore | None = None) -> int:
        packer = (store or self.engine.store)._engine._packer
        assert packer is not None
        return await packer.look()

    @property
    def bucket(self) -> obstore.store.ObjectStore:
        objects = self.engine.store._engine.objects
        assert objects is not None
        return objects._store

    async def sweep(self) -> None:
        """As when every grace is over."""
        engine = self.engine.store._engine
        await engine.background(lambda tx: packs.give_up(tx, -1.0))
        await engine._sweeper.find_strays(LATER)
        await engine._sweeper.sweep_objects(LATER)

    async def keys(self) -> set[str]:
        """What is in the bucket."""
        found: set[str] = set()

        async def look(page: list[tuple[str, float]]) -> None:
            found.update(key for key, _ in page)

        objects = self.engine.store._engine.objects
        assert objects is not None
        await objects.every_key(look)
        return found

    async def nothing_is_left_over(self) -> None:
        """What is in the bucket after sweeping is what rows point at."""
        await self.sweep()
        assert await self.keys() == set(self.sql("SELECT object FROM blob WHERE object IS NOT NULL"))
