"""Replies as octets, and octets as replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.errors import RemoteProtocolError
from posthouse.limits import SMTP_REPLY_LINE, SMTP_REPLY_LINES
from posthouse.smtp.replies import Reply, ReplyReader


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.1.0", "ok"), b"250 2.1.0 ok\r\n"),
        (Reply(354, "", "go ahead"), b"354 go ahead\r\n"),
        (Reply(550, "5.7.1", "no\nreally"), b"550-5.7.1 no\r\n550 5.7.1 really\r\n"),
        (Reply(250, "", "mx\nSIZE 1\nHELP"), b"250-mx\r\n250-SIZE 1\r\n250 HELP\r\n"),
        (Reply(550, "5.1.1", "a\rb\x00c\td"), b"550 5.1.1 a?b?c?d\r\n"),
        (Reply(550, "5.1.1", "ü"), b"550 5.1.1 \\xfc\r\n"),
    ],
)
def test_reply_becomes_octets(reply, octets):
    assert reply.encode() == octets


def test_reply_line_is_cut_at_its_limit():
    assert len(Reply(550, "5.1.1", "x" * 2000).encode()) == SMTP_REPLY_LINE


def read(octets: bytes) -> Reply | None:
    reader = ReplyReader()
    for line in octets.split(b"\r\n")[:-1]:
        reply = reader.receive_line(line)
    return reply


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250 ok\r\n", Reply(250, "", "ok")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250 2.0.0\r\n", Reply(250, "2.0.0", "")),
        (b"550-5.7.1 one\r\n550 5.7.1 two\r\n", Reply(550, "5.7.1", "one\ntwo")),
        (b"550-5.7.1 one\r\n550 two\r\n", Reply(550, "5.7.1", "one\ntwo")),
        (b"250 5.7.1 class of another reply\r\n", Reply(250, "", "5.7.1 class of another reply")),
        (b"250-mx\r\n250-SIZE 10\r\n250 HELP\r\n", Reply(250, "", "mx\nSIZE 10\nHELP")),
        (b"250-ok\r\n", None),
    ],
)
def test_octets_become_a_reply(octets, reply):
    assert read(octets) == reply


@pytest.mark.parametrize(
    "line", [b"", b"25", b"25x ok", b"150 ok", b"650 ok", b"250xok", "２５０ ok".encode()]
)
def test_what_is_no_reply_line_is_refused(line):
    with pytest.raises(RemoteProtocolError):
        ReplyReader().receive_line(line)


def test_a_reply_with_two_codes_is_refused():
    with pytest.raises(RemoteProtocolError):
        read(b"250-a\r\n550 b\r\n")


def test_an_endless_reply_is_refused():
    with pytest.raises(RemoteProtocolError):
        read(b"250-a\r\n" * (SMTP_REPLY_LINES + 1))


texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@given(st.integers(2, 5), st.lists(texts, min_size=1, max_size=5))
def test_reading_what_was_written_gives_the_reply(first, lines):
    reply = Reply(first * 100 + 50, "" if first == 3 else f"{first}.1.0", "\n".join(["x", *lines, "x"]))
    read_back = read(reply.encode())
    # White space behind the enhanced code is not told apart from the text's own.
    assert read_back is not None
    assert [line.lstrip() for line in read_back.text.split("\n")] == [
        line.lstrip() for line in reply.text.split("\n")
    ] or any(line.startswith(reply.enhanced) for line in lines if reply.enhanced)
    assert (read_back.code, read_back.enhanced) == (reply.code, reply.enhanced)
