"""Compaction: the dead are dropped, the cold compressed, remnants joined; killed at any point nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.foreground import Foreground
from posthouse.store.interface import Expunge
from posthouse.store.model import Content
from posthouse.store.sqlite import compaction, emails
from posthouse.store.sqlite.emails import _read_at, read_blob
from posthouse.store.sqlite.segments import SegmentFolder, frames
from tests.kits.engine import Desk, furnish
from tests.store.conftest import SqliteEngine, derive


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_OCTETS", 400_000)
    monkeypatch.setattr(compaction, "REMNANT_OCTETS", 50_000)
    monkeypatch.setattr(compaction.Compactor, "wake", lambda self: None)  # the tests say when


def message(i: int, size: int = 60_000) -> bytes:
    """Half of it cannot be compressed."""
    return b"Subject: %d\r\n\r\n" % i + os.urandom(size // 2) + b"words " * (size // 12)


class Filled:
    """A mailbox over several segments."""

    def __init__(self, engine: SqliteEngine, desk: Desk) -> None:
        self.engine = engine
        self.desk = desk
        self.raw: dict[int, bytes] = {}

    @classmethod
    async def make(cls, engine: SqliteEngine, count: int = 24) -> Filled:
        new = cls(engine, await furnish(engine))
        inbox = await new.desk.box()
        for i in range(count):
            raw = message(i)
            added = await new.desk.store.apply(new.desk.message(inbox, content=Content.of(raw)))
            new.raw[added.uid] = raw
        return new

    async def remove(self, uids: Ranges) -> None:
        inbox = await self.desk.box()
        await self.desk.store.apply(
            Expunge(account_id=self.desk.id, mailbox_id=inbox.mailbox_id, uids=uids, force=True)
        )
        for uid in uids:
            self.raw.pop(uid)
        await self.engine.settle()

    async def check(self) -> None:
        """Everything is whole, read from the files."""
        await self.engine.reopen()
        inbox = await self.desk.box()
        index = await self.desk.store.index(self.desk.id, inbox.mailbox_id)
        assert list(index.uids) == list(self.raw)
        assert await self.desk.store.messages(self.desk.id, list(index.email_ids)) == list(self.raw.values())
        for email_id, raw in zip(index.email_ids, self.raw.values(), strict=True):
            (stored,) = await self.desk.store.stored(self.desk.id, [email_id])
            assert stored is not None
            assert await self.desk.store.read(stored, 1000, 500) == raw[1000:1500]
        self.check_files()

    def check_files(self) -> None:
        """Files and rows know each other."""
        rows = segment_rows(self.engine)
        files = {int(path.stem): path for path in (self.engine.folder / "blobs").glob("*.seg")}
        assert set(rows) == set(files)
        for number, (size, _) in rows.items():
            assert list(frames(files[number], size))

    async def compact(self) -> int:
        count = 0
        while await self.engine.store._engine._compactor.step():
            count += 1
        return count

    def octets(self) -> int:
        return sum(path.stat().st_size for path in (self.engine.folder / "blobs").glob("*.seg"))


def segment_rows(engine: SqliteEngine) -> dict[int, tuple[int, int]]:
    reader = engine.store._engine.open_reader()
    try:
        return {row[0]: row[1:] for row in reader.db.rows("SELECT segment, size, dead FROM segment")}
    finally:
        reader.close()


async def test_the_dead_are_dropped(engine: SqliteEngine) -> None:
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    await filled.compact()
    alive = sum(map(len, filled.raw.values()))
    assert filled.octets() < alive + 2 * 400_000, "at most what is below the threshold, and the open segment"
    await filled.check()


async def test_cold_segments_are_compressed_once(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.settings["now"] = lambda: 1e12
    await engine.reopen()
    filled = await Filled.make(engine)
    before = filled.octets()
    assert await filled.compact() > 0
    assert filled.octets() < before * 0.75
    assert await filled.compact() == 0
    await filled.check()


async def test_remnants_are_joined(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    filled = await Filled.make(engine, 1)
    inbox = await filled.desk.box()
    for i in range(compaction.REMNANTS_TOGETHER):
        raw = message(i, 20_000)
        upload = engine.store.stage()
        await upload.write(raw)
        content = await upload.finish()
        added = await filled.desk.store.apply(filled.desk.message(inbox, content=content))
        filled.raw[added.uid] = raw
    assert len(segment_rows(engine)) == compaction.REMNANTS_TOGETHER + 1
    await filled.compact()
    assert len(segment_rows(engine)) == 2
    await filled.check()


class Killed(BaseException):
    """The process ends here."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


