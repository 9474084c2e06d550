"""Full disks, failing disks, damaged files, bugs: refused clearly, nothing half-kept, and over when the cause is."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import AddEmail, Expunge, SetFlags
from posthouse.store.model import Content, Derived
from posthouse.store.sqlite import engine as engine_module
from posthouse.store.sqlite import segments, space, staging, upkeep
from posthouse.store.sqlite.connection import connect
from posthouse.store.sqlite.operations import OPERATIONS
from posthouse.store.sqlite.segments import write_all
from posthouse.store.sqlite.transaction import Transaction
from posthouse.store.sqlite.verify import Flaw
from tests.kits.engine import Desk, furnish
from tests.store.conftest import SqliteEngine, derive

BIG = Content.of(b"x" * 50_000)


@pytest.fixture(autouse=True)
def looks_for_space_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(engine_module, "RETRY_SECONDS", 0.02)


def full(*_: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def noise(size: int) -> Content:
    return Content.of(b"Subject: noise\r\n\r\n" + os.urandom(size))


async def until_accepted(desk: Desk, op: AddEmail) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await desk.store.apply(op)
            except StoreUnavailable:
                await asyncio.sleep(space.RETRY_SECONDS)
            else:
                return


# --- a full disk ------------------------------------------------------------------------------------------


@pytest.fixture
async def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteEngine]:
    """A store on a disk of 12 MB with 2 MB held back."""
    monkeypatch.setattr(limits, "SPACE_RESERVE", 2 << 20)
    monkeypatch.setattr(limits, "WAL_OCTETS", 1 << 20)
    monkeypatch.setattr(limits, "SEGMENT_OCTETS", 500_000)
    disk = tmp_path / "disk"
    disk.mkdir()
    if not await command("mount", "-t", "tmpfs", "-o", "size=12m", "posthouse-test", str(disk)):
        pytest.skip("a small disk of one's own (tmpfs) takes the right to mount")
    engine = SqliteEngine(disk)
    try:
        await engine.open()
        yield engine
        await engine.store.close()
    finally:
        await command("umount", "-l", str(disk))


async def command(*words: str) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(*words, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return False
    return await process.wait() == 0


async def fill(desk: Desk, size: int) -> None:
    """Until all is refused for a while: the first time there may be room again in the log once it is copied."""
    inbox = await desk.box()
    refused_since = None
    while refused_since is None or time.monotonic() - refused_since < 15 * space.RETRY_SECONDS:
        results = await asyncio.gather(
            *(desk.store.apply(desk.message(inbox, content=noise(size))) for _ in range(10)),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(result, StoreUnavailable) for result in refused)
        refused_since = (refused_since or time.monotonic()) if len(refused) == 10 else None
        await asyncio.sleep(0.01 if refused else 0)


def locked(*_: Any) -> None:
    raise apsw.BusyError("database is locked")


@pytest.mark.slow
@pytest.mark.parametrize("copier", ["in time", "late"])
@pytest.mark.parametrize("size", [8_000, 50_000])
async def test_full_disk_refuses_mail_but_reads_and_deletes_and_recovers(
    small_disk: SqliteEngine, size: int, copier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if copier == "late":  # on a busy machine: so the log may take all the room before any of it is copied
        monkeypatch.setattr(upkeep.Checkpointer, "_copy", locked)
    desk = await furnish(small_disk)
    inbox = await desk.box()
    content = noise(size)
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    await fill(desk, size)
    kept = len(index)
    assert kept > 10
    assert (await desk.box()).total == kept
    mine = {"account_id": desk.id, "mailbox_id": inbox.mailbox_id}
    for uid in list(index.uids)[:20]:
        await desk.store.apply(
            SetFlags(uids=Ranges([(uid, uid)]), action="add", flags=frozenset({"\\Seen"}), **mine)
        )
    assert None not in await desk.store.messages(desk.id, list(index.email_ids)[:50])
    await fill(desk, size)  # what the log gave back while flags changed
    await desk.store.apply(Expunge(uids=Ranges([(1, index.uids[kept // 2])]), force=True, **mine))
    await until_accepted(desk, desk.message(inbox, content=content))
    await small_disk.reopen()
    again = await desk.store.index(desk.id, inbox.mailbox_id)
    assert list(again.uids) == list(index.uids)
    assert await desk.store.messages(desk.id, [again.email_ids[-1]]) == [content.beginning()]


@pytest.mark.slow
@pytest.mark.parametrize("size", [8_000, 50_000])
async def test_while_a_reader_is_in_the_way_the_log_takes_no_more_than_could_be_copied(
    small_disk: SqliteEngine, size: int
) -> None:
    desk = await furnish(small_disk)
    inbox = await desk.box()
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    reader = connect(small_disk.path)
    reader.execute("BEGIN")
    reader.rows("SELECT count(*) FROM email")  # as a backup: what it sees must stay as it is
    while True:
        try:
            await desk.store.apply(desk.message(inbox, content=noise(size)))
        except StoreUnavailable:
            break
    await desk.flag(inbox, "1", "\\Seen")
    kept = len(index)
    reader.execute("COMMIT")
    reader.close()
    mine = {"account_id": desk.id, "mailbox_id": inbox.mailbox_id}
    for uid in list(index.uids)[:20]:
        await desk.flag(inbox, str(uid), "\\Flagged")
    await desk.store.apply(Expunge(uids=Ranges([(1, index.uids[kept // 2])]), force=True, **mine))
    await until_accepted(desk, desk.message(inbox, content=noise(size)))
    await small_disk.reopen()
    assert list((await desk.store.index(desk.id, inbox.mailbox_id)).uids) == list(index.uids)


@pytest.mark.slow
async def test_on_a_full_disk_what_could_be_brought_back_goes_first(small_disk: SqliteEngine) -> None:
    small_disk.settings["keep_deleted"] = True
    await small_disk.reopen()
    desk = await furnish(small_disk)
    inbox = await desk.box()
    mine = {"account_id": desk.id, "mailbox_id": inbox.mailbox_id}
    for _ in range(5):
        await desk.store.commit(*(desk.message(inbox, content=noise(8_000)) for _ in range(60)))
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        await desk.store.apply(Expunge(uids=Ranges([(1, index.uids[-1])]), force=True, **mine))
        if not await desk.store.deleted(desk.id, 1):
            break
    await fill(desk, 8_000)
    await small_disk.settle()
    assert await desk.store.deleted(desk.id, 1) == []
    assert [flaw async for flaw in desk.store.verify(fix=False) if isinstance(flaw, Flaw)] == []


@pytest.mark.slow
async def test_a_store_starts_on_a_full_disk_to_read_and_delete(small_disk: SqliteEngine) -> None:
    desk = await furnish(small_disk)
    inbox = await desk.box()
    await desk.add(inbox, "a", "b", "c")
    await small_disk.store.close()
    others = small_disk.folder / "others"
    with others.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(os.urandom(1000))
    await small_disk.open()
    assert await previews(desk) == [("a",), ("b",), ("c",)]
    await desk.flag(inbox, "1", "\\Seen")
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(2, 3)]), force=True)
    )
    with pytest.raises(StoreUnavailable):
        await desk.add(inbox, "d")
    await small_disk.reopen()
    others.unlink()
    await until_accepted(desk, desk.message(inbox, content=noise(1000)))
    assert (await desk.box()).total == 2


async def test_a_segment_that_cannot_grow_fails_only_what_needs_it(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "small")
    await desk.store.apply(desk.message(inbox, content=BIG))
    with monkeypatch.context() as patch:
        patch.setattr(segments, "write_all", full)
        patch.setattr(space, "RETRY_SECONDS", 0.0)  # so much may pass on a busy disk before the second try
        big, flag = await asyncio.gather(
            desk.store.apply(desk.message(inbox, content=Content.of(b"y" * 50_000))),
            desk.flag(inbox, "1", "\\Seen"),
            return_exceptions=True,
        )
        assert isinstance(big, StoreUnavailable)
        assert flag == Ranges([(1, 1)])
    await until_accepted(desk, desk.message(inbox, content=BIG))
    await engine.reopen()
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    assert list(index.uids) == [1, 2, 3]
    assert (await desk.store.messages(desk.id, list(index.email_ids)))[1:] == [BIG.beginning()] * 2


async def test_a_staged_message_that_cannot_grow_is_refused_and_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    assert list((engine.folder / "blobs").glob("*.seg"))
    monkeypatch.setattr(staging, "write_all", full)
    with pytest.raises(StoreUnavailable):
        await upload.write(b"x" * 2000)
    await upload.discard()
    assert not list((engine.folder / "blobs").glob("*.seg"))


async def test_an_abandoned_upload_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    content = await upload.finish()
    assert content.path is not None
    assert content.path.exists()
    path = content.path
    del content
    assert not path.exists()


async def test_stagings_together_hold_a_bounded_memory(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.store._engine.budget.left = 3000
    uploads = [engine.store.stage() for _ in range(4)]
    for upload in uploads:
        await upload.write(b"x" * 1000)
    assert len(list((engine.folder / "blobs").glob("*.seg"))) == 1, "the fourth went to a file early"
    contents = [await upload.finish() for upload in uploads]
    assert engine.store._engine.budget.left == 3000
    assert [content.size for content in contents] == [1000] * 4


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwritev

    def some(fd: int, parts: list[bytes], offset: int) -> int:
        return real(fd, [b"".join(parts)[:7]], offset)

    monkeypatch.setattr(os, "pwritev", some)
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    write_all(fd, [b"abcdefghij", b"", b"klm", b"nopqrstuvwxyz"], 2)
    assert os.pread(fd, 100, 0) == b"\0\0abcdefghijklmnopqrstuvwxyz"
    os.close(fd)


# --- a failing disk, and bugs -------------------------------------------------------------------------------


async def test_a_failed_sync_stops_writing_until_a_restart(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "before")

    def fail(self: Transaction) -> None:
        fault = apsw.IOError("disk I/O error")
        fault.extendedresult = apsw.SQLITE_IOERR_FSYNC  # type: ignore[attr-defined]
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", fail)
        with pytest.raises(StoreUnavailable):
            await desk.add(inbox, "lost")
    with pytest.raises(StoreUnavailable):
        await desk.add(inbox, "what the system wrote after a failed sync cannot be known")
    assert (await desk.box()).total == 1
    await engine.reopen()
    await desk.add(inbox, "after")
    assert [row and row[0] for row in await previews(desk)] == ["before", "after"]


async def previews(desk: Desk) -> list[Any]:
    index = await desk.store.index(desk.id, (await desk.box()).mailbox_id)
    return await desk.store.emails(desk.id, list(index.email_ids), ("preview",))


async def test_a_bug_in_an_operation_fails_its_batch_and_no_other(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    real = OPERATIONS[AddEmail]

    def broken(tx: Transaction, op: AddEmail) -> Any:
        real(tx, op)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setitem(OPERATIONS, AddEmail, broken)
        with pytest.raises(StoreUnavailable):
            await desk.add(inbox, "a")
    await desk.add(inbox, "b")
    assert await previews(desk) == [("b",)]
    assert (await desk.box()).total == 1


async def test_a_damaged_segment_fails_its_messages_only(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    added = await desk.store.apply(desk.message(inbox, content=BIG))
    (small,) = await desk.add(inbox, "small")
    await engine.store.close()
    (segment,) = (engine.folder / "blobs").glob("*.seg")
    os.truncate(segment, 1000)
    await engine.open()
    (stored,) = await desk.store.stored(desk.id, [added.email_id])
    assert stored is not None
    with pytest.raises(StoreUnavailable):
        await desk.store.read(stored)
    found = await desk.store.messages(desk.id, [added.email_id, small.email_id])
    assert found[0] is None
    assert found[1] is not None


async def test_a_missing_segment_fails_its_messages_only(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.store.apply(desk.message(inbox, content=BIG))
    await engine.store.close()
    for segment in (engine.folder / "blobs").glob("*.seg"):
        segment.unlink()
    await engine.open()
    await desk.store.apply(desk.message(inbox, content=BIG))
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    assert await desk.store.messages(desk.id, list(index.email_ids)) == [None, BIG.beginning()]


async def test_a_message_that_cannot_be_derived_hides_no_other(tmp_path: Path) -> None:
    def fails_once(raw: bytes, received_at: int) -> Derived:
        if b"poison" in raw:
            raise RuntimeError
        return derive(raw, received_at)

    engine = SqliteEngine(tmp_path, derive=fails_once)
    await engine.open()
    try:
        desk = await furnish(engine)
        await desk.add(await desk.box(), "a", "poison", "b")
        await engine.settle()
        assert await previews(desk) == [("a",), None, ("b",)]
    finally:
        await engine.store.close()


async def test_a_damaged_snapshot_is_only_slower(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, *map(str, range(600)))
    await desk.store.index(desk.id, inbox.mailbox_id)
    await engine.reopen()
    assert (await desk.store.index(desk.id, inbox.mailbox_id)).from_snapshot
    for damage in (b"", b"PHi1", b"x" * 50):
        await engine.store.close()
        db = connect(engine.path)
        db.execute("UPDATE mailbox_snapshot SET packed = ?", (damage,))
        db.close()
        await engine.open()
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert not index.from_snapshot
        assert list(index.uids) == list(range(1, 601))


async def test_a_closed_store_refuses(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    waiting = desk.add(inbox, "handed in before the end")
    pending = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    await engine.store.close()
    assert len(await pending) == 1
    with pytest.raises(StoreUnavailable):
        await desk.add(inbox, "too late")
    with pytest.raises(StoreUnavailable):
        await desk.store.queue()
    await engine.store.close()
    await engine.open()
    assert await previews(desk) == [("handed in before the end",)]
