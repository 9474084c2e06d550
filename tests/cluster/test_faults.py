"""What a node does when its database fails it: lost answers, cut connections, forgetful poolers, a promoted standby."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.postgres import PostgresStore
from posthouse.store.postgres.connection import Connection, TransactionLost
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.kits.engine import Desk, furnish
from tests.waiting import until


def database(engine: PostgresEngine) -> str:
    return engine.place.url.rpartition("/")[2]


def cut(server: Database, engine: PostgresEngine) -> None:
    """End all connections to a test's database."""
    server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database(engine)}'")


@pytest.mark.parametrize("made", [True, False])
async def test_the_answer_to_a_commit_is_lost(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """It was made: then it is a success. It was not: then it is refused, and not there."""
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "before")
    commit, lost = Connection.commit, [True]

    def losing(self: Connection) -> None:
        if not lost.pop() if lost else True:
            commit(self)
            return
        if made:
            commit(self)
        self.drop()
        self._lost = True
        raise TransactionLost

    monkeypatch.setattr(Connection, "commit", losing)
    keyword = frozenset({"$New"})  # more than rows, so it has a transaction of several statements
    if made:
        (added,) = await desk.add(inbox, "made", flags=keyword)
        assert added.uid == 2
    else:
        with pytest.raises(StoreUnavailable):
            await desk.add(inbox, "not made", flags=keyword)
    monkeypatch.undo()
    (after,) = await desk.add(inbox, "after")
    assert after.uid == (3 if made else 2)
    await engine.reopen()
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    assert len(index) == (3 if made else 2)


@pytest.mark.parametrize("when", ["carried out", "never", "too late"])
async def test_the_answer_to_a_lean_commit_is_lost(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It is one statement: it is asked after, and run again when it never will be carried out."""
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "before")
    fetch_once = Connection.fetch_once
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def losing(self: Connection, statement: str, *bindings: Any) -> None:
        if sent:
            fetch_once(self, statement, *bindings)
            return
        sent.append((statement, bindings))
        if when == "carried out":
            fetch_once(self, statement, *bindings)
        self.drop()
        raise StoreUnavailable("lost")

    monkeypatch.setattr(Connection, "fetch_once", losing)
    (added,) = await desk.add(inbox, "once")
    assert (added.uid, len(sent)) == (2, 1)
    if when == "too late":
        late = Connection(engine.store._engine.server)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await asyncio.to_thread(fetch_once, late, sent[0][0], *sent[0][1])
        await asyncio.to_thread(late.close)
    (after,) = await desk.add(inbox, "after")
    assert after.uid == 3
    await engine.reopen()
    assert list((await desk.store.index(desk.id, inbox.mailbox_id)).uids) == [1, 2, 3]


async def test_an_engine_that_writes_one_table_with_a_statement_is_lived_with(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those that distribute tables do; here the fake is the refusal alone."""
    desk = await furnish(engine)
    inbox = await desk.box()
    fetch = Connection._fetch

    async def narrow(self: Connection, statement: str, bindings: Any) -> Any:
        if statement.count("INSERT INTO") + statement.count("UPDATE ") > 2:
            raise asyncpg.FeatureNotSupportedError("data-modifying statements in WITH")
        return await fetch(self, statement, bindings)

    monkeypatch.setattr(Connection, "_fetch", narrow)
    assert [(await desk.add(inbox, text))[0].uid for text in ("one", "two")] == [1, 2]
    await desk.flag(inbox, "1:2", "\\Seen")
    await engine.reopen()
    assert (await desk.box()).unseen == 0


async def test_cut_connections_are_made_again_unnoticed(server: Database, engine: PostgresEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    for number in range(5):
        cut(server, engine)
        (added,) = await desk.add(inbox, f"after cut {number}")
        assert await desk.store.messages(desk.id, [added.email_id]) != [None]
        cut(server, engine)
        await asyncio.gather(*(desk.store.queue() for _ in range(8)))
    assert (await desk.box()).total == 5


async def test_a_pooler_that_forgets_statements_is_lived_with(engine: PostgresEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "one")
    assert engine.store._engine.server.named_statements
    await engine.store._engine.submit((lambda tx: tx.db.script("DEALLOCATE ALL"),))
    await desk.add(inbox, "two")
    assert not engine.store._engine.server.named_statements
    await desk.add(inbox, "three")
    await engine.reopen()
    assert (await desk.box()).total == 3


async def test_a_server_that_takes_no_writes_defers_mail_and_is_read(
    server: Database, engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DATABASE_RESOLVE", 1.0)
    desk = await furnish(engine)
    inbox = await desk.box()
    (added,) = await desk.add(inbox, "one")
    server.sql(f'ALTER DATABASE "{database(engine)}" SET default_transaction_read_only = on')
    cut(server, engine)
    with pytest.raises(StoreUnavailable):
        await desk.add(inbox, "two")
    server.sql(f'ALTER DATABASE "{database(engine)}" RESET default_transaction_read_only')
    cut(server, engine)
    async with asyncio.timeout(30):
        while True:
            try:
                await desk.add(inbox, "three")
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    assert await desk.store.messages(desk.id, [added.email_id]) != [None]
    assert (await desk.box()).total == 2


async def test_a_promoted_standby_has_all_that_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DATABASE_RESOLVE", 3.0)
    primary = Database(sync=True)
    standby = Database(sync=True)
    store: PostgresStore | None = None
    try:
        primary.initialise()
        primary.start()
        name = primary.make("house").rpartition("/")[2]
        standby.follow(primary)
        primary.settings["synchronous_standby_names"] = "*"
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql("SELECT pg_reload_conf()")
        both = f"postgresql://posthouse@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{name}"
        engine = PostgresEngine(both, tmp_path / "node")
        store = await engine.open()
        desk = await furnish(engine)
        inbox = await desk.box()
        kept: list[int] = []
        ended = asyncio.Event()

        async def mail(desk: Desk) -> None:
            while not ended.is_set():
                try:
                    (added,) = await desk.add(inbox, "kept")
                    kept.append(added.uid)
                except StoreUnavailable:
                    await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(mail(desk)) for _ in range(4)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(primary.kill)
        before = len(kept)
        assert before
        await asyncio.to_thread(standby.promote)
        async with asyncio.timeout(40):
            while len(kept) < before + 20:
                await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*tasks)
        index = await store.index(desk.id, inbox.mailbox_id)
        assert set(kept) <= set(index.uids)
        assert len(kept) == len(set(kept))
    finally:
        if store is not None:
            await store.close()
        standby.stop()
        primary.stop()


async def test_a_bug_makes_no_node_deaf_for_good(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would go on to believe what it remembers of people, passwords that were revoked among it."""
    monkeypatch.setattr(limits, "DATABASE_RETRY", 0.05)
    notices = engine.store._engine.notices
    await until(notices.connected.is_set)
    forgot: list[bool] = []
    engine.store.watch_people(lambda: forgot.append(True))
    look = notices._look_at_people

    async def broken(_connection: object) -> None:
        monkeypatch.setattr(notices, "_look_at_people", look)
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(notices, "_look_at_people", broken)
    await until(lambda: bool(forgot))
    await until(notices.connected.is_set)
    assert not notices._loops[0].done()
    assert "other nodes are not heard" in caplog.text
