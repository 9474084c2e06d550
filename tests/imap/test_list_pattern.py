"""LIST patterns against a plain definition of them, and against patterns made to be slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.imap.list_pattern import matcher
from tests.machine import slowness


def plain(pattern: str, name: str) -> bool:
    """The definition: every wildcard tried at every length."""
    if not pattern:
        return not name
    head, rest = pattern[0], pattern[1:]
    if head in "*%":
        ends = range(len(name) + 1)
        return any(plain(rest, name[i:]) for i in ends if head == "*" or "/" not in name[:i])
    return name[:1] == head and plain(rest, name[1:])


@given(pattern=st.text("ab/*%", max_size=7), name=st.text("ab/", max_size=8))
def test_a_pattern_matches_what_its_definition_says(pattern: str, name: str) -> None:
    assert matcher(pattern)(name) == plain(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("inb%", "INBOX", True),
        ("inb*", "INBOX/a", False),
        ("a.b", "axb", False),
        ("a+*", "a+b\nc", True),
        ("INBOX", "INBOX", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert matcher(pattern)(name) is matches


def test_too_many_wildcards_match_nothing() -> None:
    assert matcher("a" + "*b" * limits.LIST_WILDCARDS)("a" + "b" * limits.LIST_WILDCARDS)
    assert not matcher("a" + "*b" * (limits.LIST_WILDCARDS + 1))("a" + "b" * 50)


@pytest.mark.parametrize("unit", ["*a", "%a", "*a%a", "%*a"])
def test_no_pattern_is_slow(unit: str) -> None:
    pattern = unit * (limits.LIST_WILDCARDS // (len(unit) - 1 if unit != "%*a" else 2)) + "b"
    began = time.perf_counter()
    assert not matcher(pattern)("a" * limits.MAILBOX_NAME)
    assert time.perf_counter() - began < 0.2 * slowness()
