"""Copies of a store while it lives on: what is there already is used again only when it is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.inbound import outbox
from posthouse.store.account_model import SUBMISSIONS
from posthouse.store.interface import AddEmail, Expunge, PutItem
from posthouse.store.metadata import SetMetadata
from posthouse.store.model import Content
from posthouse.store.sqlite.archive import Archive
from posthouse.store.sqlite.backup import copy_back
from tests.kits.engine import NOW, Desk, furnish
from tests.kits.metadata import values_of
from tests.store.conftest import SqliteEngine


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    monkeypatch.setattr(limits, "BACKUP_BLOCK", 4096)


async def back_up(engine: SqliteEngine, folder: Path) -> int:
    written = 0
    async for copied in engine.store.backup(folder):
        written = copied.written
    return written


async def add_large(desk: Desk, raw: bytes) -> None:
    """A message that becomes a segment of its own."""
    staging = desk.store.stage()
    await staging.write(raw)
    inbox = await desk.box()
    await desk.store.apply(
        AddEmail(
            account_id=desk.id, mailbox_id=inbox.mailbox_id, content=await staging.finish(), received_at=NOW
        )
    )


def messages_of(folder: Path, desk: Desk) -> list[bytes]:
    archive = Archive(folder)
    try:
        (inbox,) = [each for each in archive.folders(desk.id) if each.name == "INBOX"]
        return [archive.read(each) for each in archive.messages(desk.id, inbox.mailbox_id, 0, 100)]
    finally:
        archive.close()


async def remove_all(engine: SqliteEngine, desk: Desk) -> None:
    inbox = await desk.box()
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
    await engine.settle()
    while await engine.store._engine._compactor.step():
        pass


@pytest.mark.parametrize("size", [4_000, 60_000, 90_000])
async def test_a_number_given_anew_after_a_restart_is_another_segment(
    engine: SqliteEngine, tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "backup"
    desk = await furnish(engine)
    old, new = os.urandom(60_000), os.urandom(size)
    await add_large(desk, old)
    await back_up(engine, folder)
    assert messages_of(folder, desk) == [old]
    await remove_all(engine, desk)
    await engine.reopen()
    await add_large(desk, new)
    await back_up(engine, folder)
    assert messages_of(folder, desk) == [new]


async def test_a_store_that_was_restored_goes_on_otherwise_than_the_backup(
    engine: SqliteEngine, tmp_path: Path
) -> None:
    """Two folders of backups in turn: the store is restored from the older one, and goes on in the same segment."""
    older, newer = tmp_path / "older", tmp_path / "newer"
    desk = await furnish(engine)
    inbox = await desk.box()
    first, lost, other = (os.urandom(20_000) for _ in range(3))
    await desk.store.apply(desk.message(inbox, content=Content.of(first)))
    await back_up(engine, older)
    await desk.store.apply(desk.message(inbox, content=Content.of(lost)))
    await back_up(engine, newer)
    again = SqliteEngine(tmp_path / "again")
    copy_back(older, again.path, again.folder / "blobs", same=False, now=NOW)
    await again.open()
    try:
        desk = Desk(again, desk.account)
        await desk.store.apply(desk.message(await desk.box(), content=Content.of(other)))
        await back_up(again, newer)
    finally:
        await again.store.close()
    assert messages_of(newer, desk) == [first, other]


async def test_what_is_there_is_not_copied_again(engine: SqliteEngine, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    desk = await furnish(engine)
    inbox = await desk.box()
    raw = [b"Subject: much\r\n\r\n" + os.urandom(500_000) for _ in range(4)]
    for each in raw[:3]:
        await desk.store.apply(desk.message(inbox, content=Content.of(each)))
    before = await back_up(engine, folder)
    await desk.store.apply(desk.message(inbox, content=Content.of(raw[3])))
    assert await back_up(engine, folder) < before - 700_000, "but for the database"
    assert messages_of(folder, desk) == raw


async def test_a_backup_that_is_cut_off_leaves_the_one_before_and_is_begun_again(
    engine: SqliteEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    desk = await furnish(engine)
    old, new, more = (os.urandom(60_000) for _ in range(3))
    await add_large(desk, old)
    await back_up(engine, folder)
    await remove_all(engine, desk)
    await engine.reopen()
    await add_large(desk, new)
    await add_large(desk, more)
    running = engine.store.backup(folder)
    await anext(running)
    await anext(running)
    await running.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert messages_of(folder, desk) == [old]
    await back_up(engine, folder)
    assert messages_of(folder, desk) == [new, more]
    assert not list((folder / "blobs").glob("*.new"))


@pytest.mark.parametrize("same", [False, True])
async def test_what_was_to_be_sent_since_is_not_sent_again(
    engine: SqliteEngine, tmp_path: Path, same: bool
) -> None:
    assert outbox.KIND == SUBMISSIONS
    desk = await furnish(engine)
    for kind, due_at in ((SUBMISSIONS, NOW - 10), (SUBMISSIONS, NOW + 500), ("Snooze", NOW - 10)):
        await desk.store.apply(PutItem(account_id=desk.id, kind=kind, data=b"{}", due_at=due_at))
    await back_up(engine, tmp_path / "backup")
    again = SqliteEngine(tmp_path / "again")
    copy_back(tmp_path / "backup", again.path, again.folder / "blobs", same=same, now=NOW + 100)
    await again.open()
    try:
        due = await again.store.items_due(SUBMISSIONS, NOW + 100, 10)
        assert len(due) == same, "it may have been sent after the backup"
        assert await again.store.item_count(desk.id, SUBMISSIONS) == 2
        assert len(await again.store.items_due(SUBMISSIONS, NOW + 1000, 10)) == 1 + same
        assert len(await again.store.items_due("Snooze", NOW + 100, 10)) == 1
    finally:
        await again.store.close()


async def test_annotations_come_back(engine: SqliteEngine, tmp_path: Path) -> None:
    desk = await furnish(engine)
    inbox = (await desk.box()).mailbox_id
    await desk.store.apply(SetMetadata(account_id=desk.id, mailbox_id=inbox, values={"/private/a": b"1"}))
    await back_up(engine, tmp_path / "backup")
    await desk.store.apply(SetMetadata(account_id=desk.id, mailbox_id=inbox, values={"/private/a": b"2"}))
    again = SqliteEngine(tmp_path / "again")
    copy_back(tmp_path / "backup", again.path, again.folder / "blobs", same=True, now=NOW)
    await again.open()
    try:
        assert await values_of(again.store, desk.id, inbox) == {"/private/a": b"1"}
    finally:
        await again.store.close()
