"""ReceiveBuffer: lines, counted octets, dot-stuffed text."""

from __future__ import annotations

import pytest

from posthouse.net.buffer import PIECE_OCTETS, BareLineFeed, LineTooLong, ReceiveBuffer


def fed(*pieces: bytes) -> ReceiveBuffer:
    buffer = ReceiveBuffer()
    for piece in pieces:
        buffer.feed(piece)
    return buffer


def text_of(buffer: ReceiveBuffer) -> tuple[bytes, bool]:
    """All the dotted text there is, and whether its end was seen."""
    text = b""
    while (piece := buffer.take_dotted()) is not None:
        text += piece[0]
        if piece[1]:
            return text, True
    return text, False


def test_lines_come_without_their_end():
    buffer = fed(b"NOOP\r\nQUIT\r\n")
    assert buffer.take_line(100) == b"NOOP"
    assert buffer.take_line(100) == b"QUIT"
    assert buffer.take_line(100) is None
    assert len(buffer) == 0


def test_an_empty_line_is_a_line():
    assert fed(b"\r\n").take_line(2) == b""


def test_half_a_line_waits_for_its_end():
    buffer = fed(b"NO", b"OP\r")
    assert buffer.take_line(100) is None
    buffer.feed(b"\nX")
    assert buffer.take_line(100) == b"NOOP"
    assert len(buffer) == 1


@pytest.mark.parametrize(("length", "fits"), [(8, True), (9, False)])
def test_the_limit_counts_the_line_end(length: int, fits: bool):
    buffer = fed(b"x" * length + b"\r\n" + b"next\r\n")
    if fits:
        assert buffer.take_line(10) == b"x" * 8
    else:
        with pytest.raises(LineTooLong):
            buffer.take_line(10)
    assert buffer.take_line(10) == b"next"


def test_a_long_line_is_told_once_and_its_rest_passed_over():
    buffer = fed(b"x" * 20)
    with pytest.raises(LineTooLong):
        buffer.take_line(10)
    assert len(buffer) == 0
    buffer.feed(b"y" * 20)
    assert buffer.take_line(10) is None
    assert len(buffer) == 0
    buffer.feed(b"z\r\nNOOP\r\n")
    assert buffer.take_line(10) == b"NOOP"


def test_a_line_without_cr_is_told_with_what_it_said():
    buffer = fed(b"NOOP\nQUIT\r\n")
    with pytest.raises(BareLineFeed) as told:
        buffer.take_line(100)
    assert told.value.line == b"NOOP"
    assert buffer.take_line(100) == b"QUIT"


def test_a_lonely_lf_is_bare_though_a_cr_ended_the_line_before():
    buffer = fed(b"A\r\n\nB\r\n")
    assert buffer.take_line(100) == b"A"
    with pytest.raises(BareLineFeed):
        buffer.take_line(100)


def test_exact_counts_cross_pieces():
    buffer = fed(b"abc", b"def", b"ghi")
    assert buffer.take_exactly(10) is None
    assert buffer.take_exactly(0) == b""
    assert buffer.take_exactly(4) == b"abcd"
    assert buffer.take_exactly(5) == b"efghi"


def test_some_is_bounded():
    buffer = fed(b"abcdef")
    assert buffer.take_some(4) == b"abcd"
    assert buffer.take_some(4) == b"ef"
    assert buffer.take_some(4) == b""


def test_a_chunk_taken_whole_is_not_copied():
    chunk = b"x" * 1000
    assert fed(chunk).take_some(1000) is chunk
    assert fed(chunk).take_exactly(1000) is chunk


def test_clear_forgets_what_was_pipelined():
    buffer = fed(b"RSET\r\nMAIL")
    buffer.clear()
    buffer.feed(b"EHLO\r\n")
    assert buffer.take_line(100) == b"EHLO"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a.\r\nb\r\n.\r\n", b"a.\r\nb\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
    ],
)
def test_dots_are_removed(raw: bytes, text: bytes):
    assert text_of(fed(raw)) == (text, True)
    slow = ReceiveBuffer()
    got, end = b"", False
    for octet in raw:
        slow.feed(bytes([octet]))
        while not end and (piece := slow.take_dotted()) is not None:
            got += piece[0]
            end = piece[1]
    assert (got, end) == (text, True)


@pytest.mark.parametrize(
    "false_end",
    [
        b"a\n.\n",
        b"a\n.\r\n",
        b"a\r\n.\n",
        b"a\r.\r",
        b"a\r.\r\n",
        b"a\r\n.\r",
        b"a\r\r\n.\r\rb",
        b"a\r\n.\r\x00\n",
    ],
)
def test_no_other_ending_ends_the_text(false_end: bytes):
    buffer = fed(false_end)
    assert text_of(buffer)[1] is False
    buffer.feed(b"b\r\n.\r\n")
    assert text_of(buffer)[1] is True
    assert buffer.bare_cr_or_lf


@pytest.mark.parametrize(
    ("raw", "bare"),
    [
        (b"a\r\nb\r\n.\r\n", False),
        (b"\r\n.\r\n", False),
        (b".\r\n", False),
        (b"a\nb\r\n.\r\n", True),
        (b"a\rb\r\n.\r\n", True),
        (b"a\r\r\n.\r\n", True),
        (b"a\n\r\n.\r\n", True),
        (b"\n\r\n.\r\n", True),
    ],
)
def test_line_ends_outside_cr_lf_are_told(raw: bytes, bare: bool):
    buffer = fed(raw)
    assert text_of(buffer)[1]
    assert buffer.bare_cr_or_lf is bare
    buffer.feed(b"clean\r\n.\r\n")
    assert text_of(buffer) == (b"clean\r\n", True)
    assert buffer.bare_cr_or_lf is False


def test_what_follows_the_end_stays():
    buffer = fed(b"a\r\n.\r\nQUIT\r\n")
    assert text_of(buffer) == (b"a\r\n", True)
    assert buffer.take_line(100) == b"QUIT"


def test_small_and_large_pieces_come_out_in_order():
    pieces = [b"a", b"b" * PIECE_OCTETS, b"c", b"d", b"e" * PIECE_OCTETS, b"f\r\n"]
    assert fed(*pieces).take_line(3 * PIECE_OCTETS) == b"".join(pieces)[:-2]
    some = fed(*pieces)
    taken = []
    while piece := some.take_some(3 * PIECE_OCTETS):
        taken.append(piece)
    assert taken == [b"a", b"b" * PIECE_OCTETS, b"cd", b"e" * PIECE_OCTETS, b"f\r\n"]


def test_a_trickle_is_gathered():
    buffer = fed(*[b"xy"] * 1000)
    assert len(buffer) == 2000
    assert [len(buffer.take_some(5000)) for _ in range(3)] == [2, 1998, 0]


def test_an_end_of_text_across_many_pieces_is_found():
    body = b"a" * PIECE_OCTETS + b"\r"
    assert text_of(fed(body, b"\n", b".", b"\r", b"\nQUIT\r\n")) == (body + b"\n", True)
