"""The playground as a library: misbehaving hosts, partitions, a clock that moves; each with real processes."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from posthouse.errors import NotFound
from posthouse.operations.control_client import ControlFailed
from posthouse.playground import CLOSE, TAKE_AND_CLOSE, Host, HostSpec, Playground, TlsFault
from tests.playground.conftest import PASSWORD, inbox, submit

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ALICE, CAROL = "alice@north.test", "carol@east.test"
EAST = "127.0.0.31"
HOUR = 3600.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def net() -> AsyncIterator[Playground]:
    """north.test and east.test, and a schedule of hours."""
    made = Playground(scenario=None, published=False)
    made.add_zone("north.test", "@ MX 10 mx\nmx A 127.0.0.10\n")
    made.add_zone("east.test", f"@ MX 10 mx\nmx A {EAST}\n")
    hours = ("1h", "2h", "4h")
    made.add_host(
        HostSpec(
            name="mx.north.test",
            address="127.0.0.10",
            domains=("north.test",),
            accounts=((ALICE, PASSWORD),),
            retry=hours,
        )
    )
    made.add_host(
        HostSpec(
            name="mx.east.test",
            address=EAST,
            domains=("east.test",),
            accounts=((CAROL, PASSWORD),),
            retry=hours,
        )
    )
    async with made:
        yield made


@pytest.fixture
def east(net: Playground) -> Host:
    """The host that misbehaves, itself again."""
    host = net.host("mx.east.test")
    host.gate.be_itself()
    host.gate.break_off()  # senders keep connections for the next message
    host.gate.heard.clear()
    net.heal()
    return host


async def send(net: Playground, subject: str) -> None:
    await asyncio.to_thread(submit, net, ALICE, CAROL, subject)


async def arrived(net: Playground, subject: str) -> int:
    texts = await asyncio.to_thread(inbox, net, EAST, CAROL)
    return sum(f"Subject: {subject}\r\n" in text for text in texts)


async def last_reply(net: Playground) -> str:
    rows = await net.host("mx.north.test").ask("queue.list")
    return str(rows[0]["recipients"][0]["last_reply"]) if rows else ""


async def delivered(net: Playground, subject: str) -> None:
    async def is_there() -> bool:
        return await arrived(net, subject) == 1

    await net.until(is_there)


async def refused_with(net: Playground, beginning: str) -> None:
    async def is_so() -> bool:
        return (await last_reply(net)).startswith(beginning)

    await net.until(is_so)


async def test_a_deferral_is_tried_again_when_the_clock_moves(net: Playground, east: Host) -> None:
    east.gate.say("RCPT TO:<carol@", "451 4.7.1 grey today", times=1)
    await send(net, "deferred")
    await refused_with(net, "451 4.7.1 grey today")
    assert await arrived(net, "deferred") == 0
    await net.advance(1.2 * HOUR)
    await delivered(net, "deferred")
    assert any(command.startswith("STARTTLS") for command in east.gate.heard), "the rule was met within TLS"


async def test_a_delay_notice_comes_at_its_time(net: Playground, east: Host) -> None:
    east.gate.say("MAIL", "452 4.3.1 no room")
    await send(net, "delayed")
    await refused_with(net, "452 4.3.1")

    async def told() -> bool:
        texts = await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)
        return any("Action: delayed" in text for text in texts)

    assert not await told()
    await net.advance(4.1 * HOUR)
    await net.until(told)
    east.gate.be_itself()
    await net.advance(8 * HOUR)
    await delivered(net, "delayed")


async def test_the_end_of_the_message_is_refused_and_nothing_is_kept(net: Playground, east: Host) -> None:
    east.gate.say("MESSAGE", "554 5.6.0 we do not like it", times=1)
    await send(net, "disliked")

    async def bounced() -> bool:
        texts = await asyncio.to_thread(inbox, net, "127.0.0.10", ALICE)
        return any("554 5.6.0 we do not like it" in text for text in texts)

    await net.until(bounced)
    assert await arrived(net, "disliked") == 0


async def test_the_sender_never_learns_that_it_was_taken(net: Playground, east: Host) -> None:
    """RFC 5321 §4.5.3.2.6 knows no cure: the one case in which a message may be there twice."""
    east.gate.say("MESSAGE", TAKE_AND_CLOSE, times=1)
    await send(net, "twice")

    async def is_taken() -> bool:
        return await arrived(net, "twice") == 1

    await net.until(is_taken)
    await net.advance(2 * HOUR)

    async def is_there_again() -> bool:
        return await arrived(net, "twice") == 2

    await net.until(is_there_again)


async def test_no_greeting_and_a_late_one(net: Playground, east: Host) -> None:
    east.gate.say("CONNECT", CLOSE, times=1)
    await send(net, "greeting")

    async def waits() -> bool:
        return bool(await last_reply(net))

    await net.until(waits)
    east.gate.be_itself()
    east.gate.say("CONNECT", after=0.5, times=1)
    await net.advance(2 * HOUR)
    await delivered(net, "greeting")


@pytest.mark.parametrize(
    ("fault", "encrypted"),
    [
        (TlsFault.NOT_OFFERED, False),
        (TlsFault.REFUSED, False),
        (TlsFault.BROKEN, False),
        (TlsFault.EXPIRED, True),
        (TlsFault.WRONG_NAME, True),
    ],
)
async def test_tls_faults(net: Playground, east: Host, fault: TlsFault, encrypted: bool) -> None:
    """Opportunistic TLS (RFC 7435): a bad certificate is better than clear text, and that than no mail."""
    east.gate.tls = fault
    subject = f"tls {fault.value}"
    await send(net, subject)
    await delivered(net, subject)
    (text,) = [
        one for one in await asyncio.to_thread(inbox, net, EAST, CAROL) if f"Subject: {subject}\r\n" in one
    ]
    assert ("with ESMTPS" in text.partition("Subject:")[0].partition("by mx.east.test")[2][:80]) is encrypted


async def test_a_partition_parts_two_hosts_and_no_others(net: Playground, east: Host) -> None:
    net.partition("mx.north.test", "mx.east.test")
    await send(net, "parted")

    async def waits() -> bool:
        return bool(await last_reply(net))

    await net.until(waits)

    def send_from_elsewhere() -> None:
        with smtplib.SMTP(EAST, net.ports["smtp"]) as client:
            client.sendmail("x@west.test", [CAROL], "Subject: from elsewhere\r\n\r\nx\r\n")

    await asyncio.to_thread(send_from_elsewhere)
    assert await arrived(net, "from elsewhere") == 1
    assert await arrived(net, "parted") == 0
    net.heal()
    await net.advance(2 * HOUR)
    await delivered(net, "parted")


async def test_the_host_sees_its_clients_own_address(net: Playground, east: Host) -> None:
    await send(net, "address")
    await delivered(net, "address")
    texts = await asyncio.to_thread(inbox, net, EAST, CAROL)
    assert "[127.0.0.10]" in texts[-1].partition("Subject:")[0]


async def test_a_stopped_host_refuses_and_its_clock_goes_on(net: Playground, east: Host) -> None:
    await east.stop()
    with pytest.raises(OSError, match=r"refused|111"):
        await asyncio.open_connection(EAST, net.ports["smtp"])
    before = east.ahead
    await net.advance(HOUR)
    await east.start()
    assert east.ahead == before + HOUR
    assert await east.ask("clock.advance", seconds=0.0) == pytest.approx(east.ahead)


async def test_a_host_that_is_cut_off_learns_the_time_when_it_is_back(net: Playground, east: Host) -> None:
    before = await east.ask("clock.advance", seconds=0.0)
    east.cut_off()
    await net.advance(HOUR)
    east.reconnect()

    async def knows() -> bool:
        return bool(await east.ask("clock.advance", seconds=0.0) == before + HOUR)

    await net.until(knows)


async def test_clocks_go_forward_only(net: Playground) -> None:
    with pytest.raises(ValueError, match="forward"):
        await net.advance(-1)
    with pytest.raises(ControlFailed, match="forward"):
        await net.host("mx.east.test").ask("clock.advance", seconds=-1.0)


async def test_on_published_ports_there_are_no_gates() -> None:
    net = Playground(scenario="null-mx", published=True)
    host = Host(net._specs[0], net.folder, net.ports, 53)
    with pytest.raises(NotFound, match="published=False"):
        _ = host.gate
