"""Old stories are forgotten, young ones kept."""

from __future__ import annotations

import pytest

from posthouse.house import House
from posthouse.operations.upkeep import Upkeep
from posthouse.store.model import Event
from posthouse.store.operations import RecordEvents

DAY = 86400.0


@pytest.mark.parametrize(("kept", "left"), [(30 * DAY, ["young"]), (0.0, ["old", "young"])])
async def test_the_timeline_forgets(house: House, kept: float, left: list[str]) -> None:
    now = 100 * DAY
    events = tuple(
        Event(trace_id=name, at=at, kind="received", address="a@north.test", detail="")
        for name, at in (("old", now - 31 * DAY), ("young", now - 29 * DAY))
    )
    await house.store.apply(RecordEvents(events=events))
    await Upkeep(house.store, lambda: kept, lambda: now).round()
    found = await house.store.events(address="a@north.test")
    assert [event.trace_id for event in found] == left


async def test_it_can_be_stopped_at_once(house: House) -> None:
    upkeep = Upkeep(house.store, lambda: DAY)
    upkeep.start()
    await upkeep.stop()
