"""`:index` and `:last` (RFC 5260 §6)."""

from __future__ import annotations

import pytest

from tests.sieve.running import holds, refusal

MESSAGE = (
    b"Received: from b by c; Mon, 26 Feb 2007 12:00:00 -0500\r\n"
    b"X-One: a\r\n"
    b"Received: from a by b; Mon, 26 Feb 2007 09:30:00 -0500\r\n"
    b"X-Two: b\r\n"
    b"X-One: c\r\n"
    b"To: a@example.org, b@example.org\r\n"
    b"To: c@example.org\r\n"
    b"\r\n"
)


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('header :index 1 "x-one" "a"', True),
        ('header :index 2 "x-one" "a"', False),
        ('header :index 2 "x-one" "c"', True),
        ('header :index 3 :contains "x-one" ""', False),
        ('header :index 1 :last "x-one" "c"', True),
        ('header :last :index 2 "x-one" "a"', True),
        ('header :index 3 :last :contains "x-one" ""', False),
        ('header :index 2 ["x-two", "x-one"] "a"', True),
        ('header :index 2 ["x-one", "x-two"] "c"', True),
        ('header :index 3 ["x-one", "x-two"] "b"', True),
        ('header :index 1 :last ["x-one", "x-two"] "b"', True),
        ('header :index 3 :last ["x-one", "x-two"] "a"', True),
        ('header :index 3 :last ["x-one", "x-two"] ["b", "c"]', False),
        ('header :index 4 :contains ["x-one", "x-two"] ""', False),
        ('header :index 1 ["X-One", "x-one"] "a"', True),
        ('address :index 1 "to" "b@example.org"', True),
        ('address :index 2 "to" "b@example.org"', False),
        ('address :index 1 :last "to" "c@example.org"', True),
        ('date :index 2 :zone "-0500" "received" "iso8601" "2007-02-26T09:30:00-05:00"', True),
        ('date :index 1 :last :originalzone "received" "hour" "09"', True),
        ('date :index 3 :contains "received" "hour" ""', False),
    ],
)
def test_fields_are_counted(test: str, true: bool) -> None:
    assert holds(test, MESSAGE, require="index date") is true


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ('header :last "a" "b"', "line 1: :last needs :index"),
        ('header :index 0 "a" "b"', "line 1: :index counts from 1"),
        ('header :index "1" "a" "b"', "line 1: :index wants a number here"),
        ('exists :index 1 "a"', 'line 1: "exists" knows no :index'),
    ],
)
def test_wrong_uses(test: str, said: str) -> None:
    assert refusal(f'require "index"; if {test} {{ keep; }}').startswith(said)
