"""Message sets: what they mean, and that no number ever becomes a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.imap.sequence import SAVED, parse_sequence_set, uid_set
from posthouse.ranges import EMPTY, Ranges


@pytest.mark.parametrize(
    ("text", "highest", "meant"),
    [
        (b"1", 9, "1"),
        (b"2,4:7,9,12:*", 15, "2,4:7,9,12:15"),  # RFC 9051 §9
        (b"*:4,5:7", 10, "4:10"),  # RFC 9051 §9
        (b"4:2", 9, "2:4"),
        (b"*", 3, "3"),
        (b"559:*", 42, "42:559"),  # RFC 9051 §6.4.9: always holds the last message
        (b"1:4294967295", 9, "1:4294967295"),
    ],
)
def test_what_a_set_means(text: bytes, highest: int, meant: str) -> None:
    assert parse_sequence_set(text).resolve(highest) == Ranges.parse(meant)


def test_the_saved_result_is_no_set_of_numbers() -> None:
    assert parse_sequence_set(b"$") is SAVED
    assert SAVED.resolve(9) == EMPTY


@pytest.mark.parametrize("text", [b"4294967296", b"1:99999999999"])
def test_numbers_have_32_bits(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_sequence_set(text)


@pytest.mark.parametrize("text", [b"$", b"*", b"1:*"])
def test_known_uids_have_no_star(text: bytes) -> None:
    with pytest.raises(ValueError):
        uid_set(text)


NUMBERS = st.integers(1, 60)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8))
def test_a_set_is_the_union_of_its_ranges(pairs: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}:{last}" for first, last in pairs).encode()
    plain = {number for first, last in pairs for number in range(min(first, last), max(first, last) + 1)}
    assert set(parse_sequence_set(text).resolve(60)) == plain


@given(st.sets(st.integers(1, 300)))
def test_runs_are_found_by_galloping_as_by_walking(members: set[int]) -> None:
    assert Ranges.of_array(sorted(members)) == Ranges.of(members)
