"""A clock that leaps makes nothing old: what cannot be brought back waits until it has gone evenly for hours."""

from __future__ import annotations

import asyncio
import time

import pytest

from posthouse.house import House
from posthouse.limits import CLOCK_LEAP, CLOCK_STEADY, CLOCK_WATCHED
from posthouse.operations.upkeep import Duty, Upkeep
from posthouse.steady_clock import SteadyClock, counted
from tests.fakes.clock import FakeClock
from tests.waiting import until

YEAR = 365 * 86_400.0


class Clocks:
    """The wall's, and the seconds that the machine counts."""

    def __init__(self) -> None:
        self.wall = FakeClock()
        self.counted = FakeClock(1000.0)
        self.steady = SteadyClock(self.wall, self.counted)

    def pass_by(self, seconds: float) -> bool:
        self.wall.advance(seconds)
        self.counted.advance(seconds)
        return self.steady.is_steady()

    def set_by(self, seconds: float) -> bool:
        self.wall.now += seconds
        return self.steady.is_steady()


def test_it_is_believed_when_it_was_watched_for_some_time() -> None:
    clocks = Clocks()
    assert not clocks.pass_by(CLOCK_WATCHED - 1)
    assert clocks.pass_by(1)


@pytest.mark.parametrize("leap", [YEAR, -YEAR, CLOCK_LEAP + 1])
def test_after_a_leap_it_is_believed_hours_later(leap: float) -> None:
    clocks = Clocks()
    assert clocks.pass_by(CLOCK_WATCHED)
    assert not clocks.set_by(leap)
    assert not clocks.pass_by(60)
    assert not clocks.set_by(-leap)
    assert not clocks.pass_by(CLOCK_STEADY - 1)
    assert clocks.pass_by(1)


def test_that_it_is_set_a_little_is_no_leap() -> None:
    clocks = Clocks()
    assert clocks.pass_by(CLOCK_WATCHED)
    assert clocks.set_by(CLOCK_LEAP)
    assert clocks.set_by(-CLOCK_LEAP)


def test_a_leap_that_nobody_saw_did_nothing() -> None:
    clocks = Clocks()
    clocks.wall.now += YEAR
    clocks.wall.now -= YEAR
    assert clocks.pass_by(CLOCK_WATCHED)


def test_the_machine_counts_on() -> None:
    assert 0 < counted() <= counted()
    assert SteadyClock(time.time).is_steady() is False


async def test_what_goes_by_age_waits_and_nothing_else(house: House) -> None:
    clocks, done = Clocks(), list[str]()

    def duty(name: str, *, by_age: bool) -> Duty:
        async def run() -> None:
            done.append(name)

        return Duty(name=name, run=run, every=0.001, first=0, by_age=by_age)

    duties = (duty("remove", by_age=True), duty("look", by_age=False))
    upkeep = Upkeep(house.store, lambda: 0.0, clocks.wall, duties, clocks.steady)
    clocks.pass_by(CLOCK_WATCHED)
    clocks.set_by(YEAR)
    upkeep.start()
    await until(lambda: done.count("look") >= 3)
    assert "remove" not in done
    clocks.set_by(-YEAR)
    await asyncio.sleep(0.02)
    assert "remove" not in done
    clocks.pass_by(CLOCK_STEADY)
    await until(lambda: "remove" in done)
    await upkeep.stop()


async def test_all_that_removes_for_good_goes_by_age(house: House) -> None:
    by_age = {duty.name for duty in house.duties() if duty.by_age}
    assert by_age == {"deleted mail", "old mail", "masked addresses"}
