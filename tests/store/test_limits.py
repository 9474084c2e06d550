"""Every cache, batch and wait of the engine is bounded, and a long operation lets others go first."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.ranges import Ranges
from posthouse.store.interface import DeleteMailbox, Expunge, LeaseDue, MoveEmails, RecordEvents, SetFlags
from posthouse.store.memory import indexes
from posthouse.store.memory.cache import Recent, RecentBytes
from posthouse.store.model import Content, Event
from posthouse.store.sqlite import upkeep
from posthouse.store.sqlite.segments import SegmentFolder, SegmentReader
from tests.kits.engine import Desk, furnish
from tests.kits.queue import enqueue
from tests.machine import slowness
from tests.store.conftest import SqliteEngine


def test_recent_bytes_are_bounded_and_large_ones_not_kept() -> None:
    cache = RecentBytes(octets=10_000)
    cache.put(0, b"x" * (limits.MESSAGE_CACHE_ITEM + 1))
    assert cache.get(0) is None
    for number in range(1, 8):
        cache.put(number, bytes(2_000))
        cache.get(1)
    assert cache.octets == 10_000
    assert [number for number in range(8) if cache.get(number)] == [1, 4, 5, 6, 7], "the first was used"


def test_recent_values_are_bounded() -> None:
    cache: Recent[int, int] = Recent(3)
    for key in range(5):
        cache.put(key, key)
        cache.get(0)
    assert [key for key in range(5) if key in cache] == [0, 3, 4]


async def test_a_read_is_bounded(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    many = range(1, limits.EMAILS_PER_READ + 2)
    for asked in (
        desk.store.emails(desk.id, many, ("size",)),
        desk.store.stored(desk.id, many),
        desk.store.messages(desk.id, many),
    ):
        with pytest.raises(ValueError, match="emails in one read"):
            await asked
    with pytest.raises(ValueError, match="field"):
        await desk.store.emails(desk.id, [1], ("password",))


async def test_a_commit_of_too_many_lines_is_refused(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVENTS_PER_COMMIT", 2)
    line = Event(trace_id="t", at=1.0, kind="k", address="a", detail="d")
    with pytest.raises(Conflict):
        await engine.store.apply(RecordEvents(events=(line,) * 3))
    await engine.store.apply(RecordEvents(events=(line,) * 2))


async def test_leases_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASES", 3)
    for i in range(5):
        await enqueue(engine.store, f"a@{i}.test")
    taken = await engine.store.apply(LeaseDue(holder="h", now=1.0, until=2.0, limit=100))
    assert len(taken) == 3


async def test_batches_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    writer = engine.store._engine._writer
    monkeypatch.setattr(limits, "BATCH_SUBMISSIONS", 10)
    before = writer.commits
    await asyncio.gather(*(desk.add(inbox, str(i)) for i in range(40)))
    assert writer.commits - before >= 4
    monkeypatch.setattr(limits, "BATCH_SUBMISSIONS", 1000)
    monkeypatch.setattr(limits, "BATCH_OCTETS", 100_000)
    before = writer.commits
    big = [desk.message(inbox, content=Content.of(bytes(50_000))) for _ in range(8)]
    await asyncio.gather(*(desk.store.apply(op) for op in big))
    assert writer.commits - before >= 4


async def test_a_commit_of_nothing_asks_nothing_of_the_disk(engine: SqliteEngine) -> None:
    writer = engine.store._engine._writer
    await engine.store.settle()
    before = writer.commits
    for _ in range(50):
        assert await engine.store.commit() == []
    assert writer.commits - before < 50, "the background's own, at most"


async def test_segment_files_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_OCTETS", 120_000)
    desk = await furnish(engine)
    inbox = await desk.box()
    await asyncio.gather(
        *(desk.store.apply(desk.message(inbox, content=Content.of(bytes(50_000)))) for _ in range(6))
    )
    files = list((engine.folder / "blobs").glob("*.seg"))
    assert len(files) == 3
    assert all(file.stat().st_size <= 120_000 for file in files)


def test_open_segment_files_are_bounded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_SEGMENTS", 2)
    folder = SegmentFolder(tmp_path / "blobs")
    for number in range(1, 5):
        folder.path(number).write_bytes(b"%d" % number)
    reader = SegmentReader(folder)
    assert [reader.read(number, 0, 1) for number in (1, 2, 3, 4, 1)] == [b"1", b"2", b"3", b"4", b"1"]
    assert list(reader._open) == [4, 1]
    reader.close()


async def test_accounts_in_memory_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    desks = [await furnish(engine, f"u{i}@example.test") for i in range(6)]
    await engine.reopen()
    monkeypatch.setattr(limits, "STATES_CACHED", 3)
    for desk in desks:
        await desk.add(await desk.box(), "x")
    assert len(engine.store._live.views._views) == 3
    assert len(engine.store._engine._interest.accounts) == 3
    assert len(engine.store._engine._writer._tx._accounts) == 3
    assert [(await desk.box()).total for desk in desks] == [1] * 6


async def test_unwatched_indexes_are_dropped_and_watched_ones_stay(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "SMALL", 0)
    desk = await furnish(engine)
    cache = engine.store._live.indexes
    cache._limit = 36 * 8
    boxes = await desk.store.mailboxes(desk.id)
    for box in boxes:
        await desk.add(box, *"abcde")
    watched = await desk.store.index(desk.id, boxes[0].mailbox_id)
    end = watched.watch(lambda: None)
    held = await desk.store.index(desk.id, boxes[1].mailbox_id)
    for box in boxes[2:]:
        await desk.store.index(desk.id, box.mailbox_id)
    assert len(cache._indexes) == 2, "the watched one and the newest"
    while jobs := engine.store._engine._jobs:
        await asyncio.wait(jobs)
    gc.collect()
    assert set(cache._alive) == {(desk.id, boxes[i].mailbox_id) for i in (0, 1, len(boxes) - 1)}
    await desk.add(boxes[1], "a session still holds it")
    assert len(held) == 6
    assert await desk.store.index(desk.id, boxes[1].mailbox_id) is held
    assert await desk.store.index(desk.id, boxes[0].mailbox_id) is watched
    end()
    while jobs := engine.store._engine._jobs:
        await asyncio.wait(jobs)
    again = await desk.store.index(desk.id, boxes[3].mailbox_id)
    assert again.from_snapshot, "what is dropped is packed"
    assert list(again.uids) == [1, 2, 3, 4, 5]


async def test_one_asked_brings_those_behind_it(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    added = await desk.add(inbox, *map(str, range(limits.READ_AHEAD + 5)))
    await engine.reopen()
    ids = [each.email_id for each in added]
    (first,) = await desk.store.stored(desk.id, ids[:1])
    assert first is not None
    for email_id in ids[: limits.READ_AHEAD]:
        asked = desk.store.messages(desk.id, [email_id])
        with pytest.raises(StopIteration):  # without suspending
            asked.send(None)
    later = desk.store.messages(desk.id, [ids[limits.READ_AHEAD]])
    assert later.send(None) is not None
    later.close()


async def test_reading_ahead_is_bounded_in_octets(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_AHEAD_OCTETS", 25_000)
    desk = await furnish(engine)
    inbox = await desk.box()
    ops = [desk.message(inbox, content=Content.of(bytes(10_000))) for _ in range(5)]
    added = await desk.store.commit(*ops)
    await engine.reopen()
    await desk.store.stored(desk.id, [added[0].email_id])
    assert engine.store._live.bytes.octets == 20_000


async def test_the_log_begins_anew_under_load_without_a_pause(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAL_OCTETS", 200_000)
    monkeypatch.setattr(limits, "WAL_OCTETS_FORCED", 500_000)
    desk = await furnish(engine)
    inbox = await desk.box()
    largest = 0

    async def send() -> None:
        nonlocal largest
        for _ in range(60):
            await desk.store.apply(desk.message(inbox, content=Content.of(bytes(8_000))))
            largest = max(largest, engine.store._engine._writer._tx.wal_octets)

    await asyncio.gather(*(send() for _ in range(8)))
    assert largest < 500_000 * upkeep.PATIENCE + 500_000, "5 MB were written"


async def test_a_long_operation_lets_others_go_first(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 10)
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, *map(str, range(400)))
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    mine = {"account_id": desk.id, "mailbox_id": inbox.mailbox_id, "uids": Ranges([(1, 400)])}
    order: list[str] = []

    async def note(name: str, work: Awaitable[Any]) -> Any:
        result = await work
        order.append(name)
        return result

    flags = SetFlags(action="add", flags=frozenset({"\\Seen"}), **mine)
    long = asyncio.ensure_future(note("long", desk.store.apply(flags)))
    short = 5
    await asyncio.gather(*(note("short", desk.add(inbox, "meanwhile")) for _ in range(short)))
    await long
    assert order == ["short"] * short + ["long"], "although the long one was first"
    done = await long
    assert done.changed == Ranges([(1, 400)])
    assert done.modseq <= index.highest_modseq
    assert sum(flags & 1 for flags in index.flags) == 400
    gone = await desk.store.apply(Expunge(force=True, **mine))
    assert gone.uids == Ranges([(1, 400)])
    assert len(index) == short


async def test_a_long_operation_ends_when_its_mailbox_goes(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 5)
    desk = await furnish(engine)
    box = await desk.box("Trash")
    await desk.add(box, *map(str, range(500)))
    mine = {"account_id": desk.id, "mailbox_id": box.mailbox_id}
    flags, gone = await asyncio.gather(
        desk.store.apply(
            SetFlags(uids=Ranges([(1, 500)]), action="add", flags=frozenset({"\\Seen"}), **mine)
        ),
        desk.store.apply(DeleteMailbox(**mine)),
        return_exceptions=True,
    )
    assert gone is None
    assert isinstance(flags, NotFound)
    assert (await desk.store.usage(desk.id)).messages == 0


# --- growth -----------------------------------------------------------------------------------------------


async def median(work: Callable[[], Awaitable[Any]], times: int = 60) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


async def costs(desk: Desk) -> dict[str, float]:
    """Seconds of operations that touch one message."""
    inbox = await desk.box()
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    flip = iter(range(10**6))

    async def flag() -> None:
        uid = index.uids[len(index) // 2]
        await desk.flag(inbox, str(uid), f"k{next(flip) % 2}", action="replace")

    async def expunge() -> None:
        uid = index.uids[len(index) // 2]
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(uid, uid)]), force=True)
        )

    async def read() -> None:
        email_id = index.email_ids[len(index) // 2]
        await desk.store.emails(desk.id, [email_id], ("envelope",))

    return {
        "add": await median(lambda: desk.add(inbox, "one more")),
        "flag": await median(flag),
        "expunge": await median(expunge),
        "read": await median(read),
    }


@pytest.mark.slow
async def test_one_message_costs_the_same_in_a_large_mailbox(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, *map(str, range(1000)))
    small = await costs(desk)
    for _ in range(99):
        await desk.add(inbox, *("filler",) * 1000)
    assert (await desk.box()).total > 99_000
    large = await costs(desk)
    for name, seconds in large.items():
        assert seconds < 3 * small[name] + 0.001 * slowness(), (
            f"{name}: {small[name] * 1e6:.0f} → {seconds * 1e6:.0f} us"
        )


# --- what a process keeps in memory ---------------------------------------------------------------------------


async def test_messages_that_are_received_at_once_do_not_all_wait_in_memory(engine: SqliteEngine) -> None:
    """Forty clients with three megabytes each: what is beyond 64 MB in all goes to files."""
    piece = bytes(1024 * 1024)
    stagings = [engine.store.stage() for _ in range(40)]
    for staging in stagings:
        for _ in range(3):
            await staging.write(piece)
    held = sum(staging._held for staging in stagings)  # type: ignore[attr-defined]
    assert held <= 64 * 1024 * 1024
    assert held + engine.store._engine.budget.left == 64 * 1024 * 1024
    for staging in stagings:
        await staging.discard()
    assert engine.store._engine.budget.left == 64 * 1024 * 1024, "who goes gives back what they had"


async def test_what_a_store_keeps_of_many_accounts_is_bounded(engine: SqliteEngine) -> None:
    """Messages, places, mailboxes, people: each in octets or entries that one machine has."""
    live = engine.store._live
    cache = RecentBytes()
    item = bytes(limits.MESSAGE_CACHE_ITEM)
    for number in range(100 * 1024 * 1024 // len(item)):
        cache.put(number, item)
    assert cache.octets <= 64 * 1024 * 1024
    assert live.bytes._limit <= 64 * 1024 * 1024
    assert live.indexes._limit <= 128 * 1024 * 1024
    known: Recent[int, int] = Recent(live.places._limit)
    for kept in (known, Recent(live.people._known._limit)):
        for key in range(60_000):
            kept.put(key, key)
        assert sum(key in kept for key in range(60_000)) <= 50_000


async def test_mailboxes_in_memory_are_bounded_in_number(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    held = engine.store._live.indexes
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    for number in range(10_100):
        held._keep((10**6, number), index)
    assert len(held._indexes) == 10_000
    for number in range(10_100):
        held._indexes.pop((10**6, number), None)


async def test_one_command_teaches_the_filter_so_much(engine: SqliteEngine) -> None:
    """A folder of a hundred thousand that goes to Junk is no hour of reading."""
    desk = await furnish(engine)
    inbox, junk = await desk.box(), await desk.box("Junk")
    await desk.add(inbox, *("filler",) * 1_200)
    everything = Ranges([(1, 1_200)])
    moved = MoveEmails(
        account_id=desk.id, source_id=inbox.mailbox_id, uids=everything, target_id=junk.mailbox_id
    )
    await desk.store.apply(moved)
    assert len(await desk.store.lessons(5_000)) == 1_000
