"""The terms of sending while the clock cannot be trusted: nothing is given up for its age.

A clock that leaps a year ahead makes all that waits due at once, and all that cannot be delivered at that moment would
come back to its sender.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse.config import Outbound
from posthouse.steady_clock import SteadyClock

_FOR_EVER: Final = 1e12


def in_force(settings: Callable[[], Outbound], steady: SteadyClock | None = None) -> Callable[[], Outbound]:
    """Gives the settings that hold at the moment it is called: those of the configuration while all is well.

    `steady`: of the machine's own clock, whatever a playground's may do; it is believed from the start.
    """
    clock = steady if steady is not None else SteadyClock(time.time, watched=0.0)

    def now() -> Outbound:
        configured = settings()
        return configured if clock.is_steady() else msgspec.structs.replace(configured, expire=_FOR_EVER)

    return now
