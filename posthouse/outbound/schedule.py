"""When a recipient is tried again, and which destinations are left alone meanwhile. Pure: time and chance come in.

Two things hold a retry back: the recipient's own schedule (`outbound.retry`, RFC 5321 §4.5.4.1), and its
destination's being away: when no server of it can be reached, its mail waits as a whole, and one message tries
from time to time. A message that has never been tried tries at least once.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from random import Random

import msgspec

from posthouse import limits
from posthouse.config import Outbound
from posthouse.store.model import QueuedMessage, QueuedRecipient

JITTER = 0.1
"""Each interval is up to this part shorter or longer, so that what failed together does not return together."""


def retry_delay(schedule: Sequence[float], attempts: int, random: Random) -> float:
    """Seconds to the next attempt after `attempts` of them (1 or more); the last interval repeats."""
    interval = schedule[min(attempts, len(schedule)) - 1] if schedule else limits.OUTBOUND_AWAY_MOST
    return interval * random.uniform(1 - JITTER, 1 + JITTER)


class Term(msgspec.Struct, frozen=True):
    """How long a message is tried, and when its sender hears that it is late."""

    ends_at: float
    """When we give up."""
    notice_at: float
    """0: the sender does not hear of a delay."""

    def is_told(self, recipient: QueuedRecipient, now: float) -> bool:
        """Whether the time has come to tell the sender of a recipient's delay."""
        return bool(self.notice_at) and not recipient.delay_noticed and now >= self.notice_at

    def at_most(self, at: float, recipient: QueuedRecipient, now: float) -> float:
        """A time for the next look, but not after the sender is to be told of the delay, or of its end."""
        at = min(at, max(self.ends_at, now + 1))
        if not recipient.delay_noticed and self.notice_at > now:
            at = min(at, self.notice_at)
        return at


def term_of(settings: Outbound, message: QueuedMessage) -> Term:
    """By the configuration, and by what the sender has set (RFC 2852 §4.1)."""
    created_at, mode = message.created_at, message.by_mode
    ends_at = created_at + settings.expire
    notice_at = created_at + settings.delay_notice if settings.delay_notice else 0.0
    if mode.startswith("R"):
        ends_at = min(ends_at, message.deliver_by)
    elif mode and message.deliver_by > created_at:  # else others have told the sender already
        notice_at = message.deliver_by
    return Term(ends_at, notice_at)


def is_too_late(message: QueuedMessage, now: float) -> bool:
    """RFC 2852 §4.1: whether it must come back, because the sender did not want it delivered any more."""
    return message.by_mode.startswith("R") and now >= message.deliver_by


def time_left(message: QueuedMessage, now: float) -> str:
    """What BY says to the next server: the seconds that are left, and the mode (RFC 2852 §4.1)."""
    if not message.by_mode:
        return ""
    left = max(-_MOST_LEFT, min(_MOST_LEFT, math.floor(message.deliver_by - now)))
    return f"{left};{message.by_mode}"


_MOST_LEFT = 999_999_999
"""RFC 2852 §4: nine digits."""


def next_attempt(
    settings: Outbound, recipient: QueuedRecipient, term: Term, now: float, random: Random
) -> float:
    """When a recipient that was deferred now is due again."""
    return term.at_most(now + retry_delay(settings.retry, recipient.attempts + 1, random), recipient, now)


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
