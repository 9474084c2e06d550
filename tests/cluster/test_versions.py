"""A rolling upgrade: the database is one schema step ahead, and nodes of the version before go on beside the new."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, CreateMailbox, Expunge
from posthouse.store.model import FLAGGED
from posthouse.store.postgres import migrate
from posthouse.store.postgres.connection import Connection, Server
from posthouse.store.postgres.engine import FLAGS_LOGGED_SINCE
from posthouse.store.retention import SetRetention
from posthouse.store.settler import Settler
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.nodes import content
from tests.kits.engine import Desk, furnish
from tests.kits.queue import enqueue, lease
from tests.waiting import until


def next_step(server: Database, url: str) -> str:
    """The most that a step may do: a column more in every table, a table more, an index more."""
    tables = server.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'schema_version'",
        url.rpartition("/")[2],
    ).splitlines()
    columns = "".join(f"ALTER TABLE {name} ADD COLUMN later bigint NOT NULL DEFAULT 7;\n" for name in tables)
    return (
        columns
        + "CREATE TABLE addition (account_id bigint PRIMARY KEY);\nCREATE INDEX later ON email (later);"
    )


def upgrade(url: str, ahead: dict[int, str]) -> None:
    db = Connection(Server(url))
    try:
        migrate.migrate(db, ahead)
    finally:
        db.close()


async def use(desk: Desk, name: str) -> None:
    """A little of everything that writes and reads."""
    inbox = await desk.box()
    await asyncio.gather(*(desk.add(inbox, f"{name} {n}", "x" * 9_000) for n in range(5)))
    await desk.flag(inbox, "1:3", "\\Seen", f"${name}")
    made = await desk.store.apply(CreateMailbox(account_id=desk.id, name=name))
    await desk.store.apply(
        CopyEmails(
            account_id=desk.id,
            source_id=inbox.mailbox_id,
            uids=Ranges([(1, 2)]),
            target_id=made.mailbox_id,
        )
    )
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(4, 4)]), force=True)
    )
    await enqueue(desk.store, f"{name}@one.test", due=1.0)
    assert await lease(desk.store, limit=1)
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    assert None not in await desk.store.messages(desk.id, list(index.email_ids))
    assert await desk.store.search_text(desk.id, list(index.email_ids), "text", name)


async def test_nodes_of_the_version_before_go_on(server: Database, url: str, tmp_path: Path) -> None:
    known = migrate.steps()
    newest = max(known)
    ahead = {**known, newest + 1: next_step(server, url)}
    running = PostgresEngine(url, tmp_path / "running")
    await running.open()
    late = PostgresEngine(url, tmp_path / "late")
    try:
        desk = await furnish(running)
        await use(desk, "before")
        await asyncio.to_thread(upgrade, url, ahead)
        await use(desk, "during")
        await late.open()
        other = Desk(late, desk.account)
        await use(other, "started-later")
        await running.settle()
        inbox = await desk.box()
        both = [await each.store.index(desk.id, inbox.mailbox_id) for each in (desk, other)]
        await until(lambda: content(both[0]) == content(both[1]))
        assert len(both[0]) == 29  # three times ten, and message 4 is gone
    finally:
        await running.store.close()
        if hasattr(late, "store"):
            await late.store.close()
    two_ahead = {**ahead, newest + 2: "SELECT 1"}
    await asyncio.to_thread(upgrade, url, two_ahead)
    with pytest.raises(StoreUnavailable, match="schema"):
        await PostgresEngine(url, tmp_path / "too old").open()


async def test_a_step_may_take_long_and_others_wait_for_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that looks through a large table takes longer than any other statement may."""
    known = migrate.steps()
    await asyncio.to_thread(upgrade, url, known)
    monkeypatch.setattr(limits, "DATABASE_TIMEOUT", 0.5)
    ahead = {**known, max(known) + 1: "SELECT pg_sleep(1.5)"}
    await asyncio.gather(*(asyncio.to_thread(upgrade, url, ahead) for _ in range(2)))
    monkeypatch.setattr(limits, "MIGRATION_TIMEOUT", 0.5)
    ahead[max(ahead) + 1] = "SELECT pg_sleep(20)"
    with pytest.raises(StoreUnavailable, match="schema"):
        await asyncio.to_thread(upgrade, url, ahead)


