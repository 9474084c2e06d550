"""MX preferences with real hosts: the lowest reachable one gets the mail, a backup holds it, null MX bounces."""

from __future__ import annotations

import asyncio
import email
import imaplib
import json
import smtplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from posthouse.playground import HostSpec, Playground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CAROL, ALICE, PASSWORD = "carol@east.test", "alice@north.test", "posthouse"

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


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def submit(net: Playground, recipient: str) -> None:
    with smtplib.SMTP_SSL("127.0.0.10", net.ports["submissions"], context=trusting()) as client:
        client.login(ALICE, PASSWORD)
        text = f"From: {ALICE}\r\nTo: {recipient}\r\nSubject: hello\r\n\r\nHello.\r\n"
        client.sendmail(ALICE, [recipient], text)


def inbox(net: Playground, address: str, user: str) -> list[str]:
    client = imaplib.IMAP4_SSL(address, net.ports["imaps"], ssl_context=trusting())
    try:
        client.login(user, PASSWORD)
        count = int(client.select("INBOX", readonly=True)[1][0] or 0)
        if not count:
            return []
        return [part[1].decode() for part in client.fetch("1:*", "(BODY[])")[1] if isinstance(part, tuple)]
    finally:
        client.logout()


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # another process's state can only be asked for
            await asyncio.sleep(0.1)


async def held(net: Playground, host: str) -> int:
    return len(json.loads(await net.host(host).command("queue", "list", "--json")))


async def arrived(net: Playground) -> bool:
    return len(await asyncio.to_thread(inbox, net, "127.0.0.32", CAROL)) == 1


async def test_the_second_gets_it_when_the_first_is_down(net: Playground) -> None:
    await asyncio.to_thread(submit, net, CAROL)
    await until(lambda: arrived(net))
    [message] = await asyncio.to_thread(inbox, net, "127.0.0.32", CAROL)
    assert "by two.east.test" in message
    assert "three.east.test" not in message


async def test_the_third_holds_it_and_hands_it_on(net: Playground) -> None:
    await net.host("two.east.test").stop()
    await asyncio.to_thread(submit, net, CAROL)

    async def is_held() -> bool:
        return await held(net, "three.east.test") == 1 and await held(net, "mx.north.test") == 0

    await until(is_held)
    await net.host("two.east.test").start()
    await until(lambda: arrived(net), seconds=15)

    async def is_empty() -> bool:
        return await held(net, "three.east.test") == 0

    await until(is_empty)
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
    await asyncio.to_thread(submit, net, "anyone@silent.test")

    async def bounced() -> bool:
        return len(await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)) == 1

    await until(bounced)
    [text] = await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)
    bounce = email.message_from_string(text)
    assert bounce.get_content_type() == "multipart/report"
    report = next(part for part in bounce.walk() if part.get_content_type() == "message/delivery-status")
    assert "5.1.10" in report.as_string()
    assert await held(net, "mx.north.test") == 0
