"""DELIVERBY (RFC 2852) from the queue on: what is told to the next server, what comes back, and who hears of what."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from posthouse.store.model import NewRecipient
from tests.fakes.mail_server import FakeMailServer
from tests.outbound.office import Office

ZONE = """
    far.test.      MX 10 mx1.far.test.
    mx1.far.test.  A  127.0.0.1
    gone.test.     MX 10 mx.gone.test.
    mx.gone.test.  A  127.0.0.3
"""
HOUR = 3600
KNOWS = ["PIPELINING", "DSN", "DELIVERBY 120,later"]

OpenOffice = Callable[..., Awaitable[Office]]


@pytest.fixture
async def far() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server


@pytest.fixture
async def office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[Office]:
    made = await Office.open(tmp_path, ZONE, far.port)
    yield made
    await made.close()


def mail_line(far: FakeMailServer) -> str:
    return next(line for line in reversed(far.commands) if line.startswith("MAIL"))


async def fields(office: Office) -> dict[str, str]:
    """What the last notice says to programs."""
    message = email.message_from_bytes((await office.inbox())[-1], policy=email.policy.default)
    text = list(message.iter_parts())[1].as_string()  # type: ignore[attr-defined]
    return dict(re.findall(r"^([A-Z][A-Za-z-]+): (.*)$", text, re.MULTILINE))


async def queue(office: Office, seconds: float, mode: str, *addresses: str, notify: str = "") -> None:
    now = office.clock()
    recipients = tuple(
        NewRecipient(address=one, next_attempt_at=now, notify=notify) for one in addresses or ("b@far.test",)
    )
    await office.enqueue("b@far.test", recipients=recipients, deliver_by=now + seconds, by_mode=mode)


@pytest.mark.parametrize("mode", ["R", "N", "RT", "NT"])
async def test_the_next_server_is_told_what_time_is_left(
    office: Office, far: FakeMailServer, mode: str
) -> None:
    far.extensions = KNOWS
    far.say("RCPT", "451 later", times=1)
    await queue(office, 1000, mode)
    await office.settled()
    assert f" BY=1000;{mode}" in mail_line(far)
    wait = (await office.waiting())["b@far.test"]
    office.clock.advance(wait)
    await office.settled()
    told = re.search(r" BY=(\d+);", mail_line(far))
    assert told is not None
    assert int(told[1]) == int(1000 - wait)
    assert len(far.messages) == 1
    assert len(await office.inbox()) == ("T" in mode)


async def test_a_trace_tells_of_each_relay(office: Office, far: FakeMailServer) -> None:
    far.extensions = KNOWS
    await queue(office, 1000, "NT", "b@far.test", notify="FAILURE")
    await office.settled()
    found = await fields(office)
    assert found["Action"] == "relayed"
    assert "Deliver-By-Date" in found


async def test_who_wants_no_notice_gets_none(office: Office, far: FakeMailServer) -> None:
    far.extensions = KNOWS
    await queue(office, 1000, "NT", "b@far.test", notify="NEVER")
    await office.settled()
    assert len(far.messages) == 1
    assert await office.inbox() == []


async def test_a_server_that_looks_at_no_time_is_told_of(office: Office, far: FakeMailServer) -> None:
    """RFC 2852 §4.1: with "N" the sender hears that nobody will tell of a delay from here on."""
    await queue(office, 1000, "N")
    await office.settled()
    assert "BY=" not in mail_line(far)
    assert (await fields(office))["Action"] == "relayed"


@pytest.mark.parametrize(
    ("extensions", "seconds", "status"),
    [(["PIPELINING"], 1000, "5.3.3"), (KNOWS, 119, "5.4.7")],
    ids=["knows none", "wants more"],
)
async def test_what_must_come_back_in_time_does_not_go_where_it_would_not(
    office: Office, far: FakeMailServer, extensions: list[str], seconds: float, status: str
) -> None:
    far.extensions = extensions
    await queue(office, seconds, "R")
    await office.settled()
    assert far.messages == []
    found = await fields(office)
    assert (found["Action"], found["Status"]) == ("failed", status)


@pytest.mark.parametrize("address", ["b@far.test", "b@gone.test"])
async def test_when_the_time_is_over_it_comes_back(office: Office, far: FakeMailServer, address: str) -> None:
    """At its time, not at the next one of the schedule; and without another attempt."""
    far.extensions = KNOWS
    far.say("RCPT", "451 later")
    await queue(office, 1000, "R", address)
    end = office.clock() + 1000
    while waiting := await office.waiting():
        assert office.clock() + waiting[address] <= end
        office.clock.advance(waiting[address])
        asked = far.count("RCPT")
        await office.settled()
    assert office.clock() == end
    assert far.count("RCPT") == asked
    found = await fields(office)
    assert (found["Action"], found["Status"]) == ("failed", "5.4.7")
    assert found["Diagnostic-Code"].startswith("smtp; ")
    assert "Deliver-By-Date" in found


async def test_when_the_time_is_over_the_sender_hears_and_it_is_tried_on(
    office: Office, far: FakeMailServer
) -> None:
    far.extensions = KNOWS
    far.say("RCPT", "451 later")
    await queue(office, 1000, "N")
    end = office.clock() + 1000
    while not await office.inbox():
        office.clock.advance((await office.waiting())["b@far.test"])
        await office.settled()
    assert office.clock() == end
    assert (await fields(office))["Action"] == "delayed"
    far.rules.clear()
    office.clock.advance((await office.waiting())["b@far.test"])
    await office.settled()
    assert re.search(r" BY=-\d+;N", mail_line(far))
    assert len(far.messages) == 1
    assert len(await office.inbox()) == 1


async def test_a_time_that_was_over_at_arrival_is_no_news(office: Office, far: FakeMailServer) -> None:
    """RFC 2852 §4.1: whoever had it then has told the sender."""
    far.extensions = KNOWS
    far.say("RCPT", "451 later", times=1)
    await queue(office, -5, "N")
    await office.settled()
    office.clock.advance((await office.waiting())["b@far.test"])
    await office.settled()
    assert len(far.messages) == 1
    assert await office.inbox() == []
