"""Mail that waits for a moment which no schedule gives: the clock was ahead when it was planned, and was set right.

Without a look at it such mail would rest for as long as the clock was wrong, days or years. It is due at once instead.
"""

from __future__ import annotations

import logging
from typing import Final

from posthouse import limits
from posthouse.config import Outbound
from posthouse.outbound.schedule import JITTER
from posthouse.store.interface import Store, WakeDestination

log: Final = logging.getLogger(__name__)


async def wake_misplanned(store: Store, settings: Outbound, now: float) -> int:
    """Make due what waits longer than the longest interval there is; how many recipients."""
    longest = max([*settings.retry, limits.OUTBOUND_AWAY_MOST]) * (1 + JITTER) + limits.OUTBOUND_CLOCK_SLACK
    woken = await store.apply(WakeDestination(destination="", now=now, later_than=now + longest))
    if woken:
        log.warning("the clock was ahead: recipients=%d waited for too late a time and are due now", woken)
    return woken
