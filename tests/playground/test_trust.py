"""Between two ordinary post offices: keys are made and published, mail is signed, checked and reported."""

from __future__ import annotations

import asyncio
import email
import re
import smtplib
from collections.abc import AsyncIterator
from email.message import Message

import pytest

from posthouse.inbound.tally import DAY
from posthouse.limits import REPORT_SETTLED
from posthouse.msgauth.authres import AuthResults, parse_authres
from posthouse.playground import Playground
from tests.playground.conftest import inbox, submit

pytestmark = [pytest.mark.slow]

ALICE, CAROL = "alice@north.test", "carol@south.test"
SOUTH = "127.0.0.20"


@pytest.fixture
async def net() -> AsyncIterator[Playground]:
    async with Playground(published=False) as made:
        yield made


async def arrived(net: Playground, count: int) -> list[Message]:
    """What carol has, once it is so many."""
    found: list[str] = []

    async def enough() -> bool:
        found[:] = await asyncio.to_thread(inbox, net, SOUTH, CAROL)
        return len(found) == count

    await net.until(enough)
    return [email.message_from_string(text) for text in found]


def told(message: Message) -> AuthResults:
    """The first Authentication-Results: what the reader is told."""
    value = re.sub(r"\r?\n", "", message.get_all("Authentication-Results", [""])[0])
    return parse_authres(value.encode())


def results(message: Message) -> dict[str, str]:
    return {one.method: one.result for one in told(message).results}


def speak(net: Playground, host: str, sender: str, text: str) -> None:
    """A stranger on this machine, with an address of its own."""
    with smtplib.SMTP(host, net.ports["smtp"], source_address=("127.0.0.99", 0)) as stranger:
        stranger.sendmail(sender, [CAROL], text)


async def test_ordinary_mail_is_proved(net: Playground) -> None:
    await asyncio.to_thread(submit, net, ALICE, CAROL)
    [message] = await arrived(net, 1)
    assert told(message).host == "mx.south.test"
    assert results(message) == {
        "dkim": "pass",
        "spf": "pass",
        "dmarc": "pass",
        "iprev": results(message)["iprev"],
    }
    assert len(message.get_all("DKIM-Signature", [])) == 2
    for host, domain in (("mx.north.test", "north.test"), ("mx.south.test", "south.test")):
        findings = await net.host(host).ask("domain.check", name=domain)
        assert [finding for finding in findings if finding["level"] != "fine"] == []
    await new_keys(net)


async def new_keys(net: Playground) -> None:
    """Rotated under way, as the DNS shows them."""
    north = net.host("mx.north.test")
    await north.ask("domain.rotate", name="north.test")
    await net._publish(north, "north.test")
    rows = await north.ask("domain.rotate", name="north.test", now=True)
    assert sorted(row["state"] for row in rows) == ["active", "active", "retired", "retired"]
    await asyncio.to_thread(submit, net, ALICE, CAROL)
    message = (await arrived(net, 2))[-1]
    assert results(message)["dkim"] == "pass"
    active = {row["selector"] for row in rows if row["state"] == "active"}
    assert all(
        any(f"s={name};" in field for name in active) for field in message.get_all("DKIM-Signature", [])
    )


async def test_mail_through_the_backup_is_proved_there(net: Playground) -> None:
    await net.host("mx.south.test").stop()
    await asyncio.to_thread(submit, net, ALICE, CAROL)

    async def held() -> bool:
        return len(await net.host("backup.south.test").ask("queue.list")) == 1

    await net.until(held)
    await net.host("mx.south.test").start()
    [message] = await arrived(net, 1)
    assert told(message).host == "mx.south.test", "our own word, above our Received"
    assert "found by backup.south.test" in re.sub(
        r"\s+", " ", message.get_all("Authentication-Results", [""])[0]
    )
    assert results(message)["dmarc"] == "pass"


async def test_a_forgery_is_suspected_as_its_domain_asks_and_reported(net: Playground) -> None:
    forged = f"From: {ALICE}\r\nTo: {CAROL}\r\nSubject: pay\r\n\r\nnow\r\n"
    await asyncio.to_thread(speak, net, SOUTH, "eve@elsewhere.test", forged)
    [suspected] = await asyncio.to_thread(inbox, net, SOUTH, CAROL, "Junk")
    assert results(email.message_from_string(suspected))["dmarc"] == "fail"
    await asyncio.to_thread(submit, net, ALICE, CAROL)
    await arrived(net, 1)
    await net.advance(DAY + REPORT_SETTLED)
    await net.host("mx.south.test").command("reports", "send")

    async def reported() -> bool:
        return bool(await net.host("mx.north.test").ask("reports.list"))

    await net.until(reported)
    [row] = await net.host("mx.north.test").ask("reports.list")
    assert (row["direction"], row["kind"], row["domain"], row["messages"], row["failures"]) == (
        *("received", "aggregate", "north.test"),
        *(2, 1),
    )
    [sent] = await net.host("mx.south.test").ask("reports.list")
    assert (sent["direction"], sent["organization"]) == ("sent", "dmarc-reports@north.test")
