"""Opening: the lock, file modes, migrations, and what a crash has left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from posthouse.errors import StoreUnavailable
from posthouse.store.derive import derive
from posthouse.store.model import Content
from posthouse.store.sqlite import connection, queue
from posthouse.store.sqlite import migrate as migration
from posthouse.store.sqlite.connection import connect
from posthouse.store.sqlite.lock import StoreLock
from posthouse.store.sqlite.migrate import migrate, steps
from posthouse.store.sqlite.store import SqliteStore
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_a_second_opening_is_refused_and_names_the_holder(engine: SqliteEngine) -> None:
    with pytest.raises(StoreUnavailable, match=f"process {os.getpid()}"):
        await SqliteEngine(engine.folder).open()
    await furnish(engine)  # the refused one has disturbed nothing
    await engine.store.close()
    await engine.open()


async def test_an_opening_that_fails_lets_go_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "release_all", fails)
        with pytest.raises(StoreUnavailable):
            await SqliteEngine(tmp_path).open()
    assert not [each for each in threading.enumerate() if each.name.startswith("store-")]
    engine = SqliteEngine(tmp_path)
    await engine.open()
    await engine.store.close()


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, time; from posthouse.store.sqlite.lock import StoreLock\n"
        "StoreLock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StoreUnavailable, match=f"process {holder.pid}"):
        StoreLock(path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    StoreLock(path).release()


async def test_nobody_else_may_look_inside(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "data")
    await engine.open()
    desk = await furnish(engine)
    await desk.store.apply(desk.message(await desk.box(), content=Content.of(b"x" * 50_000)))
    for path in [engine.folder, *engine.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    await engine.store.close()


def columns_of(path: Path, table: str) -> list[str]:
    db = connect(path)
    try:
        return [row[1] for row in db.rows(f"PRAGMA table_info({table})")]
    finally:
        db.close()


def test_migrations_run_once_in_order_after_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    known = {
        1: "CREATE TABLE thing (a)",
        2: "ALTER TABLE thing ADD COLUMN b",
        3: "ALTER TABLE thing ADD COLUMN c",
    }
    migrate(path, 1, {1: known[1]})
    assert not list(tmp_path.glob("*.before-*"))
    migrate(path, 2, known)
    migrate(path, 3, known)
    assert columns_of(path, "thing") == ["a", "b", "c"]
    copy = tmp_path / "mail.db.before-003"
    assert columns_of(copy, "thing") == ["a"]
    assert list(tmp_path.glob("*.before-*")) == [copy]


def test_the_copy_is_private_and_durable_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mail.db"
    migrate(path, 1, {1: "CREATE TABLE thing (a)"})
    copy = tmp_path / "mail.db.before-002"
    seen: list[tuple[str, int]] = []
    real = migration.sync

    def noted(synced: Path) -> None:
        assert columns_of(path, "thing") == ["a"], "not changed yet"
        seen.append((synced.name, stat.S_IMODE(synced.stat().st_mode)))
        real(synced)

    monkeypatch.setattr(migration, "sync", noted)
    before = os.umask(0)
    try:
        migrate(path, 2, {1: "-", 2: "ALTER TABLE thing ADD COLUMN b"})
    finally:
        os.umask(before)
    assert [name for name, _ in seen] == [f"{copy.name}.part", tmp_path.name]
    assert seen[0][1] == stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert columns_of(copy, "thing") == ["a"]


async def test_old_lines_of_the_timeline_are_found_however_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    known = steps()
    migrate(path, 1, {number: text for number, text in known.items() if number < 12})
    db = connect(path)
    for number, address in enumerate(("Ann@North.TEST", "ann@north.test", "Bob@north.test"), 1):
        db.execute("INSERT INTO event VALUES (?, ?, 1.0, 'received', ?, '')", (number, f"t{number}", address))
    db.close()
    store = await SqliteStore.open(path, tmp_path / "blobs", derive=derive)
    try:
        for written in ("ann@north.test", "Ann@North.TEST"):
            found = await store.events(address=written)
            assert [line.trace_id for line in found] == ["t1", "t2"]
    finally:
        await store.close()


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    migrate(path, 1, {1: "CREATE TABLE thing (a)"})
    broken = {1: "-", 2: "ALTER TABLE thing ADD COLUMN b", 3: "ALTER TABLE missing ADD COLUMN c"}
    with pytest.raises(apsw.SQLError):
        migrate(path, 2, broken)
    assert columns_of(path, "thing") == ["a"]
    migrate(path, 3, {1: "-", 2: "ALTER TABLE thing ADD COLUMN b"})
    assert columns_of(path, "thing") == ["a", "b"]


async def test_a_newer_schema_is_refused(engine: SqliteEngine) -> None:
    await engine.store.close()
    db = connect(engine.path)
    db.execute("INSERT INTO schema_version VALUES (?, 0)", (max(steps()) + 1,))
    db.close()
    with pytest.raises(StoreUnavailable, match="schema"):
        await engine.open()
    db = connect(engine.path)
    db.execute("DELETE FROM schema_version WHERE version > ?", (max(steps()),))
    db.close()
    await engine.open()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mail.db").write_bytes(b"not a database, but long enough to look like something" * 100)
    with pytest.raises(StoreUnavailable):
        await SqliteEngine(tmp_path).open()


async def test_orphans_and_torn_tails_are_removed(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    first = await desk.store.apply(desk.message(inbox, content=Content.of(b"1" * 50_000)))
    await engine.store.close()
    blobs = engine.folder / "blobs"
    (segment,) = blobs.glob("*.seg")
    whole = segment.stat().st_size
    with segment.open("ab") as file:
        file.write(b"torn" * 1000)
    (blobs / "000777.seg").write_bytes(b"left by a crash")
    await engine.open()
    assert list(blobs.glob("*.seg")) == [segment]
    assert segment.stat().st_size == whole
    second = await desk.store.apply(desk.message(inbox, content=Content.of(b"2" * 50_000)))
    await engine.reopen()
    found = await desk.store.messages(desk.id, [first.email_id, second.email_id])
    assert found == [b"1" * 50_000, b"2" * 50_000]


async def test_numbers_are_never_given_twice(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    seen: list[int] = []
    for _ in range(3):
        (added,) = await desk.add(inbox, "x")
        seen.append(added.email_id)
        await engine.reopen()
    assert seen == sorted(set(seen))


async def test_a_connection_does_not_wait_for_who_writes(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_MS", 0)
    writer = connect(engine.path)
    writer.execute("BEGIN IMMEDIATE")
    reader = connect(engine.path)
    assert reader.rows("PRAGMA auto_vacuum") == [(2,)]
    reader.close()
    writer.execute("ROLLBACK")
    writer.close()
