"""The server on real sockets: time limits, shutting down, floods, lost connections, and large messages."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from tests.imap.conftest import MESSAGE_SIZE, Post


async def test_a_silent_stranger_is_sent_away(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_LOGIN_TIME", 0.05)
    client = await post.connect()
    assert await client.line() == b"* BYE Logged out for inactivity\r\n"
    assert await client.line() == b""


async def test_a_stranger_who_keeps_talking_is_sent_away_too(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMAP_LOGIN_TIME", 0.05)
    client = await post.connect()
    heard = b""
    while heard != b"* BYE Logged out for inactivity\r\n":
        client.send(b"a NOOP\r\n")
        heard = await client.line()
        assert heard


async def test_autologout_when_idle(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_AUTOLOGOUT", 0.05)
    client = await post.login()
    await client.command(b"SELECT INBOX")
    client.send(b"i IDLE\r\n")
    assert await client.line() == b"+ idling\r\n"
    assert await client.line() == b"* BYE Logged out for inactivity\r\n"
    assert await client.line() == b""


async def test_shutting_down_is_told_to_all(post: Post) -> None:
    stranger = await post.connect()
    waiting = await post.login()
    idling = await post.login()
    await idling.command(b"SELECT INBOX")
    idling.send(b"i IDLE\r\n")
    await idling.line()
    await post.listener.stop()
    for client in (stranger, waiting, idling):
        assert await client.line() == b"* BYE [UNAVAILABLE] The server is shutting down\r\n"
        assert await client.line() == b""


async def test_a_line_over_the_limit_is_refused_and_the_next_one_read(post: Post) -> None:
    client = await post.login()
    client.send(b"a NOOP" + b" " * limits.IMAP_LINE + b"\r\nb NOOP\r\n")
    assert await client.line() == b"* BAD [TOOBIG] The line is too long\r\n"
    assert await client.line() == b"b OK NOOP completed\r\n"
    client.send(b"c LIST {1}\r\n")
    await client.line()
    client.send(b"x" + b" " * limits.IMAP_LINE + b"\r\nd NOOP\r\n")
    assert (await client.line()).startswith(b"c BAD ")
    assert await client.line() == b"d OK NOOP completed\r\n"


async def test_a_command_of_many_literals_over_the_limit_is_refused(post: Post) -> None:
    client = await post.login()
    literal = b"{%d+}\r\n%b" % (limits.IMAP_LITERAL, b"x" * limits.IMAP_LITERAL)
    count = limits.IMAP_COMMAND // limits.IMAP_LITERAL + 1
    client.send(b"a LIST " + b" ".join([literal] * count) + b"\r\nb NOOP\r\n")
    assert (await client.line()).startswith(b"a BAD [TOOBIG]")
    assert await client.line() == b"b OK NOOP completed\r\n"


async def test_a_flood_without_reading_stops_only_its_own_connection(post: Post) -> None:
    flood = await post.login()
    flood.send(b'x LIST "" *\r\n' * 50_000)  # far more answers than all buffers hold
    other = await post.login()
    for _ in range(20):
        assert await other.command(b"NOOP") == [b"t OK NOOP completed\r\n"]
    flood.writer.transport.abort()
    assert await other.command(b"NOOP") == [b"t OK NOOP completed\r\n"]


async def test_a_connection_lost_in_the_middle_of_an_append_leaves_nothing(post: Post) -> None:
    for size in (1000, limits.IMAP_APPEND_MEMORY + 1000):
        client = await post.login()
        client.send(b"a APPEND INBOX {%d+}\r\n" % size + b"x" * (size - 1))
        client.writer.write_eof()
        assert await client.line() == b""
    inbox = await post.store.mailbox(post.account.account_id, "INBOX")
    assert inbox is not None
    assert inbox.total == 0


async def test_a_lost_connection_lets_go_of_its_mailbox(post: Post) -> None:
    client = await post.login()
    await client.command(b"SELECT INBOX")
    inbox = await post.store.mailbox(post.account.account_id, "INBOX")
    assert inbox is not None
    index = await post.store.index(post.account.account_id, inbox.mailbox_id)
    assert index.watched
    client.writer.write_eof()
    assert await client.line() == b""
    assert not index.watched


@pytest.mark.parametrize("plus", [b"", b"+"])
async def test_a_large_message_is_staged_and_comes_back_whole(post: Post, plus: bytes) -> None:
    raw = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 50_000
    assert limits.IMAP_APPEND_MEMORY < len(raw) < MESSAGE_SIZE
    client = await post.login()
    client.send(b"a APPEND INBOX {%d%b}\r\n" % (len(raw), plus))
    if not plus:
        assert await client.line() == b"+ Ready\r\n"
    client.send(raw + b"\r\n")
    assert (await client.line()).startswith(b"a OK [APPENDUID ")
    await client.command(b"SELECT INBOX")
    client.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    assert await client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(raw)
    assert await client.reader.readexactly(len(raw)) == raw
    assert await client.line() == b")\r\n"
    assert await client.line() == b"f OK FETCH completed\r\n"


async def test_a_message_over_the_limit_is_passed_over(post: Post) -> None:
    client = await post.login()
    size = MESSAGE_SIZE + 1
    client.send(b"a APPEND INBOX {%d+}\r\n" % size + b"x" * size + b"\r\nb NOOP\r\n")
    assert (await client.line()).startswith(b"a NO [TOOBIG]")
    assert await client.line() == b"b OK NOOP completed\r\n"


async def test_many_commands_at_once_are_all_answered(post: Post) -> None:
    client = await post.login()
    client.send(b"".join(b"n%d NOOP\r\n" % n for n in range(1000)))
    for n in range(1000):
        assert await client.line() == b"n%d OK NOOP completed\r\n" % n


async def test_octet_by_octet(post: Post) -> None:
    client = await post.connect()
    for octet in b'a LOGIN "alice@example.test" {10}\r\n':
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    assert await client.line() == b"+ Ready\r\n"
    for octet in b"wonderland\r\n":
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    assert (await client.line()).startswith(b"a OK ")


async def test_a_stranger_who_talks_nonsense_is_sent_away_soon(post: Post) -> None:
    client = await post.connect()
    for i in range(limits.IMAP_BAD_STRANGER):
        client.send(b"%d GET / HTTP\r\n" % i)
        assert b"BAD" in await client.line()
    client.send(b"x GET / HTTP\r\n")
    assert b"BAD" in await client.line()
    assert (await client.line()).startswith(b"* BYE ")
    assert await client.line() == b""


async def test_failed_logins_end_the_connection(post: Post) -> None:
    client = await post.connect()
    for i in range(limits.IMAP_LOGINS):
        client.send(b"%d LOGIN nobody@example.test wrong\r\n" % i)
        assert (await client.line()).startswith(b"%d NO [AUTHENTICATIONFAILED]" % i)
    assert (await client.line()).startswith(b"* BYE ")
    assert await client.line() == b""
