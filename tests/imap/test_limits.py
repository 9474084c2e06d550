"""Each limit of the IMAP side holds: what lies on it passes, what lies beyond is refused in plain words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from posthouse import limits
from posthouse.imap import fetch_args, fetch_plan, searching
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
    # What a new name makes counts too: the levels above it, and the mailbox to which the INBOX goes.
    assert (await client.command(b"RENAME a c/d"))[-1].startswith(b"t NO [LIMIT]")
    assert (await client.command(b"RENAME INBOX c"))[-1].startswith(b"t NO [LIMIT]")
    assert (await client.command(b"RENAME a c"))[-1].startswith(b"t OK ")
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


def watched(post: Post, monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many messages the store is asked for at once from now on."""
    asked: list[int] = []
    really = getattr(post.store, name)

    async def noted(account_id: int, ids: Sequence[int], *rest: Any) -> Any:
        asked.append(len(ids))
        return await really(account_id, ids, *rest)

    monkeypatch.setattr(post.store, name, noted)
    return asked


async def test_so_many_messages_are_described_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_FETCH_ROWS", 2)
    await post.fill(*[b"Subject: %d\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n" % n for n in range(5)])
    client = await post.login()
    await client.command(b"SELECT INBOX")
    for command, method, lines in (
        (b"FETCH 1:* ENVELOPE", "emails", 5),
        (b"SEARCH SENTON 2-Nov-2026", "emails", 1),
        (b"SEARCH THREADID T1", "threads", 1),
    ):
        with monkeypatch.context() as patch:
            asked = watched(post, patch, method)
            answer = await client.command(command)
        assert (asked, len(answer)) == ([2, 2, 1], lines + 1), answer
    assert (await client.command(b"SEARCH SENTON 2-Nov-2026"))[0] == b"* SEARCH 1 2 3 4 5\r\n"


@pytest.mark.parametrize("whole", [10, 10_000], ids=["read in parts", "read as one"])
async def test_fields_are_looked_for_so_far(post: Post, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    monkeypatch.setattr(limits, "IMAP_HEADER_READ", 60)
    monkeypatch.setattr(limits, "IMAP_WHOLE", whole)
    monkeypatch.setattr(limits, "IMAP_WHOLE_FOR_HEADER", whole)
    await post.fill(b"A: near\r\nX: " + b"x" * 100 + b"\r\nB: far\r\n\r\ntext")
    client = await post.login()
    await client.command(b"SELECT INBOX")
    answer = b"".join(await client.command(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (A B)]"))
    assert b"A: near" in answer
    assert b"B: far" not in answer
    assert answer.endswith(b"t OK FETCH completed\r\n")


async def test_what_is_remembered_of_asking_is_bounded(post: Post) -> None:
    for remembered in (fetch_args._remembered, fetch_plan._remembered):
        assert remembered.cache_info().maxsize == limits.IMAP_FETCHES_REMEMBERED <= 1_000
    await post.fill(b"A: 1\r\n\r\n")
    client = await post.login()
    await client.command(b"SELECT INBOX")
    for length, more in ((20, 1), (limits.IMAP_FETCH_REMEMBERED, 0)):
        before = [one._remembered.cache_info().misses for one in (fetch_args, fetch_plan)]
        fields = b"x" * length
        await client.command(b"UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (%b)]" % fields)
        after = [one._remembered.cache_info().misses for one in (fetch_args, fetch_plan)]
        assert after == [count + more for count in before]


async def test_a_search_through_many_lets_others_have_their_turn(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post.fill(*[b"A: 1\r\n\r\n"] * 4)
    client = await post.login()
    await client.command(b"SELECT INBOX")
    for most, paused in ((4, 0), (3, 2)):
        monkeypatch.setattr(limits, "IMAP_SEARCH_STEP", most)
        turns = 0

        async def sleep(_: float) -> None:
            nonlocal turns
            turns += 1

        with monkeypatch.context() as patch:
            patch.setattr(searching, "asyncio", SimpleNamespace(sleep=sleep))  # everybody else sleeps as ever
            answer = await client.command(b"SEARCH UNSEEN SMALLER 100")
        assert (answer[0], turns) == (b"* SEARCH 1 2 3 4\r\n", paused)
