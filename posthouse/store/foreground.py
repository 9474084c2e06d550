"""Whether anybody is being served just now: what runs in the background asks before each small piece of its work.

All threads share one interpreter lock, so background work beside a busy event loop costs everybody's answers. The
event loop's side calls `note` whenever it is asked for something, and holds `serving` while something long runs for
somebody; background threads call `room`. The first piece that comes too late is one message, about a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from posthouse import limits


class Foreground:
    """One store's. `note` and `serving` on the event loop, the rest in any thread."""

    __slots__ = ("_clock", "_last", "_long", "urgent")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._last = clock() - limits.QUIET_SECONDS
        self._long = 0
        self.urgent = False
        """Deriving has work: a listing that comes before it would have to do it. Indexing lets it pass."""

    def note(self) -> None:
        """Somebody asks for something."""
        self._last = self._clock()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Somebody waits for as long as the block runs."""
        self._long += 1
        try:
            yield
        finally:
            self._long -= 1
            self._last = self._clock()

    @property
    def busy(self) -> bool:
        """Whether somebody waits, or asked a moment ago."""
        return self._long > 0 or self._clock() - self._last < limits.QUIET_SECONDS

    def rest(self, worked: float) -> float:
        """Seconds to rest after less urgent work of so many seconds: none in a quiet moment, else many times that."""
        return worked * limits.BACKGROUND_REST if self.urgent or self.busy else 0.0
