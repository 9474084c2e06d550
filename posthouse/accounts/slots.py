"""A few slots for slow work and two queues for them: whoever is known goes before strangers.

Without that a thousand guesses at made-up names would keep everybody from logging in. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """`count` at once. Every `enter` that returned needs a `leave`."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def enter(self, *, first: bool) -> None:
        """Wait for a slot; `first`: before all who are not."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        (self._first if first else self._others).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the slot was handed over in the same moment
            raise

    def leave(self) -> None:
        """Hand the slot to the next who still waits."""
        for queue in (self._first, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
