"""The suppression list at work: nothing goes to who is on it, and other hosts' refusals fill it by rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse.outbound.suppression import nobody_there
from posthouse.smtp.replies import Reply
from posthouse.store.care import PutSuppression
from posthouse.store.model import Suppression
from tests.fakes.mail_server import FakeMailServer
from tests.outbound.office import Office
from tests.outbound.test_queue import ZONE


@pytest.fixture
async def far() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server


@pytest.fixture
async def office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[Office]:
    made = await Office.open(tmp_path, ZONE, far.port, suppress_after=2)
    yield made
    await made.close()


def one_line(notice: bytes) -> bytes:
    return b" ".join(notice.split())


@pytest.mark.parametrize(
    ("reply", "nobody"),
    [
        (Reply(550, "5.1.1", "whatever"), True),
        (Reply(550, "5.7.1", "user unknown to our policy"), False),
        (Reply(550, "", "No such user here"), True),
        (Reply(550, "", "<x@far.test>: Recipient address does not exist"), True),
        (Reply(550, "", "Sender address does not exist"), False),
        (Reply(550, "", "Sender verify failed: Unknown user"), False),
        (Reply(550, "", "MAIL FROM: invalid address"), False),
        (Reply(550, "", "HELO: no such user"), False),
        (Reply(554, "", "spam is not welcome"), False),
        (Reply(450, "4.1.1", "no such user yet"), False),
        (Reply(552, "5.2.2", "mailbox full"), False),
    ],
)
def test_which_refusals_say_that_nobody_is_there(reply: Reply, nobody: bool) -> None:
    assert nobody_there(reply) is nobody


async def test_nothing_goes_to_who_is_on_the_list(office: Office, far: FakeMailServer) -> None:
    listed = Suppression(address="b@far.test", active=True, reason="asked us to", failures=0, at=86400.0)
    await office.store.apply(PutSuppression(suppression=listed))
    await office.enqueue("B@far.test", "c@far.test", trace_id="t1")
    await office.settled()
    assert [got.recipients for got in far.messages] == [["c@far.test"]]
    assert not any("b@far.test" in command.lower() for command in far.commands)
    (notice,) = await office.inbox()
    assert b"550 5.7.1 This server sends nothing to this address since 1970-01-02: asked us to" in one_line(
        notice
    )
    assert sorted(await office.story("t1")) == ["delivered", "failed", "told"]


async def test_one_address_in_two_spellings_is_one(office: Office, far: FakeMailServer) -> None:
    listed = Suppression(address="b@xn--bcher-kva.test", active=True, reason="", failures=0, at=0.0)
    await office.store.apply(PutSuppression(suppression=listed))
    await office.enqueue("B@b\u00fccher.test")
    await office.settled()
    assert far.connections == 0
    assert b"550 5.7.1 This server" in one_line((await office.inbox())[0])


async def test_no_connection_is_made_for_nobody_else(office: Office, far: FakeMailServer) -> None:
    listed = Suppression(address="b@far.test", active=True, reason="", failures=3, at=0.0)
    await office.store.apply(PutSuppression(suppression=listed))
    await office.enqueue("b@far.test")
    await office.settled()
    assert far.connections == 0
    assert await office.store.queue() == []
    assert b"550 5.1.1 This server" in one_line((await office.inbox())[0])


async def test_two_refusals_in_a_row_put_an_address_on_the_list(office: Office, far: FakeMailServer) -> None:
    far.say("RCPT TO:<b@", "550 5.1.1 nobody here")
    far.say("RCPT TO:<c@", "550 5.7.1 not from you")
    for _ in range(3):
        await office.enqueue("b@far.test", "c@far.test")
        await office.settled()
    (one,) = await office.store.suppressions()
    assert (one.address, one.active, one.failures) == ("b@far.test", True, 2)
    assert one.reason == "550 5.1.1 nobody here"
    asked = [command for command in far.commands if command.startswith("RCPT TO:<b@")]
    assert len(asked) == 2, "the third was not sent"


async def test_a_delivery_in_between_begins_anew(office: Office, far: FakeMailServer) -> None:
    for reply in ("550 5.1.1 nobody here", "250 2.1.5 welcome", "550 5.1.1 nobody here"):
        far.say("RCPT TO:<b@", reply, times=1)
        await office.enqueue("b@far.test")
        await office.settled()
    (one,) = await office.store.suppressions()
    assert (one.active, one.failures) == (False, 1)


async def test_a_primary_decides_for_its_backup(office: Office, far: FakeMailServer) -> None:
    await office.backup_for("far.test")
    listed = Suppression(address="b@far.test", active=True, reason="", failures=0, at=0.0)
    await office.store.apply(PutSuppression(suppression=listed))
    await office.enqueue("b@far.test")
    await office.settled()
    assert [got.recipients for got in far.messages] == [["b@far.test"]]
