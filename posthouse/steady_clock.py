"""Whether the clock can be trusted with what nobody brings back: removing old or deleted mail, giving up in the queue.

A clock that leaps a year ahead, for a minute or until somebody sees it, makes everything old. The machine also counts
the seconds since it started, which nobody sets: as long as both count the same, the clock only went on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from posthouse.limits import CLOCK_LEAP, CLOCK_STEADY, CLOCK_WATCHED

log: Final = logging.getLogger(__name__)


def counted() -> float:
    """Seconds that the machine has counted, those in which it slept included where it says so."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SteadyClock:
    """Compares the two whenever it is asked. A leap that nobody saw, since it was over before, did no harm."""

    def __init__(
        self,
        wall: Callable[[], float],
        since_start: Callable[[], float] = counted,
        watched: float = CLOCK_WATCHED,
    ) -> None:
        """`watched`: seconds after the start before it is believed."""
        self._wall = wall
        self._counted = since_start
        self._apart = wall() - since_start()
        self._steady_from = since_start() + watched
        """In counted seconds."""

    def is_steady(self) -> bool:
        """Whether it went evenly since it was watched, or for CLOCK_STEADY seconds."""
        counted_now = self._counted()
        apart = self._wall() - counted_now
        leap = apart - self._apart
        self._apart = apart
        if abs(leap) > CLOCK_LEAP:
            self._steady_from = counted_now + CLOCK_STEADY
            log.warning(
                "the clock leapt by %d s: nothing ends for its age in the next %d s", leap, CLOCK_STEADY
            )
        return counted_now >= self._steady_from
