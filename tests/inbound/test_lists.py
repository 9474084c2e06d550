"""Mailing lists of a whole house: who may post, what members get, what comes back, and how one leaves by mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse.config import Outbound
from posthouse.store.mailing_lists import AddMembers, MailingList, Posting, PutList
from tests.fakes.mail_server import FakeMailServer
from tests.house import TestHouse
from tests.inbound.test_sent_on import REPORT, Office

POST = b"From: Alice <alice@example.test>\r\nSubject: hello\r\nList-Id: <other.test>\r\n\r\nA text\r\n"
STRANGE = b"From: jo@far.test\r\nSubject: hello\r\n\r\nA text\r\n"
TEAM = "crew@example.test"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with FakeMailServer(extensions=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"]) as far:
        relay = f"smtp://127.0.0.1:{far.port}?tls=opportunistic"
        house = await TestHouse.open(tmp_path, outbound=Outbound(relay=relay))
        team = MailingList(address=TEAM, title="The team", owners=("admin@example.test",))
        members = ("alice@example.test", "bob@example.test", "pal@friend.test", "all@example.test")
        await house.app.store.apply(PutList(mailing_list=team, new=True))
        await house.app.store.apply(AddMembers(address=TEAM, members=members[:3], at=1, most=10))
        yield Office(house, far)
        await house.close()


async def members(office: Office) -> dict[str, int]:
    found = await office.house.app.store.mailing_list(TEAM)
    assert found is not None
    return {one.address: one.bounces for one in found.members}


async def test_a_member_posts_and_each_member_gets_a_copy(office: Office) -> None:
    reply = await office.say("alice@example.test", TEAM, POST, login="alice@example.test")
    assert reply[:3] == "250", reply
    (copy,) = await office.sent()
    assert copy.sender.startswith("crew-bounces+") and copy.recipients == ["pal@friend.test"]
    head = copy.content.partition(b"\r\n\r\n")[0]
    for wanted in (
        b"List-Id: The team <crew.example.test>",
        b"List-Post: <mailto:crew@example.test>",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b"Precedence: list",
        b"From: Alice <alice@example.test>",
    ):
        assert wanted in head, head
    assert b"other.test" not in head


async def test_only_those_who_are_proved_may_post(office: Office) -> None:
    assert (await office.say("jo@far.test", TEAM, STRANGE))[:9] == "550 5.7.1"
    found = await office.house.app.store.mailing_list(TEAM)
    assert found is not None
    await office.house.app.store.apply(
        PutList(mailing_list=MailingList(address=TEAM, posting=Posting.ANYONE))
    )
    assert (await office.say("jo@far.test", TEAM, STRANGE))[:3] == "250"
    looped = b"List-Id: <crew.example.test>\r\n" + STRANGE
    assert (await office.say("jo@far.test", TEAM, looped))[:9] == "550 5.4.6"


async def test_what_comes_back_is_counted_and_who_leaves_is_gone(office: Office) -> None:
    await office.say("alice@example.test", TEAM, POST, login="alice@example.test")
    (copy,) = await office.sent()
    failed = REPORT.replace(b"\r\n\r\nno\r\n", b"\r\n\r\nAction: failed\r\n")
    assert (await office.say("", copy.sender, failed))[:3] == "250"
    assert (await members(office))["pal@friend.test"] == 1
    assert (await office.say("", "crew-bounces+aaaa@example.test", failed))[:9] == "550 5.1.1"
    way = copy.content.partition(b"<mailto:crew-unsubscribe+")[2].partition(b"@")[0].decode()
    assert (await office.say("x@y.test", f"crew-unsubscribe+{way}@example.test"))[:3] == "250"
    assert list(await members(office)) == ["alice@example.test", "bob@example.test"]
    assert len(office.far.messages) == 1
