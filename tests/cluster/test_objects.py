"""Large bodies in an S3 server: SeaweedFS, started by the tests. While it is away, small mail flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
import pytest

from posthouse import limits
from posthouse.errors import Damaged, NotFound, StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, Expunge
from posthouse.store.model import Content
from posthouse.store.postgres.sweeping import Sweeper
from posthouse.store.s3 import Objects
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.kits.blob_store import BlobKit
from tests.kits.engine import furnish
from tests.machine import slowness

pytestmark = [pytest.mark.slow, pytest.mark.interop]


@pytest.fixture
async def engine(url: str, objects: ObjectStore, tmp_path: Path) -> AsyncIterator[PostgresEngine]:
    made = PostgresEngine(url, tmp_path, objects=objects.url)
    await made.open()
    yield made
    await made.store.close()


class TestBlobs(BlobKit):
    """The kit again, with an object store."""


def rows(server: Database, engine: PostgresEngine, what: str) -> list[str]:
    return server.sql(what, engine.place.url.rpartition("/")[2]).splitlines()


def body(octets: int, seed: int = 0) -> Content:
    return Content.of(
        b"Subject: %d\r\n\r\n" % seed + bytes((i * 31 + seed) % 251 for i in range(997)) * (octets // 997)
    )


async def test_size_decides_where_bytes_are(server: Database, engine: PostgresEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    small, large = body(limits.OBJECT_OCTETS - 5000), body(limits.OBJECT_OCTETS + 5000, 1)
    first, second = await desk.store.commit(
        desk.message(inbox, content=small), desk.message(inbox, content=large)
    )
    where = rows(server, engine, "SELECT object IS NULL, content IS NULL FROM blob ORDER BY size")
    assert where == ["t|f", "f|t"]
    await engine.reopen()
    found = await desk.store.messages(desk.id, [first.email_id, second.email_id])
    assert found == [small.beginning(), large.beginning()]


@pytest.mark.parametrize("octets", [0, 100, limits.OBJECT_OCTETS])
async def test_an_object_that_is_too_short_is_an_error_and_never_a_shorter_message(
    server: Database, engine: PostgresEngine, octets: int
) -> None:
    desk = await furnish(engine)
    large, whole = body(limits.OBJECT_OCTETS + 5000, 1), body(limits.OBJECT_OCTETS + 5000, 2)
    inbox = await desk.box()
    (broken,) = await desk.add(inbox, "x", content=large)
    (fine,) = await desk.add(inbox, "x", content=whole)
    (key,) = rows(server, engine, "SELECT object FROM blob ORDER BY blob_id LIMIT 1")
    await engine.settle()  # nobody reads it, and so keeps it, before it is broken
    store = await engine.reopen()
    assert store._engine.objects is not None
    bucket = store._engine.objects._store
    real = bytes((await obstore.get_async(bucket, key)).bytes())
    await obstore.put_async(bucket, key, real[:octets])
    (stored,) = await store.stored(desk.id, [broken.email_id])
    assert stored is not None
    for start, length in ((0, None), (0, limits.OBJECT_OCTETS + 1), (limits.OBJECT_OCTETS, 100)):
        with pytest.raises(Damaged):
            await store.read(stored, start, length)
    with pytest.raises(Damaged):
        await store.whole(stored)
    found = await store.messages(desk.id, [broken.email_id, fine.email_id])
    assert found == [None, whole.beginning()], "the others are read"
    await obstore.put_async(bucket, key, real)
    assert await store.read(stored) == large.beginning(), "the cache does not keep it"


async def test_whether_the_bucket_can_be_used_is_known(
    server: Database, engine: PostgresEngine, objects: ObjectStore, tmp_path: Path
) -> None:
    assert await engine.store.probe_objects() == ""
    for wrong in ("mail:wrong@mail", "nobody:secret@mail"):
        said = await Objects(objects.url.replace("mail:secret@mail", wrong), tmp_path / "cache").probe()
        assert "denied" in said.lower() or "forbidden" in said.lower() or "permission" in said.lower(), said


async def test_what_nothing_points_at_is_swept_and_nothing_else(
    server: Database, engine: PostgresEngine
) -> None:
    desk = await furnish(engine)
    inbox, trash = await desk.box(), await desk.box("Trash")
    await desk.add(inbox, "x", content=body(200_000))
    await desk.store.apply(
        CopyEmails(
            account_id=desk.id,
            source_id=inbox.mailbox_id,
            uids=Ranges([(1, 1)]),
            target_id=trash.mailbox_id,
        )
    )
    ((key,),) = [(line,) for line in rows(server, engine, "SELECT object FROM blob")]
    store = engine.store._engine.objects
    assert store is not None
    orphan = await store.put(body(150_000, 9))  # its node died before the commit
    sweeper: Sweeper = engine.store._engine._sweeper
    later = time.time() + 10

    async def sweep() -> int:
        await engine.settle()
        await sweeper.find_strays(later)
        return await sweeper.sweep_objects(later + 2 * 10**9)

    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
    assert await sweep() >= 1, "the orphan; the bucket may have others of earlier tests"
    reader = Objects(engine.place.objects, engine.place.folder / "other-cache")
    with pytest.raises(NotFound):
        await asyncio.to_thread(reader.read, orphan, 0, 10)
    assert len(await asyncio.to_thread(reader.read, key, 0, 10)) == 10, "a copy still has it"
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=trash.mailbox_id, force=True))
    assert await sweep() == 1
    other = Objects(engine.place.objects, engine.place.folder / "third-cache")
    with pytest.raises(NotFound):
        await asyncio.to_thread(other.read, key, 0, 10)


async def test_many_parts_and_a_small_cache(engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OBJECT_PART", 5 * 1024 * 1024)
    monkeypatch.setattr(limits, "OBJECT_CACHE", 10 * 1024 * 1024)
    desk = await furnish(engine)
    inbox = await desk.box()
    bodies = [body(6_000_000, seed) for seed in range(3)]
    added = [await desk.store.apply(desk.message(inbox, content=each)) for each in bodies]
    await engine.reopen()
    for one, each in zip(added, bodies, strict=True):
        (stored,) = await desk.store.stored(desk.id, [one.email_id])
        assert stored is not None
        assert await desk.store.read(stored, 5_500_000, 1000) == each.beginning()[5_500_000:5_501_000]
    kept = sum(file.stat().st_size for file in (engine.place.folder / "objects").iterdir())
    assert 5_000_000 < kept <= limits.OBJECT_CACHE


async def test_while_it_is_away_small_mail_flows_and_large_mail_is_deferred(
    engine: PostgresEngine, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OBJECT_TIMEOUT", 1.0)
    await engine.reopen()
    desk = await furnish(engine)
    inbox = await desk.box()
    objects.pause()
    try:
        began = time.monotonic()
        refused = asyncio.create_task(desk.store.apply(desk.message(inbox, content=body(300_000))))
        for number in range(20):
            await desk.add(inbox, f"small {number}")
        assert time.monotonic() - began < 5 * slowness()
        with pytest.raises(StoreUnavailable):
            await refused
        assert (await desk.box()).total == 20
    finally:
        objects.go_on()
    added = await desk.store.apply(desk.message(inbox, content=body(300_000)))
    assert await desk.store.messages(desk.id, [added.email_id]) == [body(300_000).beginning()]
