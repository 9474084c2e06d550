"""A cluster's backup in the form of the embedded store's: made while mail arrives, restored anywhere; and verified."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, Expunge, PlaceEmails
from posthouse.store.moving.keeping import ClusterKeeper, restore_into_cluster
from posthouse.store.retention import SetRetention
from posthouse.store.sqlite.verify import Flaw
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.nodes import nodes
from tests.cluster.test_move import everything, in_thread
from tests.cluster.test_nodes import Node
from tests.kits.engine import Desk, furnish
from tests.kits.queue import enqueue
from tests.store.conftest import SqliteEngine
from tests.waiting import until


def keeper(engine: PostgresEngine, tmp_path: Path) -> ClusterKeeper:
    return ClusterKeeper(engine.place.url, "", tmp_path / "cache", engine.store.mend)


async def back_up(engine: PostgresEngine, tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir(exist_ok=True)
    steps = [step async for step in keeper(engine, tmp_path).backup(folder)]
    assert steps[-1].octets == steps[-1].total > 0
    return folder


async def flaws(engine: PostgresEngine, tmp_path: Path, *, fix: bool = False) -> list[Flaw]:
    return [one async for one in keeper(engine, tmp_path).verify(fix=fix) if isinstance(one, Flaw)]


async def some_mail(engine: PostgresEngine) -> Desk:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, *map(str, range(20)), "large" * 30_000, prefix=b"X: 1\r\n")
    await desk.flag(inbox, "3:9", "\\Seen", "$Key")
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(5, 6)]), force=True)
    )
    trash = (await desk.box("Trash")).mailbox_id
    await desk.store.apply(SetRetention(account_id=desk.id, mailbox_id=trash, days=30))
    await enqueue(engine.store, "a@one.test", due=1.0)
    await engine.settle()
    return desk


async def test_a_backup_is_of_one_moment_and_is_restored_into_either_engine(
    server: Database, engine: PostgresEngine, tmp_path: Path
) -> None:
    desk = await some_mail(engine)
    await back_up(engine, tmp_path)  # the second one takes the place of the first
    before = await everything(engine.store)
    inbox = await desk.box()
    ended = False

    async def mail() -> None:
        while not ended:
            await desk.add(inbox, "meanwhile", "and its twin")  # one commit

    sender = asyncio.create_task(mail())
    folder = await back_up(engine, tmp_path)
    ended = True
    await sender
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "mail.db"]

    def restored(url: str) -> None:
        restore_into_cluster(folder, url, "", tmp_path / "work", same=True, now=1)

    other = PostgresEngine(server.make(template="template_posthouse"), tmp_path / "other")
    await in_thread(lambda: restored(other.place.url))
    await other.open()
    there = await everything(other.store)
    box = next(box for box in there["ann@example.test"]["mailboxes"] if box.name == "INBOX")
    assert (box.total - 19) % 2 == 0, "a commit is in it whole, or not"
    assert [account.address for account in there["accounts"]] == ["ann@example.test"]
    assert there["queue"] == before["queue"]
    old = before["ann@example.test"]["INBOX"]
    new = there["ann@example.test"]["INBOX"]
    assert [column[: len(old[0])] for column in new[:5]] == [list(column) for column in old[:5]]
    assert new[5] == old[5]
    await other.settle()
    assert await flaws(other, tmp_path) == []
    with pytest.raises(StoreUnavailable, match="running"):
        await in_thread(lambda: restored(other.place.url))
    await other.store.close()

    embedded = SqliteEngine(tmp_path / "small")
    (tmp_path / "small").mkdir()
    for path in folder.iterdir():
        path.rename(tmp_path / "small" / path.name)
    small = await embedded.open()
    assert await everything(small) == there
    await small.close()


async def test_verify_finds_and_mends(server: Database, engine: PostgresEngine, tmp_path: Path) -> None:
    desk = await some_mail(engine)
    inbox = await desk.box()
    assert await flaws(engine, tmp_path) == []

    def sql(statement: str) -> Any:
        return server.sql(statement, engine.place.url.rpartition("/")[2])

    sql("UPDATE mailbox SET total = total + 5, unseen = 0 WHERE name = 'INBOX'")
    sql(
        f"INSERT INTO blob_share SELECT account_id, min(blob_id), 9 FROM blob WHERE account_id = {desk.id} GROUP BY 1"
    )
    sql(
        "UPDATE blob SET content = 'other'::bytea WHERE blob_id ="
        f" (SELECT max(blob_id) FROM blob WHERE account_id = {desk.id})"
    )
    found = await flaws(engine, tmp_path)
    assert sorted(flaw.kind for flaw in found) == [
        "damaged message",
        "wrong counts",
        "wrong owners of bytes",
    ]
    assert not any(flaw.mended for flaw in found)
    mended = await flaws(engine, tmp_path, fix=True)
    assert sorted(flaw.kind for flaw in mended if flaw.mended) == ["wrong counts", "wrong owners of bytes"]
    assert [flaw.kind for flaw in await flaws(engine, tmp_path)] == ["damaged message"]
    await desk.add(inbox, "after")  # the running node reads again what was mended
    box = await desk.box()
    assert box.total == 20


async def test_verify_expunges_messages_of_which_only_the_place_is_left(
    server: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a client would: whoever has the mailbox open at another node is told, and the history knows."""
    monkeypatch.setattr(limits, "PIECE_ROWS", 2)
    async with nodes(url, tmp_path) as (one, other):
        desk = await furnish(Node(one))
        inbox, archive = await desk.box(), await desk.box("Archive")
        _, broken, twice = await desk.add(inbox, "one", "two", "three")
        await desk.store.apply(
            PlaceEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("3"),
                target_id=archive.mailbox_id,
            )
        )
        index = await other.index(desk.id, inbox.mailbox_id)
        before = (await other.states(desk.id)).mail
        lost = f"{broken.email_id}, {twice.email_id}"
        server.sql(
            f"DELETE FROM email WHERE account_id = {desk.id} AND email_id IN ({lost})", url.rpartition("/")[2]
        )

        async def kinds(*, fix: bool) -> list[tuple[str, bool]]:
            found = ClusterKeeper(url, "", tmp_path / "cache", one.mend).verify(fix=fix)
            return [(each.kind, each.mended) async for each in found if isinstance(each, Flaw)]

        # The octets stay: nobody can tell whether they are of use.
        assert await kinds(fix=True) == [("placement without email", True)] * 3
        await until(lambda: list(index.uids) == [1])
        for mailbox, gone in ((inbox, "2:3"), (archive, "1")):
            assert str(await other.vanished_since(desk.id, mailbox.mailbox_id, before)) == gone
        counts = {each.name: each.total for each in await other.mailboxes(desk.id)}
        assert (counts["INBOX"], counts["Archive"]) == (1, 0)
        assert await kinds(fix=False) == []


