"""Work and locks that one node has at a time: the queue, maildrops; races, dead holders, late holders, wrong clocks."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.store.interface import LeaseDue
from posthouse.store.model import RecipientState
from posthouse.store.postgres import Place, PostgresStore, leases
from posthouse.store.postgres.connection import Connection
from tests.cluster.database import Database
from tests.cluster.nodes import nodes
from tests.kits.queue import enqueue, lease, names, record
from tests.store.conftest import derive
from tests.waiting import until


async def test_two_nodes_racing_never_get_the_same(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 3) as stores:
        for number in range(60):
            await enqueue(stores[0], f"a@d{number % 7}.test", f"b@e{number % 5}.test", due=1.0)
        taken: list[tuple[int, str]] = []

        async def runner(store: PostgresStore) -> None:
            while leases := await lease(store, limit=4):
                for each in leases:
                    taken.append((each.message.queue_id, each.destination))
                    await record(store, each, RecipientState.DELIVERED)

        await asyncio.gather(*(runner(store) for store in stores for _ in range(2)))
        for store in stores:  # a row that another was about to take was passed over: nothing is left behind
            await runner(store)
        assert len(taken) == len(set(taken)) == 120
        assert await stores[0].queue() == []


async def test_a_dead_node_s_leases_are_taken_over(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_BEAT", 0.1)
    monkeypatch.setattr(limits, "NODE_SILENCE", 0.6)
    monkeypatch.setattr(limits, "NODE_PATIENCE", 0.2)
    monkeypatch.setattr(limits, "NOTICE_CHECK", 0.05)
    async with nodes(url, tmp_path) as (dead, alive):
        queue_id = await enqueue(dead, "a@one.test")
        (late,) = await lease(dead)
        await dead._engine.notices.close()  # no sign of life any more
        assert await lease(alive) == []
        found: list[int] = []

        async def look() -> None:
            while not found:
                found.extend(each.message.queue_id for each in await lease(alive))
                await asyncio.sleep(0.02)

        await asyncio.wait_for(look(), 30)
        assert found == [queue_id]
        with pytest.raises(Conflict):
            await record(dead, late, RecipientState.DELIVERED)


async def test_after_an_outage_of_the_database_nobody_is_dead_at_once(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_BEAT", 0.1)
    monkeypatch.setattr(limits, "NODE_SILENCE", 0.6)
    monkeypatch.setattr(limits, "NODE_PATIENCE", 5.0)
    monkeypatch.setattr(limits, "NOTICE_CHECK", 0.05)
    async with nodes(url, tmp_path) as (slow, quick):
        await enqueue(slow, "a@one.test")
        (delivering,) = await lease(slow)
        server.kill()
        await slow._engine.notices.close()  # it comes back a little later than the other one
        before = quick._engine.node._beaten
        await asyncio.sleep(limits.NODE_SILENCE)
        server.start()
        await until(lambda: quick._engine.node._beaten > before + limits.NODE_SILENCE)
        looked = quick._engine.node._beaten
        await until(lambda: quick._engine.node._beaten > looked + 3 * limits.NODE_BEAT)
        slow._engine.notices.start()
        await until(slow._engine.notices.connected.is_set)
        await record(slow, delivering, RecipientState.DELIVERED)
        assert await quick.queue() == [], "it was delivered once"


async def test_the_mark_of_a_living_node_stays_whatever_it_says(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_BEAT", 0.05)
    monkeypatch.setattr(limits, "NOTICE_CHECK", 0.05)
    name = url.rpartition("/")[2]
    async with nodes(url, tmp_path, 1) as (store,):
        await until(store._engine.notices.connected.is_set)
        server.sql(
            "UPDATE commit_mark SET at = 0", name
        )  # as when a commit whose answer was lost is given up
        server.sql("INSERT INTO commit_mark VALUES ('long gone', 7, 1)", name)
        looked = store._engine.node._beaten
        await until(lambda: store._engine.node._beaten > looked + 3 * limits.NODE_BEAT)
        marks = server.sql("SELECT node FROM commit_mark ORDER BY node", name).splitlines()
        assert marks == [store._engine.name, f"{store._engine.name}+"]


async def test_the_lock_on_a_maildrop_is_everybodys(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_BEAT", 0.1)
    monkeypatch.setattr(limits, "NODE_SILENCE", 0.6)
    monkeypatch.setattr(limits, "NODE_PATIENCE", 0.2)
    monkeypatch.setattr(limits, "NOTICE_CHECK", 0.05)
    async with nodes(url, tmp_path) as stores:
        here, there = (store.maildrop_locks() for store in stores)
        assert await here.acquire(7, "s1")
        assert await here.acquire(7, "s1"), "one's own"
        assert not await here.acquire(7, "s2")
        assert not await there.acquire(7, "s1")
        assert await there.acquire(8, "s1")
        await there.release(7, "s1")
        assert not await there.acquire(7, "s1"), "only the holder gives it back"
        for holder, other in ((here, there), (there, here)) * 10:
            await holder.release(7, "s1")
            assert await other.acquire(7, "s1"), "free when it has been given back"
        await here.release(7, "s1")
        assert await there.acquire(7, "s1")
        await stores[1]._engine.notices.close()
        await until_async(lambda: here.acquire(7, "s9"))


async def until_async(ask) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(30):
        while not await ask():
            await asyncio.sleep(0.02)


async def test_a_duty_is_one_node_s(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path) as stores:
        first, second = (store.maildrop_locks() for store in stores)
        assert await first.take_duty("keys")
        assert not await second.take_duty("keys")
        assert await first.take_duty("keys")


@pytest.mark.parametrize("skew", [-600.0, 600.0])
async def test_a_wrong_clock_neither_ends_leases_early_nor_holds_mail_up(
    url: str, tmp_path: Path, skew: float
) -> None:
    def wrong() -> float:
        return time.time() + skew

    stores = []
    for name, clock in (("right", time.time), ("wrong", wrong)):
        place = Place(url=url, folder=tmp_path / name, name=name)
        stores.append(await PostgresStore.open(place, derive=derive, now=clock))
    right, other = stores
    try:
        queue_id = await enqueue(right, "a@one.test", due=time.time())
        op = LeaseDue(holder="", now=wrong() + 1, until=wrong() + 61, limit=5)
        assert names(await other.apply(op)) == [(queue_id, ["a@one.test"])]
        due = await right.next_due()
        assert due is not None
        assert 50 < due - time.time() < 70, "the lease ends when its holder meant, by everybody's clock"
        now = time.time()
        assert await right.apply(LeaseDue(holder="", now=now, until=now + 60, limit=5)) == []
    finally:
        await asyncio.gather(*(store.close() for store in stores))


async def test_a_session_that_is_cut_off_while_it_asks_for_the_maildrop_does_not_keep_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would give it back as long as the node lives."""
    async with nodes(url, tmp_path, 2) as (one, other):
        began, goes_on = threading.Event(), threading.Event()
        acquire = leases.acquire

        def slowly(db: Connection, name: str, node: str, holder: str) -> int | None:
            began.set()
            goes_on.wait(10)
            return acquire(db, name, node, holder)

        monkeypatch.setattr(leases, "acquire", slowly)
        asking = asyncio.create_task(one.maildrop_locks().acquire(7, "gone"))
        await until(began.is_set)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        monkeypatch.setattr(leases, "acquire", acquire)
        goes_on.set()
        locks = other.maildrop_locks()
        async with asyncio.timeout(10):
            while not await locks.acquire(7, "next"):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert not await one.maildrop_locks().acquire(7, "third"), "what was given back was its own"
