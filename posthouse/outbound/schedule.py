"""When a recipient is tried again, and which destinations are left alone meanwhile. Pure: time and chance come in.

Two things hold a retry back: the recipient's own schedule (`outbound.retry`, RFC 5321 §4.5.4.1), and its
destination's being away: when no server of it can be reached, its mail waits as a whole, and one message tries
from time to time. A message that has never been tried tries at least once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from random import Random

import msgspec

from posthouse import limits
from posthouse.config import Outbound
from posthouse.store.model import QueuedRecipient

JITTER = 0.1
"""Each interval is up to this part shorter or longer, so that what failed together does not return together."""


def retry_delay(schedule: Sequence[float], attempts: int, random: Random) -> float:
    """Seconds to the next attempt after `attempts` of them (1 or more); the last interval repeats."""
    interval = schedule[min(attempts, len(schedule)) - 1] if schedule else limits.OUTBOUND_AWAY_MOST
    return interval * random.uniform(1 - JITTER, 1 + JITTER)


def expires_at(settings: Outbound, created_at: float) -> float:
    """When we give up."""
    return created_at + settings.expire


def next_attempt(
    settings: Outbound, recipient: QueuedRecipient, created_at: float, now: float, random: Random
) -> float:
    """When a recipient that was deferred now is due again.

    Never later than the moments at which the sender is to be told of the delay, or of its end.
    """
    at = now + retry_delay(settings.retry, recipient.attempts + 1, random)
    at = min(at, max(expires_at(settings, created_at), now + 1))
    notice_at = created_at + settings.delay_notice
    if settings.delay_notice and not recipient.delay_noticed and notice_at > now:
        at = min(at, notice_at)
    return at


class Away(msgspec.Struct, frozen=True):
    """A destination none of whose servers can be reached."""

    since: float
    failures: int
    until: float
    """When one message may try again."""
    reason: str


class Destinations:
    """Which destinations are away. Bounded; forgetting one costs an attempt."""

    def __init__(self, settings: Outbound, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._away: OrderedDict[str, Away] = OrderedDict()

    def refit(self, settings: Outbound) -> None:
        """Leave destinations alone by another schedule from now on."""
        self._settings = settings

    def away(self, destination: str) -> Away | None:
        """What is known of a destination that is away."""
        return self._away.get(destination)

    def unreached(self, destination: str, reason: str, now: float) -> Away:
        """No server of it could be reached: leave it alone for a while, longer each time."""
        before = self._away.pop(destination, None)
        failures = before.failures + 1 if before is not None else 1
        delay = retry_delay(self._settings.retry, failures, self._random)
        found = Away(
            since=before.since if before is not None else now,
            failures=failures,
            until=now + min(delay, limits.OUTBOUND_AWAY_MOST),
            reason=reason,
        )
        self._away[destination] = found
        while len(self._away) > limits.OUTBOUND_DESTINATIONS:
            self._away.popitem(last=False)
        return found

    def reached(self, destination: str) -> bool:
        """A server of it talked to us; whether it was away before."""
        return self._away.pop(destination, None) is not None

    def forget(self, destination: str) -> None:
        """Know nothing of a destination any more; of none at all when it is empty."""
        if destination:
            self._away.pop(destination, None)
        else:
            self._away.clear()
