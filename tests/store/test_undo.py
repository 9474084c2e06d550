"""Transactions that the disk cuts off: memory and files are as before, also when undoing meets faults itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.model import Content
from posthouse.store.sqlite import segments
from posthouse.store.sqlite.segments import SegmentFolder, SegmentWriter
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


def broken(*_: Any) -> Any:
    raise OSError(errno.EIO, "Input/output error")


async def test_what_could_not_be_undone_on_the_disk_is_undone_in_memory(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    big = [Content.of(os.urandom(20_000)) for _ in range(3)]
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    await desk.store.apply(desk.message(inbox, content=big[0]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(StoreUnavailable):
            await desk.store.apply(desk.message(inbox, content=big[1]))
    last = await desk.store.apply(desk.message(inbox, content=big[2]))
    assert last.uid == 2
    assert list(index.uids) == [1, 2]
    assert await desk.store.messages(desk.id, list(index.email_ids)) == [big[0].head, big[2].head]
    present = await desk.box()
    assert (present.total, present.size) == (2, 40_000)


async def test_segments_that_a_failed_commit_began_are_removed(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a full disk fills up with what was refused, until the next start."""
    monkeypatch.setattr(limits, "SEGMENT_OCTETS", 30_000)
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.store.apply(desk.message(inbox, content=Content.of(os.urandom(20_000))))
    before = sorted((engine.folder / "blobs").glob("*.seg"))
    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "fdatasync", broken_after(2))
        with pytest.raises(StoreUnavailable):
            await desk.store.commit(
                *(desk.message(inbox, content=Content.of(os.urandom(20_000))) for _ in range(3))
            )
    assert sorted((engine.folder / "blobs").glob("*.seg")) == before
    await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 20_000)))
    assert (await desk.box()).total == 2


def broken_after(calls: int) -> Any:
    real = os.fdatasync
    left = [calls]

    def sync(fd: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            broken()
        real(fd)

    return sync


def test_a_segment_whose_name_cannot_be_made_durable_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SegmentFolder(tmp_path)
    writer = SegmentWriter(folder)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "sync_folder", broken)
        with pytest.raises(OSError):
            writer.place([b"x"], 1, bytes(16))
    assert list(tmp_path.glob("*.seg")) == []
