"""ESEARCH (RFC 7377): what others share, limits, and mailboxes that come and go meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest

from posthouse import limits
from tests.imap.conftest import Post
from tests.imap.shared import BOB, THERE, Neighbours, shared_club

CLUB = f'"{THERE}/Club"'


def mailboxes(lines: list[str]) -> list[str]:
    return [line.partition("MAILBOX ")[2].partition(" UIDVALIDITY")[0] for line in lines if "ESEARCH" in line]


async def test_what_is_shared_is_searched_where_it_is_meant_and_may_be_read(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lr", 3)
    await alice.ok("CREATE Secret")
    await people.house.fill("alice@example.test", 2, mailbox="Secret")
    await people.house.fill(BOB, 1)
    assert mailboxes(await bob.ok("ESEARCH IN (personal) ALL")) == ["INBOX"]
    assert mailboxes(await bob.ok(f'ESEARCH IN (subtree "{THERE}") ALL')) == [CLUB]
    assert mailboxes(await bob.ok('ESEARCH IN (subtree "") ALL')) == ["INBOX", CLUB]
    # RFC 7377 §5: not allowed and not there look the same
    assert await bob.ok(f'ESEARCH IN (mailboxes ("{THERE}/Secret" "{THERE}/None")) ALL') == []
    (line,) = await bob.ok(f"ESEARCH IN (mailboxes {CLUB}) RETURN (COUNT) SUBJECT Message")
    assert line.endswith("UID COUNT 3")
    await bob.ok(f"SELECT {CLUB}")
    assert mailboxes(await bob.ok("ESEARCH IN (selected personal) ALL")) == [CLUB, "INBOX"]
    await alice.ok(f"DELETEACL Club {BOB}")
    assert mailboxes(await bob.ok(f"ESEARCH IN (mailboxes {CLUB} personal) ALL")) == ["INBOX"]


async def test_too_many_mailboxes(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await post.login()
    monkeypatch.setattr(limits, "IMAP_SEARCH_MAILBOXES", 5)
    said = await client.command(b"ESEARCH IN (personal) ALL")
    assert said == [b"t NO [LIMIT] These are too many mailboxes for one search\r\n"]
    assert (await client.command(b"ESEARCH IN (mailboxes (a b c d e)) ALL"))[-1].startswith(b"t BAD Too many")
    assert (await client.command(b"ESEARCH IN (mailboxes (a b c d)) ALL"))[-1].startswith(b"t OK ")


async def test_no_view_stays_open(post: Post) -> None:
    await post.fill(b"Subject: x\r\n\r\n")
    client = await post.login()
    await client.command(b"ESEARCH IN (personal) ALL")
    await client.command(b"ESEARCH IN (personal) CHARSET nonsense TEXT a")
    for box in await post.store.mailboxes(post.account.account_id):
        assert not (await post.store.index(post.account.account_id, box.mailbox_id)).watched


async def test_mailboxes_that_come_and_go_meanwhile(post: Post) -> None:
    searching, changing = await post.login(), await post.login()
    await post.fill(*[b"Subject: x\r\n\r\n"] * 5)

    async def change() -> None:
        for n in range(40):
            await changing.command(b"CREATE M%d" % n)
            await changing.command(b"RENAME M%d N%d" % (n, n))
            await changing.command(b"DELETE N%d" % n)

    changes = asyncio.create_task(change())
    while not changes.done():
        said = await searching.command(b"ESEARCH IN (personal) TEXT x")
        assert said[-1] == b"t OK ESEARCH completed\r\n"
        assert len(said) == 2
    await changes


async def test_fuzzed_commands_never_are_an_internal_fault(post: Post) -> None:
    await post.fill(*[b"Subject: x\r\n\r\n"] * 3)
    words = [
        b"IN", b"(", b")", b"selected", b"personal", b"mailboxes", b"subtree", b"subtree-one", b"INBOX", b'"a b"', b"$",
        b"RETURN", b"(SAVE)", b"(COUNT PARTIAL 1:2)", b"(ALL)", b"ALL", b"1:*", b"UID 1", b"NOT", b"SAVEDON",
        b"1-Jan-2024",
        b"CHARSET", b"UTF-8", b"{3+}\r\nabc", b"IN (personal)", b"IN (mailboxes INBOX)",
    ]  # fmt: skip
    chance = random.Random(7377)
    client = await post.login()
    for turn in range(500):
        tail = b" ".join(chance.choice(words) for _ in range(chance.randint(0, 7)))
        client.send(b"f%d ESEARCH %b\r\ng%d NOOP\r\n" % (turn, tail, turn))
        for line in await client.until(b"g%d " % turn):
            assert b"SERVERBUG" not in line
        if turn % 50 == 49:
            client = await post.login()
            await client.command(chance.choice((b"SELECT INBOX", b"NOOP")))
