"""Dot-stuffing and TOP."""

from __future__ import annotations

import pytest

from posthouse.pop3.text import Stuffer, Top, stuff

MESSAGE = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree\r\n"


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b".\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n..b\r\n", b"a\r\n...b\r\n.\r\n"),
        (b"a\n.\nb\n", b"a\n..\nb\n\r\n.\r\n"),
        (b"a.\r\n.", b"a.\r\n..\r\n.\r\n"),
    ],
)
def test_stuffing(message: bytes, sent: bytes):
    assert stuff(message) == sent
    stuffer = Stuffer()
    assert b"".join(stuffer.take(message[i : i + 1]) for i in range(len(message))) + stuffer.end() == sent


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (0, b"A: 1\r\nB: 2\r\n\r\n"),
        (1, b"A: 1\r\nB: 2\r\n\r\none\r\n"),
        (3, MESSAGE),
        (4, MESSAGE),
        (10**9, MESSAGE),
    ],
)
def test_top(lines: int, wanted: bytes):
    top = Top(lines)
    assert top.take(MESSAGE) == wanted


@pytest.mark.parametrize(
    ("message", "lines", "wanted"),
    [
        (b"\r\nbody\r\nmore\r\n", 1, b"\r\nbody\r\n"),
        (b"A: 1\n\nbody\nmore\n", 1, b"A: 1\n\nbody\n"),
        (b"A: 1\r\n", 3, b"A: 1\r\n"),
        (b"A: 1\r\n\r\nno end", 0, b"A: 1\r\n\r\n"),
        (b"A: 1\r\n\r\nno end", 1, b"A: 1\r\n\r\nno end"),
    ],
)
def test_top_of_odd_messages(message: bytes, lines: int, wanted: bytes):
    assert Top(lines).take(message) == wanted
