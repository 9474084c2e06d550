"""Sets of UIDs as ranges, against Python's own sets; what grows at its end stays quick."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.ranges import EMPTY, Ranges

MEMBERS = st.sets(st.integers(1, 60), max_size=30)


def check(found: Ranges, members: set[int]) -> None:
    """Everything that can be asked of it is as of the set."""
    ascending = sorted(members)
    assert list(found) == ascending
    assert len(found) == len(ascending)
    assert bool(found) == bool(ascending)
    assert found == Ranges.of(members)
    assert [found.nth(i) for i in range(1, len(ascending) + 1)] == ascending
    assert [found.rank(one) for one in ascending] == list(range(1, len(ascending) + 1))
    for one in range(62):
        assert (one in found) == (one in members)
        if one not in members:
            assert found.rank(one) is None
    runs = sum(one - 1 not in members for one in members)
    assert found.run_count() == runs, "touching runs are one"
    assert Ranges.parse(str(found)) == found


@given(MEMBERS, MEMBERS)
def test_set_algebra(one: set[int], other: set[int]) -> None:
    a, b = Ranges.of(one), Ranges.of(other)
    check(a | b, one | other)
    check(a & b, one & other)
    check(a - b, one - other)


@given(MEMBERS, st.integers(1, 5), st.integers(1, 5))
def test_growing_at_the_end(members: set[int], gap: int, count: int) -> None:
    first = max(members, default=0) + gap
    check(
        Ranges.of(members) | Ranges.between(first, first + count - 1),
        members | set(range(first, first + count)),
    )


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=12))
def test_pairs_in_any_order(pairs: list[tuple[int, int]]) -> None:
    check(Ranges(pairs), {one for a, b in pairs for one in range(min(a, b), max(a, b) + 1)})


@given(MEMBERS)
def test_sets_are_never_changed(members: set[int]) -> None:
    before = Ranges.of(members)
    _ = before | Ranges.between(100, 101), before | Ranges.between(1, 200), before - Ranges.between(3, 9)
    check(before, members)


def test_ends_of_the_empty_set() -> None:
    for ask in (lambda: EMPTY.first, lambda: EMPTY.last, lambda: EMPTY.nth(1)):
        with pytest.raises(IndexError):
            ask()


@pytest.mark.parametrize("text", ["1:", "a", "1,,2", "1:2:3"])
def test_what_is_no_set(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Ranges.parse(text)


def test_new_mail_costs_little_in_a_mailbox_full_of_gaps() -> None:
    gaps = Ranges((uid, uid) for uid in range(1, 60_000, 2))
    began = time.process_time()
    for _ in range(20):
        gaps = gaps | Ranges.between(gaps.last + 1, gaps.last + 1)
    grown = time.process_time() - began
    began = time.process_time()
    Ranges(gaps.pairs())
    assert grown < 20 * (time.process_time() - began) / 3
