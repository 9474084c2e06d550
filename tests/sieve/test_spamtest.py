"""`spamtest`, `spamtestplus`, `virustest` (RFC 5235)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sieve.running import holds, refusal


@pytest.mark.parametrize(
    ("test", "facts", "true"),
    [
        ('spamtest "0"', {}, True),
        ('spamtest "1"', {"spam": 1}, True),
        ('spamtest "10"', {"spam": 10, "spam_percent": 100}, True),
        ('spamtest :percent "100"', {"spam": 10, "spam_percent": 100}, True),
        ('spamtest :percent "0"', {"spam": 1, "spam_percent": 0}, True),
        ('spamtest :percent "0"', {}, True),
        ('spamtest :matches "1*"', {"spam": 10}, True),
        ('virustest "0"', {}, True),
        ('virustest "5"', {"virus": 5}, True),
        ('virustest "1"', {"virus": 5}, False),
    ],
)
def test_scores(test: str, facts: dict[str, Any], true: bool) -> None:
    assert holds(test, require="spamtestplus virustest", **facts) is true


@pytest.mark.parametrize(
    ("test", "facts", "true"),
    [
        ('spamtest :value "ge" :comparator "i;ascii-numeric" "3"', {"spam": 10}, True),
        ('spamtest :value "ge" :comparator "i;ascii-numeric" "3"', {"spam": 2}, False),
        ('spamtest :value "eq" :comparator "i;ascii-numeric" "0"', {}, True),
        ('spamtest :count "eq" :comparator "i;ascii-numeric" "0"', {}, True),
        ('spamtest :percent :count "eq" :comparator "i;ascii-numeric" "0"', {}, True),
        (
            'spamtest :percent :count "eq" :comparator "i;ascii-numeric" "1"',
            {"spam": 1, "spam_percent": 0},
            True,
        ),
        ('spamtest :percent :value "lt" :comparator "i;ascii-numeric" "37"', {"spam_percent": 36}, True),
        ('virustest :count "eq" :comparator "i;ascii-numeric" "0"', {}, True),
        ('virustest :value "eq" :comparator "i;ascii-numeric" "4"', {"virus": 4}, True),
    ],
)
def test_scores_as_numbers(test: str, facts: dict[str, Any], true: bool) -> None:
    """RFC 5235 §3.2, §3.3."""
    require = "spamtestplus virustest relational comparator-i;ascii-numeric"
    assert holds(test, require=require, **facts) is true


def test_what_must_be_required() -> None:
    assert refusal('require "spamtest"; if spamtest "0" { keep; }') == ""
    assert refusal('require "spamtestplus"; if spamtest "0" { keep; }') == ""
    assert (
        refusal('require "spamtest"; if spamtest :percent "0" { keep; }')
        == 'line 1: :percent needs require "spamtestplus"'
    )
    assert (
        refusal('require "spamtest"; if virustest "0" { keep; }')
        == 'line 1: "virustest" needs require "virustest"'
    )
    assert refusal('require "spamtest"; if spamtest ["0", "1"] { keep; }') != ""
