"""The time as a house sees it: the system's, and ahead of it by what a test has asked for.

Retry schedules take days. In a playground whose configuration allows it (`[testing] clock`), the control socket
moves this clock on, so that a test sees them in seconds. It only ever goes forward, and nothing else moves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Calling it gives POSIX seconds."""

    def __init__(self, ahead: float = 0.0, system: Callable[[], float] = time.time) -> None:
        """`ahead`: seconds before the system's time from the start."""
        self.ahead = ahead
        self._system = system

    def __call__(self) -> float:
        return self._system() + self.ahead

    def advance(self, seconds: float) -> float:
        """Move on; how far it is ahead now. ValueError: a clock does not go back."""
        if not seconds >= 0:
            raise ValueError("the clock goes forward only")
        self.ahead += seconds
        return self.ahead
