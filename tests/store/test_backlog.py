"""What is computed while the writer is busy does not gather without end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from posthouse import limits
from posthouse.store.memory.backlog import Backlog
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_envelopes_that_wait_to_be_written_are_bounded(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DERIVED_WAITING", 10)
    monkeypatch.setattr(limits, "READERS", 1)
    store = await engine.reopen()
    parts = store._engine
    for loop in parts._loops:
        loop.cancel()  # nobody else computes them
    desk = await furnish(engine)
    added = await desk.add(await desk.box(), *"abcdefgh")
    ids = [one.email_id for one in added]
    await store.emails(desk.id, ids, ["size"])  # its connection is open from now on
    goes_on = threading.Event()
    parts._start(parts.background(lambda _tx: goes_on.wait(10)))
    try:
        for _ in range(20):
            rows = await store.emails(desk.id, ids, ["envelope"])
            assert rows[0] == (b"(Subject: a)",), "what is not kept is told all the same"
        assert len(parts._jobs) == 2, "no job waits for what is beyond the limit"
        assert parts._derived_waiting.waiting == len(ids)
    finally:
        goes_on.set()
    await asyncio.wait(parts._jobs)
    assert parts._derived_waiting.waiting == 0
    await store.emails(desk.id, ids, ["envelope"])
    assert not parts._jobs, "it was written"


async def test_a_hundred_and_twenty_eight_megabytes_of_snapshots_wait(engine: SqliteEngine) -> None:
    backlog = engine.store._engine._snapshots_waiting
    await check_snapshots(backlog)


async def check_snapshots(backlog: Backlog) -> None:
    started: list[object] = []
    backlog._start = lambda job: (started.append(job), job.close())  # type: ignore[assignment, func-returns-value]
    assert backlog.hand_over(100 * 2**20, lambda _: None)
    assert backlog.hand_over(28 * 2**20, lambda _: None)
    assert not backlog.hand_over(1, lambda _: None)
    assert len(started) == 2
    backlog.waiting = 0
