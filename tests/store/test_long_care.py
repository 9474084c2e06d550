"""Care that many rows need: everybody else's commits go on meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from posthouse.store.interface import PruneEvents, RecordEvents
from posthouse.store.model import Event
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_mail_does_not_wait_for_old_timelines_to_be_forgotten(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 100)
    desk = await furnish(engine)
    inbox = await desk.box()
    lines = [
        Event(trace_id=str(n), at=float(n), kind="received", address="a", detail="-") for n in range(900)
    ]
    for start in range(0, 900, 100):
        await desk.store.apply(RecordEvents(events=tuple(lines[start : start + 100])))
    answered: list[str] = []
    pruning = asyncio.create_task(desk.store.apply(PruneEvents(before=800.0)))
    adding = asyncio.create_task(desk.add(inbox, "new"))
    pruning.add_done_callback(lambda _: answered.append("pruned"))
    adding.add_done_callback(lambda _: answered.append("mail"))
    assert await pruning == 800
    await adding
    assert answered == ["mail", "pruned"]
    assert [event.at for event in await desk.store.events()] == [float(n) for n in range(800, 900)]
    assert await desk.store.apply(PruneEvents(before=800.0)) == 0
    assert await desk.store.commit(PruneEvents(before=850.0), PruneEvents(before=1000.0)) == [50, 50]
    assert await desk.store.events() == []
