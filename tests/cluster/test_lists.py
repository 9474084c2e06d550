"""Mailing lists over one database: a list made at one node takes posts, bounces and goodbyes at any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from posthouse.config import Junk, Outbound, Store, Testing
from posthouse.inbound.list_tokens import Purpose
from posthouse.limits import LIST_BOUNCE_DAY, LIST_BOUNCE_DAYS
from tests.fakes.mail_server import FakeMailServer
from tests.house import TestHouse
from tests.inbound.list_office import ALICE, BOB, TEAM, WAY, ListOffice, failed, head_of

pytestmark = pytest.mark.slow


async def test_a_list_is_the_same_at_every_node(url: str, tmp_path: Path) -> None:
    async with FakeMailServer(extensions=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"]) as far:
        changes = {
            "store": Store(url=url),
            "outbound": Outbound(relay=f"smtp://127.0.0.1:{far.port}?tls=opportunistic"),
            "junk": Junk(filter="off"),
            "testing": Testing(clock=True),
        }
        first = await TestHouse.open(tmp_path / "first", **changes)
        second = await first.beside(tmp_path / "second", **changes)
        here, there = ListOffice(first, far), ListOffice(second, far)
        try:
            await there.post(ALICE, to=TEAM)  # now it is known there that there is none
            await here.make(TEAM, ALICE, "pal@friend.test", "jo@friend.test", title="The team")
            async with asyncio.timeout(10):
                while (reply := await there.post(ALICE, to=TEAM))[:3] != "250":
                    assert reply.startswith("550 5.1.1")
                    await asyncio.sleep(0.05)
            copies = {copy.recipients[0]: copy for copy in await here.sent(2)}
            assert len(await here.mailbox(ALICE)) == 1
            for _ in range(LIST_BOUNCE_DAYS):
                for office in (here, there):
                    assert (await office.say("", copies["pal@friend.test"].sender, failed()))[:3] in {
                        "250",
                        "550",
                    }
                    office.later(LIST_BOUNCE_DAY)
            assert "pal@friend.test" not in await here.members()
            way = head_of(copies["jo@friend.test"].content).partition(WAY)[2].partition(b"@")[0].decode()
            tokens = await second.app.house.lists.tokens()
            assert tokens.token(Purpose.UNSUBSCRIBE, TEAM, "jo@friend.test") == way, "one key for all"
            assert await second.app.house.lists.leave(TEAM, way, really=True) is not None
            assert list(await here.members()) == [ALICE]
            await here.join(TEAM, BOB)
            async with asyncio.timeout(10):
                while not await there.mailbox(BOB):
                    assert (await there.post(ALICE))[:3] == "250"
        finally:
            await second.close()
            await first.close()
