"""REPLACE (RFC 8508) on real sockets: races, uploads that are cut off, quota, and large messages."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from posthouse import limits
from posthouse.store.interface import PutAccount
from tests.imap.conftest import Client, Post

MAIL = b"Subject: %b\r\n\r\n%b\r\n"


async def subjects(client: Client, mailbox: bytes) -> list[bytes]:
    """The subjects in a mailbox, seen by another session."""
    await client.command(b"EXAMINE " + mailbox)
    client.send(b"s FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n")
    lines = [await client.line()]
    while not lines[-1].startswith(b"s "):
        lines.append(await client.line())
    return [line[9:].strip() for line in lines if line.startswith(b"Subject: ")]


async def selected(post: Post, mailbox: bytes = b"INBOX") -> Client:
    client = await post.login()
    await client.command(b"SELECT " + mailbox)
    return client


async def test_of_two_sessions_that_replace_the_same_message_one_wins(post: Post) -> None:
    watcher = await post.login()
    for turn in range(10):
        await post.fill(MAIL % (b"old", b"text"))
        one, two = await selected(post), await selected(post)
        for client, name in ((one, b"one"), (two, b"two")):
            text = MAIL % (name, b"text")
            client.send(b"a REPLACE * Archive {%d+}\r\n%b\r\n" % (len(text), text))
        said = [(await client.until(b"a "))[-1] for client in (one, two)]
        ok = [each.startswith(b"a OK ") for each in said]
        assert sorted(ok) == [False, True], said
        assert said[ok.index(False)].startswith(b"a NO [EXPUNGEISSUED] ")
        assert await subjects(watcher, b"INBOX") == []
        assert len(await subjects(watcher, b"Archive")) == turn + 1


async def test_many_drafts_saved_at_once_leave_one_each(post: Post) -> None:
    """Every session saves its draft again and again, by the UID that it was told."""

    async def save(client: Client, name: int) -> None:
        uid = 0
        for turn in range(15):
            text = MAIL % (b"%d" % name, b"turn %d" % turn)
            head = b"UID REPLACE %d" % uid if uid else b"APPEND"
            client.send(b"a %b INBOX (\\Draft) {%d+}\r\n%b\r\n" % (head, len(text), text))
            lines = await client.until(b"a ")
            assert lines[-1].startswith(b"a OK ")
            told = next(line for line in lines if b"APPENDUID" in line)
            uid = int(told.partition(b"]")[0].split()[-1])

    await asyncio.gather(*[save(await selected(post), name) for name in range(8)])
    found = await subjects(await post.login(), b"INBOX")
    assert sorted(found) == [b"%d" % name for name in range(8)]


async def test_who_is_replaced_during_an_upload_is_refused_and_adds_nothing(post: Post) -> None:
    await post.fill(MAIL % (b"old", b"text"))
    slow, quick = await selected(post), await selected(post)
    text = MAIL % (b"slow", b"x" * 1000)
    slow.send(b"a REPLACE 1 INBOX {%d}\r\n" % len(text))
    assert await slow.line() == b"+ Ready\r\n"
    slow.send(text[:500])
    quick.send(b"b REPLACE 1 INBOX {%d+}\r\n%b\r\n" % (len(MAIL % (b"quick", b"")), MAIL % (b"quick", b"")))
    assert (await quick.until(b"b "))[-1].startswith(b"b OK ")
    slow.send(text[500:] + b"\r\n")
    lines = await slow.until(b"a ")
    assert lines[:-1] == [b"* 1 EXPUNGE\r\n", b"* 1 EXISTS\r\n"]
    assert lines[-1].startswith(b"a NO [EXPUNGEISSUED] ")
    assert await subjects(quick, b"INBOX") == [b"quick"]


async def test_a_mailbox_deleted_during_an_upload(post: Post) -> None:
    await post.fill(MAIL % (b"old", b"text"))
    client, other = await selected(post), await post.login()
    await other.command(b"CREATE Letters")
    text = MAIL % (b"new", b"x")
    client.send(b"a REPLACE 1 Letters {%d}\r\n" % len(text))
    assert await client.line() == b"+ Ready\r\n"
    await other.command(b"DELETE Letters")
    client.send(text + b"\r\n")
    assert (await client.until(b"a "))[-1].startswith(b"a NO [TRYCREATE] ")
    assert await subjects(other, b"INBOX") == [b"old"]


@pytest.mark.parametrize("size", [1_000, limits.IMAP_APPEND_MEMORY + 100_000])
async def test_an_upload_that_is_cut_off_changes_nothing(post: Post, size: int) -> None:
    await post.fill(MAIL % (b"old", b"text"))
    text = MAIL % (b"new", b"x" * size)
    whole = b"a REPLACE 1 INBOX (\\Seen) {%d+}\r\n%b\r\n" % (len(text), text)
    chance = random.Random(size)
    for at in [
        0,
        10,
        30,
        40,
        len(whole) - 3,
        len(whole) - 1,
        *(chance.randrange(len(whole)) for _ in range(20)),
    ]:
        client = await selected(post)
        client.send(whole[:at])
        client.writer.write_eof()
        while await client.line():
            pass
    assert await subjects(await post.login(), b"INBOX") == [b"old"]


async def test_a_large_message_is_staged(post: Post) -> None:
    await post.fill(MAIL % (b"old", b"text"))
    client = await selected(post)
    text = MAIL % (b"large", b"line of text\r\n" * 100_000)
    client.send(b"a REPLACE 1 INBOX {%d+}\r\n%b\r\n" % (len(text), text))
    assert [line[:6] for line in await client.until(b"a ")] == [b"* OK [", b"* 1 EX", b"* 1 EX", b"a OK R"]
    client.send(b"b FETCH 1 BODY.PEEK[]\r\n")
    assert await client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(text)
    assert await client.reader.readexactly(len(text)) == text


async def test_only_what_it_takes_more_counts_for_the_quota(post: Post) -> None:
    old = MAIL % (b"old", b"x" * 1000)
    await post.fill(old)
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, quota=1500)))
    client = await selected(post)

    async def replace(size: int) -> bytes:
        text = MAIL % (b"new", b"y" * size)
        client.send(b"a REPLACE 1 INBOX {%d+}\r\n%b\r\n" % (len(text), text))
        return (await client.until(b"a "))[-1]

    # RFC 8508 §1: an APPEND before the EXPUNGE would not fit
    assert (await client.command(b"APPEND INBOX {1000}"))[-1].startswith(b"t NO [OVERQUOTA] ")
    assert (await replace(1300)).startswith(b"a OK ")
    assert (await replace(1600)).startswith(b"a NO [OVERQUOTA] ")
    # Over the quota, since it was made smaller: less than before is always taken.
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, quota=100)))
    assert (await replace(1301)).startswith(b"a NO [OVERQUOTA] ")
    assert (await replace(1200)).startswith(b"a OK ")
    assert (await post.store.usage(post.account.account_id)).octets == len(MAIL % (b"new", b"y" * 1200))


async def test_fuzzed_commands_never_are_an_internal_fault(post: Post) -> None:
    await post.fill(*[MAIL % (b"m", b"text")] * 3)
    client = await selected(post)
    words = [
        b"1", b"2", b"*", b"$", b"0", b"1:2", b"1,2", b"-1", b"4294967296", b"INBOX", b'"Dra"', b"(\\Seen)", b"()",
        b'"01-Feb-2024 10:00:00 +0000"', b"UTF8 (~", b"CATENATE (", b"{3+}\r\na\r\n", b"~{3+}\r\nabc", b")", b"",
    ]  # fmt: skip
    chance = random.Random(8508)
    for turn in range(400):
        tail = b" ".join(chance.choice(words) for _ in range(chance.randint(0, 6)))
        name = chance.choice((b"REPLACE", b"UID REPLACE", b"replace"))
        client.send(b"f%d %b %b {7+}\r\n\r\nnew\r\n\r\n" % (turn, name, tail))
        client.send(b"g%d NOOP\r\n" % turn)
        for line in await client.until(b"g%d " % turn):
            assert b"SERVERBUG" not in line
        if turn % 50 == 49:
            client = await selected(post)
