"""Memory, disk and a naive model agree after any sequence of operations.

The limits are made tiny, so that pieces, snapshots, deferred counts and merged journals all happen within a few
messages. Each example ends by comparing the live index with one read from disk, with one read from the placements
alone, with the counts, and with the model; and every mod-sequence seen on the way is asked what vanished since.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, Expunge, MoveEmails, SetFlags
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.memory import indexes
from posthouse.store.model import DELETED, SEEN, Mailbox
from posthouse.store.sql import placements
from posthouse.store.sqlite import snapshots
from tests.kits.engine import Desk, furnish
from tests.store.conftest import SqliteEngine

FLAGS = ("\\Seen", "\\Deleted", "blue")
BITS = {"\\Seen": 1, "\\Deleted": 8, "blue": 32}
HIDE_SNAPSHOTS = "CREATE TEMP TABLE mailbox_snapshot AS SELECT * FROM main.mailbox_snapshot LIMIT 0"
BOXES = ("INBOX", "Archive")


class Step(msgspec.Struct, frozen=True):
    """One operation; what does not matter for it is ignored."""

    kind: str
    box: int
    uids: tuple[tuple[int, int], ...]
    flags: tuple[str, ...]
    action: str
    count: int

    @property
    def ranges(self) -> Ranges:
        return Ranges(self.uids)


steps = st.builds(
    Step,
    kind=st.sampled_from(
        ["add", "add", "flags", "flags", "expunge", "force", "copy", "move", "save", "reopen"]
    ),
    box=st.integers(0, 1),
    uids=st.lists(st.tuples(st.integers(1, 25), st.integers(1, 25)), min_size=1, max_size=6).map(tuple),
    flags=st.lists(st.sampled_from(FLAGS), max_size=3, unique=True).map(tuple),
    action=st.sampled_from(["add", "remove", "replace"]),
    count=st.integers(1, 7),
)


@pytest.fixture(autouse=True)
def tiny_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 3)
    monkeypatch.setattr(limits, "UNSAVED_ADDS", 4)
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 2)
    monkeypatch.setattr(limits, "JOURNAL_ROWS", 3)
    monkeypatch.setattr(limits, "INDEX_CHANGES_UNSAVED", 3)
    monkeypatch.setattr(indexes, "SMALL", 0)
    monkeypatch.setattr(placements, "FEW_RUNS", 2)
    monkeypatch.setattr(snapshots, "ROWS_PER_READ", 4)


class Model:
    """A mailbox as a dictionary from UID to flags, and everything that ever vanished with its mod-sequence."""

    def __init__(self) -> None:
        self.flags: dict[int, int] = {}
        self.next = 1
        self.vanished: list[tuple[int, int]] = []

    def chosen(self, uids: Ranges) -> list[int]:
        return [uid for uid in sorted(self.flags) if uid in uids]

    def add(self, flags: int) -> None:
        self.flags[self.next] = flags
        self.next += 1


class World:
    """The store and the model, taken through the same steps."""

    def __init__(self, engine: SqliteEngine, desk: Desk, boxes: list[Mailbox]) -> None:
        self.engine = engine
        self.desk = desk
        self.boxes = boxes
        self.models = [Model(), Model()]

    async def take(self, step: Step) -> None:
        box, model = self.boxes[step.box], self.models[step.box]
        mine: dict[str, Any] = {"account_id": self.desk.id, "mailbox_id": box.mailbox_id}
        if step.kind == "add":
            await self.desk.add(box, *map(str, range(step.count)), flags=frozenset(step.flags))
            for _ in range(step.count):
                model.add(sum(BITS[flag] for flag in step.flags))
        elif step.kind == "flags":
            await self._set_flags(step, mine, model)
        elif step.kind in ("expunge", "force"):
            await self._expunge(step, mine, model)
        elif step.kind in ("copy", "move"):
            await self._copy_or_move(step, box, model)
        elif step.kind == "save":
            self.engine.store._live.indexes.save_all()
            while jobs := self.engine.store._engine._jobs:
                await asyncio.wait(jobs)
        else:
            await self.engine.reopen()

    async def _set_flags(self, step: Step, mine: dict[str, Any], model: Model) -> None:
        bits = sum(BITS[flag] for flag in step.flags)
        done = await self.engine.store.apply(
            SetFlags(uids=step.ranges, action=step.action, flags=frozenset(step.flags), **mine)
        )
        new = {"add": lambda f: f | bits, "remove": lambda f: f & ~bits, "replace": lambda f: bits}[
            step.action
        ]
        chosen = model.chosen(step.ranges)
        assert list(done.changed) == [uid for uid in chosen if new(model.flags[uid]) != model.flags[uid]]
        for uid in chosen:
            model.flags[uid] = new(model.flags[uid])

    async def _expunge(self, step: Step, mine: dict[str, Any], model: Model) -> None:
        force = step.kind == "force"
        done = await self.engine.store.apply(Expunge(uids=step.ranges, force=force, **mine))
        gone = [uid for uid in model.chosen(step.ranges) if force or model.flags[uid] & DELETED]
        assert list(done.uids) == gone
        for uid in gone:
            del model.flags[uid]
            model.vanished.append((uid, done.modseq))

    async def _copy_or_move(self, step: Step, box: Mailbox, model: Model) -> None:
        target, arrivals = self.boxes[step.count % 2], self.models[step.count % 2]
        op = CopyEmails if step.kind == "copy" else MoveEmails
        ids = {"source_id": box.mailbox_id, "target_id": target.mailbox_id}
        done = await self.engine.store.apply(op(account_id=self.desk.id, uids=step.ranges, **ids))
        chosen = model.chosen(step.ranges)
        assert list(done.source) == chosen
        assert list(done.target) == list(range(arrivals.next, arrivals.next + len(chosen)))
        source = await self.engine.store.index(self.desk.id, box.mailbox_id)
        for uid in chosen:
            arrivals.add(model.flags[uid])
            if step.kind == "move":
                del model.flags[uid]
                model.vanished.append((uid, source.highest_modseq))

    async def agree(self) -> None:
        for box, model in zip(self.boxes, self.models, strict=True):
            live = await self.engine.store.index(self.desk.id, box.mailbox_id)
            assert dict(zip(live.uids, live.flags, strict=True)) == model.flags
            assert live.uid_next == model.next
            assert live.uid_set() == Ranges.of(model.flags)
            await self._counts_agree(box, live)
            cold = await self._read(box.mailbox_id)
            assert picture(cold) == picture(live)
            assert picture(await self._read(box.mailbox_id, without_snapshot=True)) == picture(live)
            await self._vanished_agree(box, model, live)

    async def _counts_agree(self, box: Mailbox, live: MailboxIndex) -> None:
        counted = await self.desk.box(box.name)
        assert (counted.total, counted.size, counted.uid_next) == (len(live), sum(live.sizes), live.uid_next)
        assert counted.unseen == sum(not flags & SEEN for flags in live.flags)
        assert counted.deleted == sum(bool(flags & DELETED) for flags in live.flags)
        assert counted.highest_modseq == live.highest_modseq

    async def _read(self, mailbox_id: int, without_snapshot: bool = False) -> MailboxIndex:
        def read() -> MailboxIndex | None:
            reader = self.engine.store._engine.open_reader()
            try:
                if without_snapshot:
                    reader.db.execute(
                        "CREATE TEMP TABLE mailbox_snapshot AS SELECT * FROM main.mailbox_snapshot LIMIT 0"
                    )
                return snapshots.load(reader, self.desk.id, mailbox_id)
            finally:
                reader.close()

        found = await asyncio.to_thread(read)
        assert found is not None
        return found

    async def _vanished_agree(self, box: Mailbox, model: Model, live: MailboxIndex) -> None:
        everything = {uid for uid, _ in model.vanished}
        for since in {0, live.highest_modseq, *(modseq for _, modseq in model.vanished)}:
            told = set(await self.engine.store.vanished_since(self.desk.id, box.mailbox_id, since))
            assert {uid for uid, modseq in model.vanished if modseq > since} <= told <= everything
        assert not await self.engine.store.vanished_since(self.desk.id, box.mailbox_id, live.highest_modseq)


def picture(index: MailboxIndex) -> tuple[Any, ...]:
    arrays = (index.uids, index.flags, index.modseqs, index.email_ids, index.sizes, index.received)
    return (index.uid_validity, index.uid_next, index.highest_modseq, *map(list, arrays))


async def run(sequence: list[Step], folder: Path) -> None:
    engine = SqliteEngine(folder)
    await engine.open()
    try:
        desk = await furnish(engine)
        world = World(engine, desk, [await desk.box(name) for name in BOXES])
        for step in sequence:
            await world.take(step)
        await world.agree()
        await engine.reopen()
        await world.agree()
    finally:
        await engine.store.close()


def check(sequence: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(sequence, Path(folder)))


few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# No shrinking: each example is a store on disk, and the steps that fail are short enough to read.
many = settings(few, max_examples=60, derandomize=False, phases=(Phase.explicit, Phase.generate))


@few
@given(st.lists(steps, min_size=5, max_size=12))
def test_memory_disk_and_model_agree(sequence: list[Step]) -> None:
    check(sequence)


@pytest.mark.slow
@many
@given(st.lists(steps, min_size=10, max_size=40))
@pytest.mark.long
def test_memory_disk_and_model_agree_for_long(sequence: list[Step]) -> None:
    check(sequence)


@pytest.mark.slow
@settings(many, max_examples=40)
@given(st.lists(st.lists(steps, min_size=1, max_size=8), min_size=2, max_size=6))
def test_live_indexes_agree_with_disk_when_many_act_at_once(groups: list[list[Step]]) -> None:
    async def race(folder: Path) -> None:
        engine = SqliteEngine(folder)
        await engine.open()
        try:
            desk = await furnish(engine)
            world = World(engine, desk, [await desk.box(name) for name in BOXES])
            for group in groups:
                kinds = [step for step in group if step.kind not in ("save", "reopen")]
                # The model cannot know the order in which these happened, so what each step asserts is left aside.
                await asyncio.gather(*(world.take(step) for step in kinds), return_exceptions=True)
            for box in world.boxes:
                live = await engine.store.index(desk.id, box.mailbox_id)
                assert picture(await world._read(box.mailbox_id)) == picture(live)
                assert picture(await world._read(box.mailbox_id, without_snapshot=True)) == picture(live)
                await world._counts_agree(box, live)
        finally:
            await engine.store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(race(Path(folder)))
