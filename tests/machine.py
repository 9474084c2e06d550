"""How slow the machine is at the moment, so that bounds in seconds mean the same on a busy or a small one."""

from __future__ import annotations

import time
from typing import Final

_TURNS: Final = 500_000
"""So many that a processor shared with others is seen to be shared: the scheduler's turns are some milliseconds."""
_USUAL: Final = 0.03
"""Seconds that so many turns take on the machine for which the tests' bounds were written, when it is idle."""


def slowness() -> float:
    """By how much everything takes longer now; 1 on a machine that is quicker."""
    began, total = time.perf_counter(), 0
    for turn in range(_TURNS):
        total += turn
    return max(1.0, (time.perf_counter() - began) / _USUAL)
