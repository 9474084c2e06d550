"""Bytes that several own, while one node takes an owner away and another is just adding one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store.interface import ChangeQueued, CopyEmails, Enqueue, Expunge
from posthouse.store.model import Content, Mailbox, NewQueued, NewRecipient
from posthouse.store.moving.keeping import ClusterKeeper
from posthouse.store.postgres import PostgresStore, queue, upkeep
from posthouse.store.postgres.connection import Connection
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql import copying
from posthouse.store.sqlite.verify import Flaw
from tests.cluster.database import Database
from tests.cluster.nodes import nodes
from tests.cluster.test_nodes import Node
from tests.kits.engine import NOW, Desk, furnish

BODY = Content.of(b"Subject: kept\r\n\r\n" + b"x" * 5000)


async def expunge(desk: Desk, mailbox: Mailbox) -> None:
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=mailbox.mailbox_id, force=True))


async def copy(desk: Desk, source: Mailbox, target: Mailbox) -> None:
    await desk.store.apply(_copy(desk, source, target))


def _copy(desk: Desk, source: Mailbox, target: Mailbox) -> CopyEmails:
    return CopyEmails(
        account_id=desk.id,
        source_id=source.mailbox_id,
        uids=Ranges.between(1, 1),
        target_id=target.mailbox_id,
    )


async def sweep(store: PostgresStore) -> None:
    while await store._engine.background(upkeep.sweep):
        pass


async def meeting(
    server: Database,
    url: str,
    first: PostgresStore,
    work: Callable[[Transaction], Any],
    second: PostgresStore,
) -> None:
    """`work` in a transaction of the first node; the second node sweeps before that commits."""
    done, goes_on = threading.Event(), threading.Event()

    def held(tx: Transaction) -> None:
        work(tx)
        tx.flush()
        done.set()
        goes_on.wait(10)

    working = asyncio.ensure_future(first._engine.submit((held,)))
    assert await asyncio.to_thread(done.wait, 10)
    sweeping = asyncio.create_task(sweep(second))
    name = url.rpartition("/")[2]
    waits = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"

    async with asyncio.timeout(10):
        while not sweeping.done() and not await asyncio.to_thread(server.sql, waits):
            await asyncio.sleep(0.01)
    goes_on.set()
    await working
    await sweeping


async def test_a_message_that_is_queued_while_its_last_copy_is_swept_keeps_its_bytes(
    server: Database, url: str, tmp_path: Path
) -> None:
    async with nodes(url, tmp_path, jobs=False) as (one, other):
        desk = await furnish(Node(one))
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "x", content=BODY)
        (stored,) = await one.stored(desk.id, [added.email_id])
        assert stored is not None
        await expunge(desk, inbox)
        message = NewQueued(
            trace_id="t",
            reverse_path="a@b.test",
            recipients=(NewRecipient(address="c@d.test"),),
            created_at=float(NOW),
        )
        await meeting(
            server, url, other, lambda tx: queue.enqueue(tx, Enqueue(message=message, content=stored)), one
        )
        (queued,) = await one.queue()
        assert await other.whole(queued.stored) == BODY.beginning()
        await one.apply(ChangeQueued(queue_id=queued.queue_id, action="drop", now=float(NOW)))
        assert server.sql("SELECT count(*) FROM blob", url.rpartition("/")[2]).strip() == "0"


async def test_a_message_that_is_copied_while_another_copy_is_swept_keeps_its_bytes(
    server: Database, url: str, tmp_path: Path
) -> None:
    async with nodes(url, tmp_path, jobs=False) as (one, other):
        desk = await furnish(Node(one))
        inbox, archive, trash = [await desk.box(name) for name in ("INBOX", "Archive", "Trash")]
        await desk.add(inbox, "x", content=BODY)
        await copy(desk, inbox, archive)
        await expunge(desk, inbox)
        await meeting(server, url, other, lambda tx: copying.copy(tx, _copy(desk, archive, trash)), one)
        await expunge(desk, archive)
        await sweep(one)
        index = await other.index(desk.id, trash.mailbox_id)
        (stored,) = await other.stored(desk.id, list(index.email_ids))
        assert stored is not None
        assert await other.whole(stored) == BODY.beginning()


async def test_two_copies_that_are_swept_at_once_leave_nothing(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SWEEP_BATCH", 1)
    async with nodes(url, tmp_path, jobs=False) as (one, other):
        desk = await furnish(Node(one))
        inbox, archive = await desk.box(), await desk.box("Archive")
        await desk.add(inbox, "x", content=BODY)
        await copy(desk, inbox, archive)
        await expunge(desk, inbox)
        await expunge(desk, archive)
        await meeting(server, url, other, upkeep.sweep, one)
        await sweep(one)
        assert server.sql("SELECT count(*) FROM blob", url.rpartition("/")[2]).strip() == "0"


async def test_owners_that_are_mended_while_a_copy_is_swept_come_out_right(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(url, tmp_path, jobs=False) as (one, other):
        desk = await furnish(Node(one))
        inbox, archive = await desk.box(), await desk.box("Archive")
        await desk.add(inbox, "x", content=BODY)
        await copy(desk, inbox, archive)
        await expunge(desk, inbox)
        name, loop, fetch = url.rpartition("/")[2], asyncio.get_running_loop(), Connection.fetch
        server.sql("UPDATE blob_share SET owners = 9", name)
        waits = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
        sweeping: list[Future[None]] = []

        def in_between(db: Connection, statement: str, *values: Any) -> Any:
            rows = fetch(db, statement, *values)
            if statement.startswith("DELETE FROM blob_share WHERE") and not sweeping:
                sweeping.append(asyncio.run_coroutine_threadsafe(sweep(other), loop))
                while not sweeping[0].done() and not server.sql(waits, name):
                    time.sleep(0.01)
            return rows

        monkeypatch.setattr(Connection, "fetch", in_between)
        found = ClusterKeeper(url, "", tmp_path / "cache", one.mend).verify(fix=True)
        assert [each.kind async for each in found if isinstance(each, Flaw)] == ["wrong owners of bytes"]
        await asyncio.wrap_future(sweeping[0])
        index = await one.index(desk.id, archive.mailbox_id)
        (stored,) = await one.stored(desk.id, list(index.email_ids))
        assert stored is not None
        assert await one.whole(stored) == BODY.beginning()
        await expunge(desk, archive)
        await sweep(one)
        assert server.sql("SELECT count(*) FROM blob", name).strip() == "0"
