"""Dot-stuffing: the same octets however the message is cut, and nothing that could end it early."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.smtp.dot_stuffing import DotStuffer


def stuff(*chunks: bytes) -> bytes:
    stuffer = DotStuffer()
    return b"".join([*(stuffer.encode(chunk) for chunk in chunks), stuffer.end()])


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"", b".\r\n"),
        (b"one\r\n", b"one\r\n.\r\n"),
        (b"one", b"one\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        (b"a.\r\n..b\r\n", b"a.\r\n...b\r\n.\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n.\r\n"),
    ],
)
def test_stuffed(message: bytes, sent: bytes) -> None:
    assert stuff(message) == sent
    assert stuff(*(bytes([octet]) for octet in message)) == sent


pieces = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"..", b""]), max_size=30)


@given(pieces)
def test_only_the_end_looks_like_the_end(chunks: list[bytes]) -> None:
    sent = stuff(*chunks)
    assert re.findall(rb"(?:^|\r\n|\r|\n)\.(?:\r\n|\r|\n)", sent) in ([b"\r\n.\r\n"], [b".\r\n"])
    assert sent.endswith(b".\r\n")
    lone = re.sub(rb"\r\n", b"", sent)
    assert b"\r" not in lone
    assert b"\n" not in lone


@given(pieces)
def test_a_receiver_gets_the_message_back(chunks: list[bytes]) -> None:
    message = re.sub(rb"\r\n|\r|\n", b"\r\n", b"".join(chunks))
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    got = re.sub(rb"(^|\r\n)\.", rb"\1", stuff(*chunks)[:-3])
    assert got == message