async def test_a_step_that_runs_into_those_at_work_is_tried_again(
    server: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL undoes whoever finds the deadlock first: here the step, which waits the longer."""
    known = migrate.steps()
    await asyncio.to_thread(upgrade, url, known)
    newest = max(known)
    step = "".join(
        f"ALTER TABLE {name} ADD COLUMN later bigint NOT NULL DEFAULT 7;\n" for name in ("account", "email")
    )

    def in_its_way() -> None:
        server.sql(
            "BEGIN; LOCK TABLE email; SELECT pg_sleep(1); LOCK TABLE account; COMMIT", url.rpartition("/")[2]
        )

    async def brought_on(number: int) -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(upgrade, url, {**known, number: step})

    monkeypatch.setattr(limits, "MIGRATION_TRIES", 1)
    with pytest.raises(StoreUnavailable, match="in its way"):
        await asyncio.gather(asyncio.to_thread(in_its_way), brought_on(newest + 1))
    monkeypatch.setattr(limits, "MIGRATION_TRIES", 2)
    await asyncio.gather(asyncio.to_thread(in_its_way), brought_on(newest + 1))
    database = url.rpartition("/")[2]
    assert (
        server.sql(f"SELECT count(*) FROM schema_version WHERE version = {newest + 1}", database).strip()
        == "1"
    )
    assert server.sql("SELECT account.later, email.later FROM account, email", database).strip() == ""


BEFORE = (
    "INSERT INTO node VALUES ('old-1', 'old', '', '0.1.0', extract(epoch FROM clock_timestamp())::float8)"
)
"""The sign of life of a node that knows schema 8."""


async def test_flags_are_not_logged_while_a_node_is_alive_that_does_not_read_the_log(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old node never sees a log: neither one that is alive, nor one that wakes up; and none can start."""
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 2)
    quiet = asyncio.Event()
    monkeypatch.setattr(Settler, "_quiet", lambda _: quiet.wait())
    monkeypatch.setattr(limits, "NODE_BEAT", 0.0)
    name = server.make().rpartition("/")[2]
    address = server.url(name)
    old = {number: step for number, step in migrate.steps().items() if number <= 8}

    def sql(statement: str) -> str:
        return server.sql(statement, name)

    def waiting() -> set[int]:
        return migrate.steps().keys() - set(map(int, sql("SELECT version FROM schema_version").split()))

    await asyncio.to_thread(upgrade, address, old)
    sql(BEFORE)
    engine = PostgresEngine(address, tmp_path)
    engine.settings |= {"keep_deleted": True}
    await engine.open()
    try:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *map(str, range(9)))
        await desk.flag(inbox, "1:9", "\\Seen")
        assert waiting() == {FLAGS_LOGGED_SINCE}  # that one alone: what is behind it is used already
        await enqueue(desk.store, "cliff@one.test", due=1.0)
        made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="News"))
        await desk.store.apply(SetRetention(account_id=desk.id, mailbox_id=made.mailbox_id, days=30))
        assert (await desk.box("News")).kept_days == 30
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(9, 9)]), force=True)
        )
        assert len(await desk.store.deleted(desk.id, 9)) == 1
        assert sql("SELECT count(*) FROM flag_log") == "0"
        sql("DELETE FROM node WHERE node = 'old-1'")
        await until(lambda: not waiting())
        await until(lambda: engine.store._engine.server.logs_flags)
        await desk.flag(inbox, "1:9", "\\Flagged")
        assert sql("SELECT count(*) FROM flag_log") == "1"
        with pytest.raises(StoreUnavailable, match="schema"):
            await asyncio.to_thread(upgrade, address, old)
        quiet.set()
        sql(BEFORE)  # it was stuck, and is back
        await until(lambda: not engine.store._engine.server.logs_flags)
        await until(lambda: sql("SELECT count(*) FROM flag_log") == "0")
        await desk.flag(inbox, "1:9", "\\Seen", action="remove")
        assert sql("SELECT count(*) FROM flag_log") == "0"
        assert sql("SELECT DISTINCT flags FROM placement") == str(FLAGGED)
    finally:
        await engine.store.close()


async def test_old_lines_of_the_timeline_are_found_however_they_were_written(
    server: Database, engine: PostgresEngine
) -> None:
    place = engine.place.url.rpartition("/")[2]
    for number, address in enumerate(("Ann@North.TEST", "ann@north.test", "Bob@north.test"), 1):
        server.sql(
            f"INSERT INTO event VALUES ('t{number}', {number}, 1.0, 'received', '{address}', '')", place
        )
    server.sql(migrate.steps()[16], place)
    for written in ("ann@north.test", "Ann@North.TEST"):
        found = await engine.store.events(address=written)
        assert [line.trace_id for line in found] == ["t1", "t2"]
