"""partial-range (RFC 9394 §3.1, §4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.partial_range import PartialRange, parse_partial_range


def parsed(raw: bytes) -> PartialRange:
    return parse_partial_range(Reader(b" " + raw))


@pytest.mark.parametrize(
    ("raw", "first", "last"),
    [
        # RFC 9394 §3.1: of 23,764 results
        (b"-1:-100", 23_665, 23_764),
        (b"23500:24000", 23_500, 23_764),
        (b"1:500", 1, 500),
        (b"24000:24500", 0, 0),
        # §4: the order of the two ends does not matter
        (b"500:400", 400, 500),
        (b"-100:-1", 23_665, 23_764),
        (b"-500:-400", 23_265, 23_365),
        # beyond either end
        (b"-23764:-30000", 1, 1),
        (b"-23765:-30000", 0, 0),
        (b"1:4294967295", 1, 23_764),
        (b"-1:-4294967295", 1, 23_764),
        (b"23764:23764", 23_764, 23_764),
        (b"23765:23765", 0, 0),
        (b"-1:-1", 23_764, 23_764),
    ],
)
def test_examples(raw: bytes, first: int, last: int) -> None:
    part = range(1, 23_765)[parsed(raw).among(23_764)]
    assert list(part) == list(range(first, last + 1 if first else 0))
    assert parsed(raw).raw == raw


NO_RANGES = (
    b"", b"1", b"1:", b":1", b"0:1", b"1:0", b"-0:-1", b"1:-1", b"-1:1", b"*:1", b"1:*", b"--1:-2", b"1:2,3:4",
    b"4294967296:1", b"1:4294967296", b"1:99999999999", b"a:b", b"(1:2)", b'"1:2"', b"+1:+2", b"1: 2",
)  # fmt: skip


@pytest.mark.parametrize("raw", NO_RANGES)
def test_what_is_no_range(raw: bytes) -> None:
    reader = Reader(b" " + raw)
    with pytest.raises(BadSyntax):
        parse_partial_range(reader)
        reader.end()


@given(st.integers(0, 60), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_it_is_what_counting_gives(count: int, one: int, other: int, from_end: bool) -> None:
    sign = b"-" if from_end else b""
    wanted = parsed(b"%b%d:%b%d" % (sign, one, sign, other))
    results = list(range(count))
    numbered = {-(count - place) if from_end else place + 1: place for place in results}
    low, high = min(one, other), max(one, other)
    asked = range(-high, -low + 1) if from_end else range(low, high + 1)
    assert results[wanted.among(count)] == [numbered[each] for each in asked if each in numbered]
