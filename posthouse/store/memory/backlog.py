"""Rows of caches that wait to be written when nobody waits for a commit: so many, and the rest is not kept.

A store that reads faster than it writes (a busy disk, a database that is away) would gather them without end. What is
not kept is computed again the next time that it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

Background = Callable[[Callable[[Any], Any]], Coroutine[Any, Any, Any]]


class Backlog:
    """One kind of such rows. On the event loop's thread only."""

    def __init__(
        self, start: Callable[[Coroutine[Any, Any, Any]], None], background: Background, most: int
    ) -> None:
        """`start`: runs a job that nobody waits for; `background`: has work done in a transaction; `most`: waiting."""
        self._start = start
        self._background = background
        self._most = most
        self.waiting = 0

    def hand_over(self, amount: int, work: Callable[[Any], Any]) -> bool:
        """Have it written some time; False: too much waits, so it is not. One alone is, whatever its amount."""
        if self.waiting and self.waiting + amount > self._most:
            return False
        self.waiting += amount
        self._start(self._written(amount, work))
        return True

    async def _written(self, amount: int, work: Callable[[Any], Any]) -> None:
        try:
            await self._background(work)
        finally:
            self.waiting -= amount
