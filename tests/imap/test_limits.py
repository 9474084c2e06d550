"""Each limit of the IMAP side holds: what lies on it passes, what lies beyond is refused in plain words."""

from __future__ import annotations

import logging

import pytest

from posthouse import limits
from posthouse.store.interface import PutAccount
from tests.imap.conftest import Post

MESSAGE = b"\r\nhello"


def appended(count: int) -> bytes:
    return b"APPEND INBOX" + b"".join(b" {%d+}\r\n%b" % (len(MESSAGE), MESSAGE) for _ in range(count))


async def test_messages_of_one_append(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_APPEND_MESSAGES", 3)
    client = await post.login()
    assert (await client.command(appended(3)))[-1].startswith(b"t OK [APPENDUID ")
    assert (await client.command(appended(4)))[-1].startswith(b"t NO [LIMIT]")
    assert (await client.command(b"STATUS INBOX (MESSAGES)"))[0] == b"* STATUS INBOX (MESSAGES 3)\r\n"


async def test_octets_of_refused_literals(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_SKIP", 100)
    client = await post.login()
    for size, refused in ((100, b"a NO [TRYCREATE]"), (101, b"* BYE [TOOBIG]")):
        client.send(b"a APPEND Nowhere {%d+}\r\n" % size + b"x" * size + b"\r\n")
        assert (await client.line()).startswith(refused)
    assert await client.line() == b""


async def test_messages_held_in_memory(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = 0
    stage = post.store.stage

    def counted() -> object:
        nonlocal staged
        staged += 1
        return stage()

    monkeypatch.setattr(type(post.store), "stage", lambda self: counted())
    monkeypatch.setattr(limits, "IMAP_APPEND_MEMORY", 2 * len(MESSAGE))
    client = await post.login()
    assert (await client.command(appended(2)))[-1].startswith(b"t OK ")
    assert staged == 0
    assert (await client.command(appended(3)))[-1].startswith(b"t OK ")
    assert staged == 1


async def test_the_quota(post: Post) -> None:
    account = post.account
    await post.store.apply(
        PutAccount(account=type(account)(**{**_fields(account), "quota": 2 * len(MESSAGE)}))
    )
    client = await post.login()
    # Refused before the octets are asked for
    assert (await client.command(b"APPEND INBOX {%d}" % (2 * len(MESSAGE) + 1)))[-1].startswith(
        b"t NO [OVERQUOTA]"
    )
    assert (await client.command(appended(3)))[-1].startswith(b"t NO [OVERQUOTA]")
    assert (await client.command(appended(2)))[-1].startswith(b"t OK ")
    assert (await client.command(appended(1)))[-1].startswith(b"t NO [OVERQUOTA]")


def _fields(account: object) -> dict[str, object]:
    return {name: getattr(account, name) for name in account.__struct_fields__}  # type: ignore[attr-defined]


async def test_mailboxes_of_an_account(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAILBOXES", 8)
    client = await post.login()
    assert (await client.command(b"CREATE a/b/c"))[-1].startswith(b"t NO [LIMIT]")
    assert (await client.command(b"CREATE a/b"))[-1].startswith(b"t OK ")
    assert (await client.command(b"CREATE c"))[-1].startswith(b"t NO [LIMIT]")
    assert (await client.command(b"SUBSCRIBE c"))[-1].startswith(b"t OK ")
    assert (await client.command(b"SUBSCRIBE d"))[-1].startswith(b"t OK ")
    assert (await client.command(b"SUBSCRIBE e"))[-1].startswith(b"t NO [LIMIT]")


async def test_patterns_of_a_list(post: Post) -> None:
    client = await post.login()
    for count, answer in ((limits.LIST_PATTERNS, b"t OK "), (limits.LIST_PATTERNS + 1, b"t BAD ")):
        patterns = b" ".join(b"p%d" % n for n in range(count))
        assert (await client.command(b'LIST "" (%b)' % patterns))[-1].startswith(answer)


async def test_fields_of_id(post: Post) -> None:
    client = await post.login()
    for count, answer in ((limits.IMAP_ID_FIELDS, b"t OK "), (limits.IMAP_ID_FIELDS + 1, b"t BAD ")):
        fields = b" ".join(b'"f%d" "v"' % n for n in range(count))
        assert (await client.command(b"ID (%b)" % fields))[-1].startswith(answer)


async def test_a_slow_command_is_logged(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = await post.login()
    await client.command(b"NOOP")
    assert "slow" not in caplog.text
    monkeypatch.setattr(limits, "IMAP_SLOW", 0.0)
    with caplog.at_level(logging.WARNING):
        await client.command(b"STATUS INBOX (MESSAGES)")
    assert "slow" in caplog.text
    assert "command=STATUS" in caplog.text


@pytest.mark.parametrize("turn", [1, 2, 1000])
async def test_turns_change_nothing_in_the_order(
    post: Post, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setattr(limits, "IMAP_TURN", turn)
    client = await post.login()
    client.send(b"".join(b"n%d NOOP\r\n" % n for n in range(50)))
    assert [await client.line() for _ in range(50)] == [b"n%d OK NOOP completed\r\n" % n for n in range(50)]


async def test_a_stranger_may_send_less(post: Post) -> None:
    client = await post.connect()
    client.send(b"a LOGIN {%d}\r\n" % limits.IMAP_LITERAL_STRANGER)
    assert await client.line() == b"+ Ready\r\n"
    client.send(b"x" * limits.IMAP_LITERAL_STRANGER + b" y\r\n")
    assert (await client.line()).startswith(b"a NO [AUTHENTICATIONFAILED]")
    client.send(b"b LOGIN {%d}\r\n" % (limits.IMAP_LITERAL_STRANGER + 1))
    assert (await client.line()).startswith(b"b BAD [TOOBIG]")
