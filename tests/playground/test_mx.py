"""MX preferences with real hosts: the lowest reachable one gets the mail, a backup holds it, null MX bounces."""

from __future__ import annotations

import asyncio
import email
import smtplib
from collections.abc import AsyncIterator

import pytest

from posthouse.playground import HostSpec, Playground
from tests.playground.conftest import PASSWORD, inbox, submit

pytestmark = [pytest.mark.slow]

CAROL, ALICE = "carol@east.test", "alice@north.test"

ZONES = {
    "north.test": "@ MX 10 mx\nmx A 127.0.0.10\n",
    "east.test": (
        "@ MX 10 one\n@ MX 10 two\n@ MX 20 three\none A 127.0.0.31\ntwo A 127.0.0.32\nthree A 127.0.0.33\n"
    ),
    "silent.test": "@ MX 0 .\n@ A 127.0.0.33\n",
}
HOSTS = (
    HostSpec(
        name="mx.north.test", address="127.0.0.10", domains=("north.test",), accounts=((ALICE, PASSWORD),)
    ),
    HostSpec(
        name="two.east.test",
        address="127.0.0.32",
        domains=("east.test",),
        accounts=((CAROL, PASSWORD),),
        trusted=("127.0.0.33/32",),
    ),
    HostSpec(name="three.east.test", address="127.0.0.33", backup_for=("east.test",)),
)


@pytest.fixture
async def net() -> AsyncIterator[Playground]:
    """north.test, and east.test with MX 10 (nobody there), 10 and 20 (backup)."""
    made = Playground(scenario=None, published=False)
    for domain, records in ZONES.items():
        made.add_zone(domain, records)
    for spec in HOSTS:
        made.add_host(spec)
    async with made:
        yield made


async def held(net: Playground, host: str) -> int:
    return len(await net.host(host).ask("queue.list"))


async def arrived(net: Playground) -> bool:
    return len(await asyncio.to_thread(inbox, net, "127.0.0.32", CAROL)) == 1


async def test_the_second_gets_it_when_the_first_is_down(net: Playground) -> None:
    await asyncio.to_thread(submit, net, ALICE, CAROL)
    await net.until(lambda: arrived(net))
    [message] = await asyncio.to_thread(inbox, net, "127.0.0.32", CAROL)
    assert "by two.east.test" in message
    assert "three.east.test" not in message


async def test_the_third_holds_it_and_hands_it_on(net: Playground) -> None:
    await net.host("two.east.test").stop()
    await asyncio.to_thread(submit, net, ALICE, CAROL)

    async def is_held() -> bool:
        return await held(net, "three.east.test") == 1 and await held(net, "mx.north.test") == 0

    await net.until(is_held)
    await net.host("two.east.test").start()
    await net.until(lambda: arrived(net), seconds=15)

    async def is_empty() -> bool:
        return await held(net, "three.east.test") == 0

    await net.until(is_empty)
    [message] = await asyncio.to_thread(inbox, net, "127.0.0.32", CAROL)
    assert "by three.east.test" in message


async def test_a_backup_refuses_a_recipient_that_the_primary_does_not_know(net: Playground) -> None:
    def ask(recipient: str) -> int:
        with smtplib.SMTP("127.0.0.33", net.ports["smtp"]) as client:
            client.ehlo("elsewhere.test")
            client.mail("x@elsewhere.test")
            return client.rcpt(recipient)[0]

    assert await asyncio.to_thread(ask, CAROL) == 250
    assert await asyncio.to_thread(ask, "nobody@east.test") == 550


async def test_null_mx_bounces_at_once(net: Playground) -> None:
    await asyncio.to_thread(submit, net, ALICE, "anyone@silent.test")

    async def bounced() -> bool:
        return len(await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)) == 1

    await net.until(bounced)
    [text] = await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)
    bounce = email.message_from_string(text)
    assert bounce.get_content_type() == "multipart/report"
    report = next(part for part in bounce.walk() if part.get_content_type() == "message/delivery-status")
    assert "5.1.10" in report.as_string()
    assert await held(net, "mx.north.test") == 0
