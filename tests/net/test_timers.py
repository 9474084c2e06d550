"""TimerWheel, with a loop whose clock the test turns."""

from __future__ import annotations

from collections.abc import Callable

from posthouse.limits import TIMER_TICK
from posthouse.net.timers import NEVER, TimerWheel


class Loop:
    """The two methods that a wheel uses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *arguments: object) -> None:
        self.calls.append((when, call, arguments))

    def turn_to(self, when: float) -> None:
        while due := [entry for entry in self.calls if entry[0] <= when]:
            entry = min(due, key=lambda one: one[0])
            self.calls.remove(entry)
            self.now = max(self.now, entry[0])
            entry[1](*entry[2])
        self.now = when


class Limit:
    def __init__(self, loop: Loop, deadline: float) -> None:
        self.slot = 0
        self.loop = loop
        self.deadline = deadline
        self.fired: list[float] = []

    def on_deadline(self, now: float) -> float:
        if now < self.deadline:
            return self.deadline
        self.fired.append(now)
        return NEVER


def wheel(loop: Loop) -> TimerWheel:
    return TimerWheel(loop)  # type: ignore[arg-type]


def test_a_deadline_is_met_within_one_tick():
    loop = Loop()
    limit = Limit(loop, 1005.0)
    turning = wheel(loop)
    turning.look_at(limit, 1005.0)
    loop.turn_to(1004.99)
    assert limit.fired == []
    loop.turn_to(1005.0 + 2 * TIMER_TICK)
    assert len(limit.fired) == 1
    assert 1005.0 <= limit.fired[0] <= 1005.0 + TIMER_TICK + 1e-6


def test_a_deadline_that_moved_later_is_met_there():
    loop = Loop()
    limit = Limit(loop, 1001.0)
    turning = wheel(loop)
    turning.look_at(limit, 1001.0)
    limit.deadline = 1060.0
    loop.turn_to(1059.9)
    assert limit.fired == []
    loop.turn_to(1060.2)
    assert len(limit.fired) == 1


def test_a_deadline_that_moved_earlier_is_met_there():
    loop = Loop()
    limit = Limit(loop, 1060.0)
    turning = wheel(loop)
    turning.look_at(limit, 1060.0)
    limit.deadline = 1001.0
    turning.look_at(limit, 1001.0)
    loop.turn_to(1001.2)
    assert len(limit.fired) == 1
    loop.turn_to(1100.0)
    assert len(limit.fired) == 1


def test_what_was_forgotten_is_not_asked():
    loop = Loop()
    limit = Limit(loop, 1001.0)
    turning = wheel(loop)
    turning.look_at(limit, 1001.0)
    turning.forget(limit)
    loop.turn_to(1010.0)
    assert limit.fired == []
    assert limit.slot == 0


def test_one_may_forget_another_of_its_slot():
    loop = Loop()
    turning = wheel(loop)
    limits = [Limit(loop, 1001.0) for _ in range(3)]

    class Ender(Limit):
        def on_deadline(self, now: float) -> float:
            for limit in limits:
                turning.forget(limit)
            return super().on_deadline(now)

    for limit in [*limits, Ender(loop, 1001.0)]:
        turning.look_at(limit, 1001.0)
    loop.turn_to(1002.0)
    assert all(limit.slot == 0 for limit in limits)


def test_many_deadlines_need_few_calls():
    loop = Loop()
    turning = wheel(loop)
    limits = [Limit(loop, 1030.0 + number / 1000) for number in range(1000)]
    for limit in limits:
        turning.look_at(limit, limit.deadline)
    assert len(loop.calls) == 1
    loop.turn_to(1032.0)
    assert all(len(limit.fired) == 1 for limit in limits)
    assert loop.calls == []
