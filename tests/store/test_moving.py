"""A store moved while it changes: what is noticed as changed, and what is no change. Clusters: tests/cluster."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import AddUpload, CreateMailbox, DeleteMailbox, Expunge, RemoveUpload
from posthouse.store.metadata import ACCOUNT_WIDE, SetMetadata
from posthouse.store.model import Content
from posthouse.store.moving.embedded import EmbeddedSource, EmbeddedTarget
from posthouse.store.moving.keeping import ClusterKeeper
from posthouse.store.moving.move import Mover
from posthouse.store.sqlite import upkeep
from posthouse.store.sqlite.archive import Archive
from posthouse.store.sqlite.verify import Flaw
from tests.kits.engine import NOW, Desk, furnish
from tests.kits.metadata import values_of
from tests.store.conftest import SqliteEngine


class Move:
    """From one embedded store to another, as a cluster's keeper does it."""

    def __init__(self, engine: SqliteEngine, folder: Path) -> None:
        self.engine = engine
        self.target = SqliteEngine(folder)
        self.movers: list[Mover] = []

    def mover(self) -> Mover:
        """A run of its own."""
        self.end()
        source = EmbeddedSource(self.engine.path, self.engine.folder / "blobs")
        self.movers.append(
            Mover(source, EmbeddedTarget(self.target.path, self.target.folder / "blobs"), lambda *_: None)
        )
        return self.movers[-1]

    def end(self) -> None:
        while self.movers:
            mover = self.movers.pop()
            mover._source.close()
            mover._target.close()


@pytest.fixture
def moving(engine: SqliteEngine, tmp_path: Path) -> Iterator[Move]:
    made = Move(engine, tmp_path / "moved")
    yield made
    made.end()


async def upload(desk: Desk, text: bytes) -> int:
    op = AddUpload(
        account_id=desk.id, content=Content.of(text), media_type="text/plain", created_at=NOW, kept=True
    )
    return (await desk.store.apply(op)).upload_id


async def test_annotations_are_moved(engine: SqliteEngine, moving: Move) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.store.apply(
        SetMetadata(account_id=desk.id, mailbox_id=inbox.mailbox_id, values={"/private/a": b"\0"})
    )
    mover = moving.mover()
    mover.copy_while_serving()
    await desk.store.apply(SetMetadata(account_id=desk.id, values={"/private/b": b"later"}))
    await engine.store.freeze()
    mover.finish()
    moving.end()
    store = await moving.target.open()
    try:
        assert await values_of(store, desk.id, inbox.mailbox_id) == {"/private/a": b"\0"}
        assert await values_of(store, desk.id, ACCOUNT_WIDE) == {"/private/b": b"later"}
    finally:
        await store.close()
        engine.store.thaw()


@pytest.mark.parametrize("first", [0, 1])
async def test_an_upload_in_the_place_of_another_is_moved(
    engine: SqliteEngine, moving: Move, first: int
) -> None:
    """What waits to be sent later is kept as an upload."""
    desk = await furnish(engine)
    before = [await upload(desk, b"one"), await upload(desk, b"two")]
    mover = moving.mover()
    mover.copy_while_serving()
    await desk.store.apply(RemoveUpload(account_id=desk.id, upload_id=before[first]))
    new = await upload(desk, b"three")
    await engine.store.freeze()
    mover.finish()
    moving.end()
    store = await moving.target.open()
    try:
        gone, found = await store.uploads(desk.id, [before[first], new])
        assert gone is None
        assert found is not None
        assert await store.read(found.stored) == b"three"
    finally:
        await store.close()
        engine.store.thaw()


async def test_octets_of_what_went_meanwhile_do_not_stay(engine: SqliteEngine, moving: Move) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    for size in (100, 50_000):
        await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * size)))
        await desk.store.apply(desk.message(inbox, content=Content.of(b"y" * size)))
    mover = moving.mover()
    mover.copy_while_serving()
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges.of([1, 3]), force=True)
    )
    await engine.settle()
    await engine.store.freeze()
    mover.finish()
    moving.end()
    store = await moving.target.open()
    try:
        flaws = [each async for each in store.verify(fix=False) if isinstance(each, Flaw)]
        assert flaws == []
        index = await store.index(desk.id, inbox.mailbox_id)
        assert await store.messages(desk.id, list(index.email_ids)) == [b"y" * 100, b"y" * 50_000]
    finally:
        await store.close()
        engine.store.thaw()


async def test_a_deleted_mailbox_that_is_swept_meanwhile_is_no_mismatch(
    engine: SqliteEngine, moving: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="old"))
    await desk.add(made, "a", "b")
    await desk.add(await desk.box(), "c")
    await engine.settle()
    monkeypatch.setattr(upkeep, "_sweep_emails", lambda tx: False)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_sweep_mailbox", lambda tx: False)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=made.mailbox_id))
        await engine.settle()
        moving.mover().copy_while_serving()
    engine.store._engine._want_sweep()
    await engine.settle()
    moved = moving.mover()
    moved.copy_while_serving()
    await engine.store.freeze()
    assert moved.finish().messages == 1
    engine.store.thaw()


class _Moment(EmbeddedSource):
    """Stands in for a cluster."""

    def begin(self) -> None:
        """Nothing changes in these tests."""


class Keeper(ClusterKeeper):
    """Makes a backup of an embedded store in the way a cluster's is made."""

    def __init__(self, engine: SqliteEngine) -> None:
        super().__init__("", "", engine.folder, self._none)
        self._engine = engine

    async def _none(self, work: object) -> bool:
        raise AssertionError("a backup mends nothing")

    def _open(self) -> Any:
        return _Moment(self._engine.path, self._engine.folder / "blobs")


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), apsw.FullError("full")])
async def test_a_cluster_backup_that_fails_leaves_the_one_before_and_no_octets_of_its_own(
    engine: SqliteEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Else each try takes more of a disk that is full."""
    desk = await furnish(engine)
    large = Content.of(b"x" * 50_000)
    await desk.store.apply(desk.message(await desk.box(), content=large))
    folder, keeper = tmp_path / "backup", Keeper(engine)
    async for _ in keeper.backup(folder):
        pass
    before = {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*")}

    def full(*_: Any) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedTarget, "put_rest", full)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                async for _ in keeper.backup(folder):
                    pass
    assert {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*")} == before
    descriptors = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("posthouse.store.moving.embedded.migrate", full)
        with pytest.raises(StoreUnavailable):
            async for _ in keeper.backup(folder):
                pass
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    async for _ in keeper.backup(folder):
        pass
    archive = Archive(folder)
    assert [archive.blob(number) for number in archive.blobs()] == [large.head]
    archive.close()


async def test_nobody_else_may_read_a_backup_of_a_cluster(engine: SqliteEngine, tmp_path: Path) -> None:
    desk = await furnish(engine)
    await desk.store.apply(desk.message(await desk.box(), content=Content.of(b"x" * 50_000)))
    before = os.umask(0o022)
    try:
        async for _ in Keeper(engine).backup(tmp_path / "backup"):
            pass
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []
