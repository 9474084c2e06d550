"""`date` and `currentdate` (RFC 5260 §4, §5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.sieve.actions import FileInto
from tests.sieve.running import actions, holds, outcome, refusal

RECEIVED = (
    b"Received: from a by b with SMTP id 1; Mon, 26 Feb 2007 15:00:01 +0100\r\n"
    b"Received: from c by a; Sun, 25 Feb 2007 23:59:59 +0000\r\n"
    b"Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)\r\n"
    b"X-Wrong: Tue, 30 Feb 1997 09:06:31 -0800\r\n"
    b"X-None: soon\r\n"
    b"\r\n"
)


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('date :originalzone "date" "year" "1997"', True),
        ('date :originalzone "date" "month" "04"', True),
        ('date :originalzone "date" "day" "01"', True),
        ('date :originalzone "date" "date" "1997-04-01"', True),
        ('date :originalzone "date" "hour" "09"', True),
        ('date :originalzone "date" "minute" "06"', True),
        ('date :originalzone "date" "second" "31"', True),
        ('date :originalzone "date" "time" "09:06:31"', True),
        ('date :originalzone "date" "iso8601" "1997-04-01T09:06:31-08:00"', True),
        ('date :originalzone "date" "STD11" "Tue, 01 Apr 1997 09:06:31 -0800"', True),
        ('date :originalzone "date" "zone" "-0800"', True),
        ('date :originalzone "date" "weekday" "2"', True),
        ('date :originalzone "date" "julian" "50539"', True),
        ('date "date" "hour" "17"', True),
        ('date "date" "zone" "+0000"', True),
        ('date "date" "iso8601" "1997-04-01T17:06:31Z"', True),
        ('date :zone "+0930" "date" "time" "02:36:31"', True),
        ('date :zone "+0930" "date" "zone" "+0930"', True),
        ('date :zone "+0930" "date" "julian" "50540"', True),
        ('date :zone "-0000" "date" "zone" "+0000"', True),
        ('date :matches "date" "date" "1997-*"', True),
        ('date :originalzone "received" "weekday" ["0", "6"]', False),
        ('date :originalzone "received" "weekday" "1"', True),
        ('date :originalzone "received" "time" "15:00:01"', True),
        ('date "x-wrong" "year" "1997"', False),
        ('date :contains "x-none" "year" ""', False),
        ('date :contains "x-nothing" "year" ""', False),
    ],
)
def test_parts_of_a_field(test: str, true: bool) -> None:
    """RFC 5260 §4.2."""
    assert holds(test, RECEIVED, require="date") is true


def test_julian_days_are_those_of_the_appendix() -> None:
    """RFC 5260 Appendix A: day 0 is 1858-11-17."""
    message = b"Date: 17 Nov 1858 00:00:00 +0000\r\n\r\n"
    assert holds('date "date" "julian" "0"', message, require="date")


def test_without_a_zone_it_is_the_servers() -> None:
    """RFC 5260 §4.1."""
    assert holds('date "date" "zone" "+0200"', RECEIVED, require="date", offset=120)
    assert holds('date "date" "hour" "19"', RECEIVED, require="date", offset=120)


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('date :value "ge" :originalzone "date" "hour" "09"', True),
        ('date :value "lt" :originalzone "date" "hour" "09"', False),
        ('date :count "eq" "date" "hour" "1"', True),
        ('date :count "eq" "x-wrong" "hour" "0"', True),
        ('currentdate :count "eq" "hour" "1"', True),
        ('date :value "gt" :comparator "i;ascii-numeric" "date" "julian" "50538"', True),
    ],
)
def test_as_numbers(test: str, true: bool) -> None:
    """RFC 5260 §4, §4.3, §5."""
    require = "date relational comparator-i;ascii-numeric"
    assert holds(test, RECEIVED, require=require) is true


def test_the_moment_at_hand() -> None:
    now = 1_183_195_800.9  # Saturday, 2007-06-30 09:30:00 UTC
    for test in (
        'currentdate "date" "2007-06-30"',
        'currentdate :is "weekday" "6"',
        'currentdate :zone "-1000" "weekday" "5"',
        'currentdate "std11" "Sat, 30 Jun 2007 09:30:00 +0000"',
        'currentdate "time" "09:30:00"',
    ):
        assert holds(test, require="date", now=now), test


def test_a_mailbox_for_each_month() -> None:
    """RFC 5260 §5.1."""
    script = """require ["date", "variables", "fileinto"];
        if currentdate :matches "month" "*" { set "month" "${1}"; }
        if currentdate :matches "year"  "*" { set "year"  "${1}"; }
        fileinto "${month}-${year}";"""
    assert actions(script, now=1_183_195_800) == (FileInto(line=4, mailbox="06-2007"),)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (
            'date :zone "+0100" :originalzone "date" "year" "1"',
            "line 1: :zone and :originalzone cannot both be",
        ),
        ('date :zone "CET" "date" "year" "1"', 'line 1: "CET" is not a time zone such as "+0100"'),
        ('date :zone "+01:00" "date" "year" "1"', 'line 1: "+01:00" is not a time zone such as "+0100"'),
        ('date :zone "+2400" "date" "year" "1"', 'line 1: "+2400" is not a time zone such as "+0100"'),
        ('date "date" "century" "1"', 'line 1: "century" is not a part of a date; those are year, '),
        ('currentdate :originalzone "year" "1"', 'line 1: "currentdate" knows no :originalzone'),
        ('date ["date", "received"] "year" "1"', "line 1: "),
        ('currentdate "year"', 'line 1: "currentdate" takes 2 arguments (part, keys), not 1'),
    ],
)
def test_wrong_uses(test: str, said: str) -> None:
    assert refusal(f'require "date"; if {test} {{ keep; }}').startswith(said)


def test_parts_and_zones_from_variables_are_checked_when_they_are_known() -> None:
    for arguments in ('"${a}" "1"', ':zone "${a}" "year" "1"'):
        script = f'require ["date", "variables"]; set "a" "b"; if currentdate {arguments} {{ discard; }}'
        assert '"b" is not a' in outcome(script).fault


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_any_moment_is_shown_as_a_clock_would(moment: datetime, offset: int) -> None:
    seconds = (moment - datetime(1970, 1, 1)) // timedelta(seconds=1)
    shown = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
    shown = shown.astimezone(timezone(timedelta(minutes=offset)))
    for part, text in (
        ("date", shown.date().isoformat()),
        ("time", shown.time().isoformat()),
        ("weekday", str(shown.isoweekday() % 7)),
    ):
        assert holds(f'currentdate "{part}" "{text}"', require="date", now=float(seconds), offset=offset)


def test_a_year_that_has_not_four_digits_is_no_date() -> None:
    message = b"Date: 31 Dec 9999 23:59:59 +0000\r\n\r\n"
    assert holds('date "date" "year" "9999"', message, require="date")
    assert not holds('date :contains :zone "+0001" "date" "year" ""', message, require="date")
