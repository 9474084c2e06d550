"""One timer wheel for an event loop: the idle, total and write time limits of all its connections.

A connection stands in at most one slot, at or before its nearest deadline; deadlines that move later cost
nothing, because the connection is asked for its true deadline only when its slot comes up. So a command costs
no timer, and 10,000 idle connections cost one wake-up per slot that is due. Precision: one tick.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import weakref
from typing import Final, Protocol

from posthouse.limits import TIMER_TICK

NEVER: Final = math.inf

_wheels: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, TimerWheel]] = weakref.WeakKeyDictionary()


class Timed(Protocol):
    """Something with deadlines."""

    slot: int
    """For the wheel: where this stands; 0: nowhere."""

    def on_deadline(self, now: float) -> float:
        """A deadline may have passed: act on it, and tell the next one (`NEVER`: none)."""
        ...


class TimerWheel:
    """Slots of one tick each, in a dictionary by tick number.

    Times are those of `loop.time()`, in seconds.
    """

    __slots__ = ("_armed", "_due", "_loop", "_slots")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # the loop is the key under which it is found: no strong circle
        self._slots: dict[int, set[Timed]] = {}
        self._due: list[int] = []
        self._armed = 0

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> TimerWheel:
        """The wheel of a loop; it lives as long as the loop."""
        wheel = _wheels.get(loop)
        if wheel is None:
            wheel = _wheels[loop] = TimerWheel(loop)
        return wheel

    def look_at(self, timed: Timed, deadline: float) -> None:
        """Ask `timed` at most one tick after `deadline`, or earlier where it stands earlier."""
        slot = int(deadline / TIMER_TICK) + 1
        if timed.slot:
            if timed.slot <= slot:
                return
            self._slots[timed.slot].discard(timed)
        timed.slot = slot
        members = self._slots.get(slot)
        if members is None:
            members = self._slots[slot] = set()
            heapq.heappush(self._due, slot)
            if not self._armed or slot < self._armed:
                self._arm(slot)
        members.add(timed)

    def forget(self, timed: Timed) -> None:
        """Never ask `timed` again."""
        if timed.slot:
            self._slots[timed.slot].discard(timed)
            timed.slot = 0

    def _arm(self, slot: int) -> None:
        loop = self._loop()
        if loop is not None:
            self._armed = slot
            loop.call_at(slot * TIMER_TICK, self._turn, slot)

    def _turn(self, slot: int) -> None:
        if slot != self._armed:
            return  # an earlier slot was armed since, and has armed the next one
        loop = self._loop()
        if loop is None:
            return
        now = loop.time()
        reached = max(slot, int(now / TIMER_TICK))
        again: list[tuple[Timed, float]] = []
        while self._due and self._due[0] <= reached:
            members = self._slots[self._due[0]]
            while members:  # on_deadline may forget others of this slot
                timed = members.pop()
                timed.slot = 0
                deadline = timed.on_deadline(now)
                if deadline != NEVER:
                    again.append((timed, deadline))
            del self._slots[heapq.heappop(self._due)]
        self._armed = 0
        for timed, deadline in again:
            self.look_at(timed, max(deadline, now))
        if self._due and not (self._armed and self._armed <= self._due[0]):
            self._arm(self._due[0])
