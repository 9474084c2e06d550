"""When things are tried again: intervals, jitter, expiry, and destinations that are away."""

from __future__ import annotations

from random import Random

import pytest

from posthouse import limits
from posthouse.config import Outbound
from posthouse.outbound.schedule import JITTER, Destinations, Term, next_attempt, retry_delay
from tests.outbound.conftest import recipient

SCHEDULE = (60, 300, 900)
SETTINGS = Outbound(retry=SCHEDULE, expire=86400, delay_notice=4 * 3600)


@pytest.mark.parametrize(("attempts", "interval"), [(1, 60), (2, 300), (3, 900), (4, 900), (1000, 900)])
def test_the_last_interval_repeats(attempts: int, interval: float) -> None:
    delays = [retry_delay(SCHEDULE, attempts, Random(seed)) for seed in range(200)]
    assert min(delays) >= interval * (1 - JITTER)
    assert max(delays) <= interval * (1 + JITTER)
    assert len(set(delays)) > 100, "what failed together does not return together"


def test_no_schedule_still_waits() -> None:
    assert retry_delay((), 1, Random(0)) > 60


def test_the_next_attempt_is_not_later_than_the_delay_notice_and_the_end() -> None:
    one = recipient("b@far.test", attempts=5)
    random, term = Random(0), Term(86400, 4 * 3600)
    assert next_attempt(SETTINGS, one, term, 4 * 3600 - 10, random) == 4 * 3600
    noticed = recipient("b@far.test", attempts=5, delay_noticed=True)
    assert next_attempt(SETTINGS, noticed, term, 4 * 3600 - 10, random) > 4 * 3600 + 700
    assert next_attempt(SETTINGS, noticed, term, 86400 - 10, random) == 86400
    assert next_attempt(SETTINGS, noticed, term, 90000, random) == 90001, "always in the future"


def test_a_destination_that_is_away_is_left_alone_longer_each_time() -> None:
    destinations = Destinations(SETTINGS, Random(0))
    first = destinations.unreached("far.test", "no connection", 1000)
    second = destinations.unreached("far.test", "no connection", 2000)
    assert 54 <= first.until - 1000 <= 66
    assert 270 <= second.until - 2000 <= 330
    assert second.since == 1000
    for _ in range(20):
        last = destinations.unreached("far.test", "no connection", 3000)
    assert last.until - 3000 <= limits.OUTBOUND_AWAY_MOST
    assert destinations.reached("far.test")
    assert not destinations.reached("far.test")
    assert destinations.away("far.test") is None


def test_destinations_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_DESTINATIONS", 2)
    destinations = Destinations(SETTINGS, Random(0))
    for name in ("a", "b", "c"):
        destinations.unreached(name, "", 0)
    assert destinations.away("a") is None
    assert destinations.away("c") is not None