@pytest.mark.parametrize("where", ["while copying", "before the commit", "in the commit", "before removing"])
async def test_killed_at_any_point_nothing_is_lost(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    compactor = engine.store._engine._compactor
    with monkeypatch.context() as patch:
        if where == "while copying":
            patch.setattr(compaction, "digest_of", dies)
            patch.setattr(SegmentFolder, "remove", lambda *_: None)
        elif where == "before the commit":
            patch.setattr(compactor, "_background", dies_in_second(compactor._background))
        elif where == "in the commit":
            patch.setattr(compaction, "switch", half_a_switch)
            patch.setattr(SegmentFolder, "remove", lambda *_: None)
        else:
            patch.setattr(SegmentFolder, "remove", dies)
        with pytest.raises((Killed, StoreUnavailable)):
            await compactor.step()
    await filled.check()
    await filled.compact()
    await filled.check()


def dies_in_second(real: Any) -> Any:
    calls: list[bool] = []

    async def background(work: Any) -> Any:
        calls.append(True)
        if len(calls) > 1:
            raise Killed
        return await real(work)

    return background


def half_a_switch(tx: Any, rewritten: compaction.Rewritten) -> None:
    moved = rewritten.moved[0]
    tx.execute("UPDATE blob SET segment = ? WHERE blob_id = ?", (rewritten.segment, moved.blob_id))
    raise OSError("cut short")


async def test_what_dies_during_the_rewrite_is_dead_afterwards(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    compactor = engine.store._engine._compactor
    victims = await compactor.victims()
    rewritten = await compactor.rewrite(victims)
    await filled.remove(Ranges([(1, 1)]))
    await compactor._background(lambda tx: compaction.switch(tx, rewritten))
    size, dead = segment_rows(engine)[rewritten.segment]
    assert 30_000 < dead < size, "what the new segment holds of the message that died"
    await filled.check()


class Served(Foreground):
    """Somebody waits all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    def rest(self, worked: float) -> float:
        self.note()
        self.rests.append(super().rest(worked))
        return self.rests[-1]


async def test_it_rests_between_steps_while_somebody_is_served(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMPACT_STEP", 100_000)
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    compactor = engine.store._engine._compactor
    victims = await compactor.victims()
    alive = sum(victim.size - victim.dead for victim in victims)
    foreground = Served()
    monkeypatch.setattr(compactor, "_foreground", foreground)
    began = time.monotonic()
    await compactor.rewrite(victims)
    assert alive / 200_000 < len(foreground.rests) <= alive / 100_000
    assert time.monotonic() - began > sum(foreground.rests)


async def test_on_a_full_disk_it_rests_for_nobody(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMPACT_STEP", 1)
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)))
    compactor = engine.store._engine._compactor
    monkeypatch.setattr(engine.store._engine._space, "intact", False)
    monkeypatch.setattr(engine.store._engine._space, "allows_more", lambda: False)
    foreground = Served()
    monkeypatch.setattr(compactor, "_foreground", foreground)
    assert await compactor.step()
    assert not foreground.rests


async def test_readers_follow_a_message_that_moves(engine: SqliteEngine) -> None:
    filled = await Filled.make(engine)
    reader = engine.store._engine.open_reader()
    try:
        blobs = {blob_id: read_blob(reader, blob_id) for blob_id in range(1, 20, 4)}
        await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
        before = set(segment_rows(engine))
        await filled.compact()
        held = reader.segments._open
        gone = [number for number in before - set(segment_rows(engine)) if number in held]
        assert gone
        assert all(os.fstat(held[number]).st_size == 0 for number in gone), "open files hold no space"
        assert {blob_id: read_blob(reader, blob_id) for blob_id in blobs} == blobs
        place = reader.db.rows(
            "SELECT size, segment, offset, packed_size, content FROM blob WHERE blob_id = 1"
        )
        stale = (place[0][0], gone[0], 40, None, None)
        with pytest.raises(OSError, match="ends early"):
            _read_at(reader, stale, 0, None)
    finally:
        reader.close()


async def test_a_place_looked_up_before_the_move_is_looked_up_again(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = await Filled.make(engine)
    reader = engine.store._engine.open_reader()
    try:
        old = emails._blob_row(reader, 1)
        await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
        await filled.compact()
        real = emails._blob_row
        answers = iter([old])
        monkeypatch.setattr(emails, "_blob_row", lambda *asked: next(answers, None) or real(*asked))
        assert read_blob(reader, 1) == filled.raw[1]
    finally:
        reader.close()


@pytest.mark.parametrize("what", ["derived", "ahead"])
async def test_what_is_moved_after_a_snapshot_was_begun_is_read(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Its rows go on pointing at the old segments: these must not go before it ends."""
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    inbox = await filled.desk.box()
    ids = list((await filled.desk.store.index(filled.desk.id, inbox.mailbox_id)).email_ids)
    loop, real = asyncio.get_running_loop(), emails.read_blobs
    compacted: list[int] = []

    def late(*asked: Any) -> Any:
        if not compacted:
            compacted.append(asyncio.run_coroutine_threadsafe(filled.compact(), loop).result(30))
        return real(*asked)

    def read() -> int:
        reader = engine.store._engine.open_reader()
        try:
            if what == "ahead":
                return len(emails.read_ahead(reader, filled.desk.id, ids, bytes_too=True).blobs)
            rows = emails.read_emails(reader, filled.desk.id, ids, ["envelope"], derive).rows
            return sum(row is not None for row in rows)
        finally:
            reader.close()

    monkeypatch.setattr(emails, "read_blobs", late)
    monkeypatch.setattr(
        emails, "_read_table", lambda *asked: [[None] * len(asked[3])]
    )  # nothing is derived yet
    assert await asyncio.to_thread(read) == len(ids)
    assert compacted[0]
    filled.check_files()


async def test_what_is_pinned_stays_until_the_copy_is_made(tmp_path: Path) -> None:
    folder = SegmentFolder(tmp_path)
    os.close(folder.create(1))
    os.close(folder.create(2))
    with folder.pinned():
        with folder.pinned():
            folder.remove(1)
        assert folder.present() == [1, 2], "somebody else still copies"
    assert folder.present() == [2]
    folder.remove(2)
    assert folder.present() == []


async def test_a_disk_that_becomes_full_meanwhile_ends_the_rests(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMPACT_STEP", 1)
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    compactor = engine.store._engine._compactor
    space = engine.store._engine._space

    class Filling(Served):
        def rest(self, worked: float) -> float:
            space.intact = False
            return super().rest(worked)

    monkeypatch.setattr(space, "allows_more", lambda: space.intact)
    foreground = Filling()
    monkeypatch.setattr(compactor, "_foreground", foreground)
    assert await compactor.step()
    assert len(foreground.rests) == 1
    space.intact = True


async def test_stopped_while_it_rests_it_leaves_nothing_half_written(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMPACT_STEP", 1)
    monkeypatch.setattr(limits, "BACKGROUND_REST", 10_000)
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    compactor = engine.store._engine._compactor
    foreground = Served()
    monkeypatch.setattr(compactor, "_foreground", foreground)
    before = set((engine.folder / "blobs").glob("*.seg"))
    working = asyncio.create_task(compactor.step())
    async with asyncio.timeout(10):
        while not foreground.rests:
            await asyncio.sleep(0.01)
    assert set((engine.folder / "blobs").glob("*.seg")) > before
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert set((engine.folder / "blobs").glob("*.seg")) == before
    await filled.check()


@pytest.mark.parametrize("how", ["other octets", "cut off", "missing"])
async def test_a_damaged_message_stays_and_keeps_no_other(engine: SqliteEngine, how: str) -> None:
    """Its octets are what is left of it; everything else is compacted all the same."""
    filled = await Filled.make(engine)
    await filled.remove(Ranges.of(range(1, 19)) - Ranges.of(range(1, 19, 4)))
    rows = segment_rows(engine)
    first = min(rows)
    path = engine.folder / "blobs" / f"{first:06}.seg"
    (place,) = rows_of(engine, "SELECT blob_id, offset FROM blob WHERE segment = ? ORDER BY offset", first)[
        :1
    ]
    if how == "other octets":
        with path.open("r+b") as file:
            file.seek(place[1] + 100)
            file.write(b"damaged")
    elif how == "cut off":
        os.truncate(path, place[1] + 100)
    else:
        path.unlink()
    kept = {blob_id for (blob_id,) in rows_of(engine, "SELECT blob_id FROM blob WHERE segment = ?", first)}
    await engine.reopen()  # nobody has the file open
    await filled.compact()
    left = {blob_id for (blob_id,) in rows_of(engine, "SELECT blob_id FROM blob WHERE segment = ?", first)}
    assert left == ({place[0]} if how == "other octets" else kept)
    mostly_dead = [
        number
        for number, (size, dead) in segment_rows(engine).items()
        if dead >= size * limits.COMPACT_DEAD_SHARE
    ]
    assert set(mostly_dead) <= {first, max(rows)}, "but for the damaged one and the one that is open"
    assert await filled.compact() == 0, "it is not tried again and again"
    await engine.reopen()  # what is in memory is whole
    inbox = await filled.desk.box()
    index = await filled.desk.store.index(filled.desk.id, inbox.mailbox_id)
    found = await filled.desk.store.messages(filled.desk.id, list(index.email_ids))
    damaged = [uid for uid, raw in zip(index.uids, found, strict=True) if raw != filled.raw[uid]]
    assert len(damaged) == len(left)


def rows_of(engine: SqliteEngine, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
    reader = engine.store._engine.open_reader()
    try:
        return reader.db.rows(statement, bindings)
    finally:
        reader.close()


async def test_a_segment_on_its_way_out_takes_no_message_again(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same staged octets for another recipient, just when what the first one had is gone: never a lost message."""
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    desk = await furnish(engine)
    inbox, archive = await desk.box(), await desk.box("Archive")
    upload = engine.store.stage()
    await upload.write(raw := message(1))
    content = await upload.finish()
    await desk.store.apply(desk.message(inbox, content=content))
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
    await engine.settle()
    compactor = engine.store._engine._compactor
    real, kept = compactor._remove, []

    async def meanwhile(segments: list[int]) -> None:
        assert segments == [1]
        with contextlib.suppress(StoreUnavailable):
            kept.append(await desk.store.apply(desk.message(archive, content=content)))
        await real(segments)

    monkeypatch.setattr(compactor, "_remove", meanwhile)
    await compactor.step()
    await engine.reopen()
    found = await desk.store.messages(desk.id, [each.email_id for each in kept])
    assert found == [raw] * len(kept)


async def test_staged_octets_are_taken_again_while_their_segment_is_there(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    desk = await furnish(engine)
    inbox = await desk.box()
    upload = engine.store.stage()
    await upload.write(raw := message(1))
    content = await upload.finish()
    await desk.store.apply(desk.message(inbox, content=content))
    await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
    await engine.settle()
    again = await desk.store.apply(desk.message(inbox, content=content))
    while await engine.store._engine._compactor.step():
        pass
    await engine.reopen()
    assert await desk.store.messages(desk.id, [again.email_id]) == [raw]
