"""When background work may go on."""

from __future__ import annotations

from posthouse.limits import BACKGROUND_REST, QUIET_SECONDS
from posthouse.store.foreground import Foreground


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_quiet_at_first_and_again_after_a_while() -> None:
    foreground = Foreground(clock := Clock())
    assert not foreground.busy
    foreground.note()
    assert foreground.busy
    clock.now += QUIET_SECONDS
    assert not foreground.busy


def test_busy_for_as_long_as_somebody_is_served() -> None:
    foreground = Foreground(clock := Clock())
    with foreground.serving():
        with foreground.serving():
            clock.now += 10 * QUIET_SECONDS
        assert foreground.busy
        clock.now += 10 * QUIET_SECONDS
        assert foreground.busy
    assert foreground.busy
    clock.now += QUIET_SECONDS
    assert not foreground.busy


def test_rest_is_many_times_the_work_or_none() -> None:
    foreground = Foreground(Clock())
    assert foreground.rest(0.002) == 0.0
    foreground.note()
    assert foreground.rest(0.002) == 0.002 * BACKGROUND_REST


def test_less_urgent_work_lets_deriving_pass() -> None:
    foreground = Foreground(Clock())
    foreground.urgent = True
    assert not foreground.busy
    assert foreground.rest(0.002) == 0.002 * BACKGROUND_REST
