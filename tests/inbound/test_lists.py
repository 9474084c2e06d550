"""Mailing lists of a whole house: who may post, what members get, what comes back, and how one leaves by mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from posthouse import limits
from posthouse.inbound import lists as posting
from posthouse.inbound.list_copies import others_turn
from posthouse.store.interface import PutAccount, PutAlias
from posthouse.store.mailing_lists import Posting
from posthouse.store.model import Alias
from tests.inbound.list_office import (
    ADMIN,
    ALICE,
    BOB,
    POST,
    TEAM,
    WAY,
    ListOffice,
    failed,
    head_of,
    list_office,
    raw,
)
from tests.inbound.test_sent_on import REPORT

FAILED = failed()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[ListOffice]:
    async with list_office(tmp_path) as made:
        yield made


# --- what members get -----------------------------------------------------------------------------------


async def test_a_member_posts_and_each_member_gets_a_copy(office: ListOffice) -> None:
    reply = await office.post(ALICE, POST)
    assert reply[:3] == "250", reply
    (far,) = await office.sent()
    assert far.sender.startswith("crew-bounces+") and far.recipients == ["pal@friend.test"]
    (own,), (bobs,) = await office.mailbox(ALICE), await office.mailbox(BOB)
    assert await office.mailbox(ADMIN) == [], "who owns it is no member by that"
    ways = set()
    for copy in (far.content, own, bobs):
        head = head_of(copy)
        for wanted in (
            b"List-Id: The team <crew.example.test>\r\n",
            b"List-Post: <mailto:crew@example.test>\r\n",
            b"List-Help: <mailto:crew-request@example.test?subject=help>\r\n",
            b"List-Owner: <mailto:crew-owner@example.test>\r\n",
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            b"Precedence: list\r\n",
            b"From: Alice <alice@example.test>\r\n",
            b"Delivered-To: crew@example.test\r\n",
        ):
            assert wanted in head + b"\r\n", head
        assert b"other.test" not in head
        ways.add(head.partition(WAY)[2].partition(b"@")[0])
    assert len(ways) == 3, "each leaves by a way of its own"
    assert b"Return-Path: <crew-bounces+" in bobs and b"Delivered-To: bob@example.test" in bobs


async def test_what_became_of_a_post_is_told(office: ListOffice) -> None:
    await office.join(TEAM, "gone@example.test")
    await office.post(ALICE, POST)
    await office.sent()
    events = await office.house.app.store.events(address=TEAM)
    assert [(one.kind, one.detail) for one in events if one.kind == "posted"] == [("posted", "copies for 3")]
    story = [one.kind for one in await office.house.app.store.events(trace_id=events[0].trace_id)]
    assert story.count("received") == 1 and story.count("delivered") == 3 and "posted" in story
    assert await office.log("failed", "gone@example.test") == [
        "a member of crew@example.test, but it leads nowhere"
    ]


async def test_a_copy_goes_to_the_address_that_joined(office: ListOffice) -> None:
    await office.drop(TEAM, ALICE)
    await office.join(TEAM, "alice+crew@example.test")
    assert (await office.post(BOB))[:3] == "250"
    (copy,) = await office.mailbox(ALICE)
    assert b"Delivered-To: alice+crew@example.test\r\n" in copy


async def test_who_is_a_member_by_several_ways_gets_one_copy(office: ListOffice) -> None:
    both = Alias(address="both@example.test", targets=(ALICE, ADMIN))
    await office.house.app.store.apply(PutAlias(alias=both, new=True))
    await office.join(TEAM, "both@example.test", "alice+x@example.test")
    assert (await office.post(ALICE))[:3] == "250"
    assert await office.counts() == [1, 1, 1]


async def test_a_copy_waits_until_its_mailbox_has_room(office: ListOffice) -> None:
    bob, store = office.house.accounts[BOB], office.house.app.store
    await office.house.fill(BOB, 9)
    quota = (await store.usage(bob.account_id)).octets + 100
    await store.apply(PutAccount(account=msgspec.structs.replace(bob, quota=quota)))
    assert (await office.post(ALICE))[:3] == "250"
    assert len(await office.mailbox(ALICE)) == 1 and len(await office.mailbox(BOB)) == 9
    assert await office.log("queued", BOB) == ["its mailbox is full"]


async def test_a_post_has_so_many_copies_at_most(office: ListOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "LIST_COPIES", 2)
    assert (await office.post(ALICE))[:3] == "554"
    assert await office.counts() == [0, 0, 0], "all get it or none"
    monkeypatch.setattr(posting, "LIST_COPIES", 3)
    assert (await office.post(ALICE))[:3] == "250"


async def test_copies_let_others_have_their_turn() -> None:
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    for number in range(5 * limits.LIST_TURN):
        await others_turn(number)
    task.cancel()
    assert len(turns) == 5


# --- who may post ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "author", "sender", "reply"),
    [
        (Posting.MEMBERS, ALICE, ALICE, "250"),
        (Posting.MEMBERS, ADMIN, ADMIN, "250"),
        (Posting.MEMBERS, "pal@strict.test", "pal@strict.test", "250"),
        (Posting.MEMBERS, "pal@easy.test", "x@easy.test", "250"),
        (Posting.MEMBERS, "pal@easy.test", "x@else.test", "550 5.7.1 Only members"),
        (Posting.MEMBERS, "pal+x@strict.test", "pal@strict.test", "550 5.7.1 Only members"),
        (Posting.MEMBERS, "jo@strict.test", "jo@strict.test", "550 5.7.1 Only members"),
        (Posting.MEMBERS, ALICE, "x@else.test", "550 5.7.1"),
        (Posting.OWNERS, ADMIN, ADMIN, "250"),
        (Posting.OWNERS, ALICE, ALICE, "550 5.7.1 Only its owners"),
        (Posting.ANYONE, "jo@far.test", "jo@far.test", "250"),
        (Posting.ANYONE, "jo@suspect.test", "jo@suspect.test", "550 5.7.1"),
    ],
)
async def test_who_may_post(office: ListOffice, who: Posting, author: str, sender: str, reply: str) -> None:
    await office.join(TEAM, "pal@strict.test", "pal@easy.test")
    await office.set(posting=who)
    login = author if sender in (ALICE, ADMIN) else ""
    said = await office.say(sender, TEAM, raw(author), login=login)
    assert said.startswith(reply), said
    assert await office.counts() == ([1, 1, 0] if reply == "250" else [0, 0, 0])


async def test_a_list_takes_no_answers_and_nothing_twice(office: ListOffice) -> None:
    await office.set(posting=Posting.ANYONE)
    stranger = "jo@far.test"
    for fields in ("List-Id: <crew.example.test>", "Delivered-To: Crew@example.test"):
        assert (await office.post(stranger, raw(stranger, fields)))[:9] == "550 5.4.6"
    answer = raw(stranger, "Auto-Submitted: auto-replied (vacation)")
    assert (await office.post(stranger, answer))[:9] == "550 5.7.1"
    assert (await office.say("", TEAM, raw(stranger)))[:9] == "550 5.7.1", "notices are for one"
    made = raw(stranger, "Auto-Submitted: auto-generated")
    assert (await office.post(stranger, made))[:3] == "250", "a program may post"


async def test_a_list_takes_so_many_posts_an_hour(
    office: ListOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "LIST_POSTS", 2)
    assert [(await office.post(ALICE))[:9] for _ in range(3)] == ["250 2.0.0"] * 2 + ["450 4.7.0"]
    office.later(limits.LIST_POSTS_WINDOW)
    assert (await office.post(ALICE))[:3] == "250"


async def test_what_is_held_goes_to_no_list(office: ListOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    sending = office.house.app.house.junk.sending
    monkeypatch.setattr(sending, "_why", lambda state, network: "a test holds it")
    assert (await office.post(ALICE))[:9] == "550 5.7.1"
    assert not office.far.messages and len(await office.mailbox(BOB)) == 0


async def test_a_post_beside_others_reaches_them_when_the_list_refuses(office: ListOffice) -> None:
    await office.set(posting=Posting.OWNERS)
    both = Alias(address="both@example.test", targets=(BOB, TEAM))
    await office.house.app.store.apply(PutAlias(alias=both, new=True))
    assert (await office.post(ALICE, to="both@example.test"))[:3] == "250"
    assert len(await office.mailbox(BOB)) == 1
    (notice,) = await office.mailbox(ALICE)
    assert b"Only its owners may post" in notice


# --- lists of lists -------------------------------------------------------------------------------------


async def test_a_list_may_be_a_member_of_another(office: ListOffice) -> None:
    await office.make("site@example.test", TEAM, ADMIN, ALICE, title="The site")
    await office.join(TEAM, "site@example.test")
    assert (await office.post(ALICE, to="site@example.test"))[:3] == "250"
    assert await office.counts() == [1, 1, 1], "the circle ends, and nobody gets it twice"
    assert not [one for one in await office.house.app.store.events() if one.kind == "failed"]
    (copy,) = await office.mailbox(BOB)
    assert b"List-Id: The site <site.example.test>\r\n" in copy, "RFC 2919 §7"
    assert b"List-Post: <mailto:site@example.test>\r\n" in copy and WAY in copy
    assert copy.index(b"Delivered-To: crew@") < copy.index(b"Delivered-To: site@")
    (far,) = await office.sent()
    assert far.sender.startswith("crew-bounces+")


async def test_a_list_below_decides_for_itself(office: ListOffice) -> None:
    await office.make("site@example.test", TEAM, ADMIN)
    assert (await office.post(ADMIN, to="site@example.test"))[:3] == "250", "its owner"
    await office.set(owners=())
    assert (await office.post(ADMIN, to="site@example.test"))[:3] == "250"
    assert await office.counts() == [1, 1, 2]
    assert "site@example.test may not post to it" in await office.log("failed", TEAM)


async def test_lists_in_a_row_end(office: ListOffice) -> None:
    names = [f"row{number}@example.test" for number in range(limits.LIST_DEPTH + 1)]
    for name, below in zip(names, [*names[1:], BOB], strict=True):
        await office.make(name, below, ALICE, posting=Posting.ANYONE)
    assert (await office.post(ALICE, to=names[0]))[:3] == "250"
    assert await office.counts() == [1, 0, 0]
    assert await office.log("failed", names[-1]) == [f"{limits.LIST_DEPTH} lists in a row have led to it"]


# --- coming back, leaving -------------------------------------------------------------------------------


async def test_bounces_of_several_days_end_a_membership(office: ListOffice) -> None:
    await office.post(ALICE, POST)
    (copy,) = await office.sent()
    assert (await office.say("", copy.sender, REPORT))[:3] == "250"
    assert (await office.members())["pal@friend.test"] == 0, "a notice that it is late"
    assert (await office.say("", "crew-bounces+aaaa@example.test", FAILED))[:9] == "550 5.1.1"
    for day in range(1, limits.LIST_BOUNCE_DAYS):
        for _ in range(2):
            assert (await office.say("", copy.sender, FAILED))[:3] == "250"
        assert (await office.members())["pal@friend.test"] == day, "one a day counts"
        office.later(limits.LIST_BOUNCE_DAY)
    office.later(limits.LIST_BOUNCE_MEMORY)
    await office.say("", copy.sender, FAILED)
    assert (await office.members())["pal@friend.test"] == 1, "a long silence is forgiveness"
    for _ in range(limits.LIST_BOUNCE_DAYS - 1):
        office.later(limits.LIST_BOUNCE_DAY)
        await office.say("", copy.sender, FAILED)
    assert "pal@friend.test" not in await office.members()
    assert await office.log("left", "pal@friend.test") == [
        f"the list crew@example.test: its copies came back on {limits.LIST_BOUNCE_DAYS} days"
    ]
    assert (await office.say("", copy.sender, FAILED))[:9] == "550 5.1.1"


async def test_a_member_here_that_refuses_counts_too(office: ListOffice) -> None:
    scripts = office.house.app.house.sieve_scripts
    number = office.house.accounts[BOB].account_id
    await scripts.put(number, "main", b'require "ereject"; ereject "no lists";')
    await scripts.activate(number, "main")
    assert (await office.post(ALICE))[:3] == "250"
    assert (await office.members())[BOB] == 1 and len(await office.mailbox(ALICE)) == 1


async def test_who_writes_to_leave_is_gone(office: ListOffice) -> None:
    await office.post(ALICE, POST)
    (copy,) = await office.sent()
    way = head_of(copy.content).partition(WAY)[2].partition(b"@")[0].decode()
    assert (await office.say("x@y.test", "crew-unsubscribe@example.test"))[:9] == "550 5.1.1"
    assert (await office.say("x@y.test", f"crew-unsubscribe+{way.upper()}@example.test"))[:3] == "250"
    assert list(await office.members()) == [ALICE, BOB]
    assert await office.log("left", "pal@friend.test") == ["the list crew@example.test, by mail"]
    assert len(office.far.messages) == 1, "nobody is written to"


async def test_owners_are_written_to_by_the_lists_address(office: ListOffice) -> None:
    for service in ("owner", "request"):
        assert (await office.say("jo@far.test", f"crew-{service}@example.test"))[:3] == "250"
    await office.set(owners=())
    assert (await office.say("jo@far.test", "crew-owner@example.test"))[:3] == "250", "the postmaster"
    assert await office.counts() == [0, 0, 3]
