"""However the octets are cut into pieces, a ReceiveBuffer tells the same story."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from posthouse.net.buffer import BareLineFeed, LineTooLong, ReceiveBuffer

octets = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"\r\n.\r\n", b"a", b"bc", b"\x00", b"\xff" * 9])
)
cuts = st.lists(st.integers(0, 60))


def pieces(raw: bytes, at: list[int]) -> list[bytes]:
    marks = sorted({0, len(raw), *(mark for mark in at if mark < len(raw))})
    return [raw[a:b] for a, b in pairwise(marks)]


def lines(parts: list[bytes], limit: int) -> list[object]:
    buffer = ReceiveBuffer()
    story: list[object] = []
    for part in parts:
        buffer.feed(part)
        while True:
            try:
                line = buffer.take_line(limit)
            except BareLineFeed as told:
                story.append(("bare", told.line))
                continue
            except LineTooLong:
                story.append("too long")
                continue
            if line is None:
                break
            story.append(line)
    return story


def plain_lines(raw: bytes, limit: int) -> list[object]:
    """The same by the plainest means."""
    story: list[object] = []
    *whole, rest = raw.split(b"\n")
    for line in whole:
        if len(line) + 1 > limit:
            story.append("too long")
        elif line.endswith(b"\r"):
            story.append(line[:-1])
        else:
            story.append(("bare", line))
    return [*story, "too long"] if len(rest) > limit else story


@given(octets, cuts, st.integers(3, 12))
def test_lines_in_any_pieces(tokens: list[bytes], at: list[int], limit: int):
    raw = b"".join(tokens)
    assert lines(pieces(raw, at), limit) == plain_lines(raw, limit)


def text(parts: list[bytes]) -> tuple[bytes, bool, bool, bytes]:
    buffer = ReceiveBuffer()
    got, end = b"", False
    for part in parts:
        buffer.feed(part)
        while not end and (piece := buffer.take_dotted()) is not None:
            got += piece[0]
            end = piece[1]
    return (
        got,
        end,
        end and buffer.bare_cr_or_lf,
        b"".join(iter(lambda: buffer.take_some(10_000), b"")) if end else b"",
    )


def plain_text(raw: bytes) -> tuple[bytes, bool, bytes]:
    """RFC 5321 §4.5.2 by the plainest means; text without an end counts as nothing."""
    body, mark, rest = (b"\r\n" + raw).partition(b"\r\n.\r\n")
    if not mark:
        return b"", False, b""
    body = (body + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
    return body, bool(re.search(rb"\r(?!\n)|(?<!\r)\n", body)), rest


@given(octets, cuts)
def test_dotted_text_in_any_pieces(tokens: list[bytes], at: list[int]):
    raw = b"".join(tokens)
    got, end, bare, rest = text(pieces(raw, at))
    want, want_bare, want_rest = plain_text(raw)
    assert end == (b"\r\n.\r\n" in b"\r\n" + raw)
    if end:
        assert (got, bare, rest) == (want, want_bare, want_rest)


@given(octets, cuts, st.integers(0, 20))
def test_counted_octets_in_any_pieces(tokens: list[bytes], at: list[int], count: int):
    raw = b"".join(tokens)
    buffer = ReceiveBuffer()
    taken = None
    for part in pieces(raw, at):
        buffer.feed(part)
        taken = buffer.take_exactly(count) if taken is None else taken
    assert taken == (raw[:count] if len(raw) >= count and raw else None)
