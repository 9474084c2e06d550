"""What is computed while the writer is busy does not gather without end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from posthouse import limits
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