async def test_verify_tells_a_thousand_flaws_and_counts_the_others(
    server: Database, engine: PostgresEngine, tmp_path: Path
) -> None:
    desk = await some_mail(engine)
    inbox = await desk.box()

    def sql(statement: str) -> Any:
        return server.sql(statement, engine.place.url.rpartition("/")[2])

    sql(
        "INSERT INTO placement SELECT account_id, mailbox_id, 5000 + n, 900000 + n, 0, 1, 1, 10, 1, 1"
        f" FROM mailbox, generate_series(1, 1200) AS n WHERE mailbox_id = {inbox.mailbox_id}"
    )
    found = await flaws(engine, tmp_path)
    *told, last = found
    assert len(told) == 1000
    assert {flaw.kind for flaw in told} == {"placement without email"}
    # 200 of the kind, and the counts of the mailbox
    assert (last.kind, last.what, last.mended) == ("more", "201 more flaws", False)
    mended = await flaws(engine, tmp_path, fix=True)
    assert len(mended) == 1001
    assert mended[-1].what == "200 more flaws", "and with the messages their wrong counts have gone"
    assert all(flaw.mended for flaw in mended)
    assert await flaws(engine, tmp_path) == []


async def test_verify_names_ten_of_those_who_share_damaged_bytes(
    server: Database, engine: PostgresEngine, tmp_path: Path
) -> None:
    desk = await furnish(engine)
    inbox, archive = await desk.box(), await desk.box("Archive")
    await desk.add(inbox, "shared")
    for _ in range(12):
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1"),
                target_id=archive.mailbox_id,
            )
        )
    server.sql("UPDATE blob SET content = 'other'::bytea", engine.place.url.rpartition("/")[2])
    (flaw,) = [each for each in await flaws(engine, tmp_path) if each.kind == "damaged message"]
    assert flaw.what.count("email ") == 10
    assert flaw.what.endswith(" and 3 more")
