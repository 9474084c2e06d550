"""Large messages on their way in: whatever cuts one off, its file and descriptor go, and no other's is touched."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.model import Content
from posthouse.store.sqlite import staging, writer
from posthouse.store.sqlite.transaction import Transaction
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine
from tests.store.test_faults import full


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)


def files(engine: SqliteEngine) -> list[Path]:
    return list((engine.folder / "blobs").glob("*.seg"))


def held(engine: SqliteEngine) -> list[str]:
    """Segment files that this process has open, also removed ones."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(engine.folder / "blobs")) and ".seg" in path]


class Gate:
    """Holds writes of stagings up, as a slow disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        real = staging.write_all

        def slow(fd: int, parts: list[bytes], offset: int) -> None:
            self.reached.set()
            assert self.open.wait(10)
            real(fd, parts, offset)

        monkeypatch.setattr(staging, "write_all", slow)

    async def cut_off(self, writing: asyncio.Task[Any]) -> None:
        """Cancel who writes, when it is writing."""
        await asyncio.to_thread(self.reached.wait, 10)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing


async def test_a_first_write_that_fails_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "write_all", full)
    upload = engine.store.stage()
    with pytest.raises(StoreUnavailable):
        await upload.write(b"x" * 2000)
    await upload.discard()
    assert files(engine) == []
    assert held(engine) == []


@pytest.mark.parametrize("before", [0, 1])
async def test_who_is_cut_off_while_writing_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    upload = engine.store.stage()
    for _ in range(before):
        await upload.write(b"x" * 2000)
    gate = Gate(monkeypatch)
    await gate.cut_off(asyncio.create_task(upload.write(b"x" * 2000)))
    discarding = asyncio.create_task(upload.discard())
    await asyncio.sleep(0.05)
    assert len(held(engine)) == 1, "the disk is writing to it: it must not be closed under it"
    gate.open.set()
    await discarding
    assert files(engine) == []
    assert held(engine) == []


async def test_who_is_cut_off_while_finishing_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    gate = Gate(monkeypatch)
    await gate.cut_off(asyncio.create_task(upload.finish()))
    gate.open.set()
    await upload.discard()
    assert files(engine) == []
    assert held(engine) == []


async def test_a_discard_that_is_cut_off_is_done_all_the_same(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = engine.store.stage()
    gate = Gate(monkeypatch)
    await gate.cut_off(asyncio.create_task(upload.write(b"x" * 2000)))
    discarding = asyncio.create_task(upload.discard())
    await asyncio.sleep(0)
    discarding.cancel()
    gate.open.set()
    async with asyncio.timeout(10):
        while files(engine) or held(engine):
            await asyncio.sleep(0.01)


async def test_a_staged_message_of_a_commit_that_failed_leaves_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    content = await upload.finish()
    with pytest.raises(StoreUnavailable), monkeypatch.context() as patch:
        patch.setattr(
            writer.log, "disabled", True
        )  # what is logged here is kept, with all that its faults know
        patch.setattr(Transaction, "commit", full)
        await desk.store.commit(desk.message(inbox, content=content))
    del content
    async with asyncio.timeout(10):
        while files(engine):
            gc.collect()  # the fault and its frames know each other
            await asyncio.sleep(0.01)


async def test_what_was_adopted_is_not_remembered_for_ever(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    content = await upload.finish()
    added = await desk.store.apply(desk.message(inbox, content=content))
    del content
    async with asyncio.timeout(10):
        while engine.store._engine.folder.adopted:
            await asyncio.sleep(0.01)
    assert await desk.store.messages(desk.id, [added.email_id]) == [b"x" * 2000]


@pytest.mark.parametrize("finished", [True, False])
async def test_what_was_staged_before_a_restart_does_not_take_a_new_segment_with_it(
    engine: SqliteEngine, finished: bool
) -> None:
    """Numbers that nothing used begin anew: the file of that name is another one then."""
    desk = await furnish(engine)
    inbox = await desk.box()
    old = engine.store.stage()
    await old.write(b"x" * 2000)
    content = await old.finish() if finished else None
    (path,) = files(engine)
    await engine.reopen()
    added = await desk.store.apply(desk.message(inbox, content=Content.of(b"y" * 20_000)))
    assert files(engine) == [path]
    del content
    await old.discard()
    await engine.reopen()
    assert await desk.store.messages(desk.id, [added.email_id]) == [b"y" * 20_000]


async def test_a_staged_file_is_not_removed_when_the_process_ends(engine: SqliteEngine) -> None:
    """The next one may have the store open by then."""
    upload = engine.store.stage()
    await upload.write(b"x" * 2000)
    content = await upload.finish()
    mine = [each for each in weakref.finalize._registry if each.peek()[0] is content]  # type: ignore[attr-defined]
    assert [each.atexit for each in mine] == [False]
