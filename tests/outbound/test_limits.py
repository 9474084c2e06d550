"""What a foreign server can make us keep, wait for or do is bounded; so is what the queue takes at once."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import dns.message
import dns.rdatatype
import msgspec
import pytest

from posthouse import limits
from posthouse.config import Dns
from posthouse.dns_resolver import DnsResolver
from posthouse.errors import StoreUnavailable
from posthouse.outbound.dns_walk import walk
from posthouse.outbound.misplanned import wake_misplanned
from tests.fakes.mail_server import FakeMailServer
from tests.fakes.name_server import FakeNameServer, answer
from tests.machine import slowness
from tests.outbound.conftest import MakeCourier, parcel
from tests.outbound.office import Office
from tests.waiting import until

ZONE = """
    far.test.      MX 10 mx1.far.test.
    mx1.far.test.  A  127.0.0.1
    theirs.test.   MX 10 mx1.far.test.
    theirs.test.   MX 20 mx.us.test.
    mx.us.test.    A  127.0.0.9
"""


@pytest.fixture
async def far() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server


@pytest.fixture
async def office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[Office]:
    zone = ZONE + "".join(f"d{n}.test. MX 10 mx1.far.test.\n" for n in range(7))
    office = await Office.open(tmp_path, zone, far.port)
    yield office
    await office.close()


# --- what a server says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begins", ["RCPT", "MESSAGE", "DATA", "MAIL"], ids=["recipient", "end of message", "data", "sender"]
)
async def test_of_an_endless_reply_only_the_beginning_is_kept_and_told(
    office: Office, far: FakeMailServer, caplog: pytest.LogCaptureFixture, begins: str
) -> None:
    caplog.set_level("INFO")
    lines = ["550-5.7.1 " + "x" * 3000] * 90
    far.say(begins, "\n".join([*lines, "550 5.7.1 end"]))
    await office.enqueue("b@far.test", "c@far.test", trace_id="t1")
    await office.settled()
    (notice,) = await office.inbox()
    assert notice.count(b"x" * 60) > 4, "its beginning is told, to people and to programs"
    assert len(notice) < 20_000
    events = await office.store.events(trace_id="t1")
    assert all(len(event.detail) < 1_300 for event in events)
    assert all(len(record.getMessage()) < 1_500 for record in caplog.records)


async def test_of_an_endless_refusal_to_greet_only_the_beginning_is_kept(
    make_courier: MakeCourier, far: FakeMailServer
) -> None:
    far.say("CONNECT", "\n".join([*["554-" + "x" * 3000] * 90, "554 no"]))
    report = await make_courier(ZONE, far.port).deliver(parcel("b@far.test"))
    assert len(report.deliveries[0].reply.text) < 1_100
    assert [len(text) for text in report.tried] == [1_000]


async def test_a_long_offer_is_read_whole(make_courier: MakeCourier) -> None:
    names = [f"X-{'Y' * 100}-{number}" for number in range(60)]
    async with FakeMailServer(extensions=[*names, "LIMITS RCPTMAX=1"]) as far:
        await make_courier(ZONE, far.port).deliver(parcel("b@far.test", "c@far.test"))
    assert [len(got.recipients) for got in far.messages] == [1, 1], "what stands last is obeyed too"


@pytest.mark.parametrize(("octets", "outcome"), [(4096, "delivered"), (4097, "deferred")])
async def test_a_line_of_a_reply_has_so_many_octets(
    make_courier: MakeCourier, far: FakeMailServer, octets: int, outcome: str
) -> None:
    assert limits.SMTP_REPLY_LINE_READ == 4096
    far.say("RCPT", "250 2.1.5 ".ljust(octets - 2, "x"))
    report = await make_courier(ZONE, far.port).deliver(parcel("b@far.test"))
    assert [one.disposition.value for one in report.deliveries] == [outcome]


# --- what a server lets us wait for -----------------------------------------------------------------------


async def test_a_host_that_answers_no_connection_is_left(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_CONNECT_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())  # nobody accepts it: the system drops who comes after it
        async with asyncio.timeout(3):
            report = await make_courier(ZONE, full.getsockname()[1]).deliver(parcel("b@far.test"))
    assert "no connection within" in report.deliveries[0].reply.text


async def _says_goodbye_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx1.far.test\r\n")
    try:
        while not (line := await reader.readline()).startswith(b"QUIT"):
            assert line
            writer.write(b"451 4.7.1 later\r\n" if line.startswith(b"MAIL") else b"250 fine\r\n")
        while True:
            writer.write(b"221-not yet\r\n")
            await asyncio.sleep(0.04)
    finally:
        writer.close()


async def test_nobody_waits_long_for_a_goodbye(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_QUIT_TIMEOUT", 0.1)
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT", 0.1)
    server = await asyncio.start_server(_says_goodbye_for_ever, "127.0.0.1", 0)
    courier = make_courier(ZONE, server.sockets[0].getsockname()[1])
    report = await courier.deliver(parcel("b@far.test"))
    assert report.deliveries[0].reply.text == "later"
    began = time.monotonic()
    await courier.close()
    assert time.monotonic() - began < slowness()
    server.close()


async def test_silence_is_no_goodbye(
    make_courier: MakeCourier, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_QUIT_TIMEOUT", 0.05)
    far.say("QUIT", None)
    courier = make_courier(ZONE, far.port)
    await courier.deliver(parcel("b@far.test"))
    async with asyncio.timeout(1):
        await courier.close()
    assert far.count("QUIT") == 1


async def test_an_old_session_is_not_used_again(
    make_courier: MakeCourier, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = make_courier(ZONE, far.port)
    monkeypatch.setattr(limits, "OUTBOUND_SESSION_AGE", 0.02)
    await courier.deliver(parcel("b@far.test"))
    (session,) = courier.pool._idle
    await until(lambda: session.age >= 0.02)
    await courier.deliver(parcel("c@far.test"))
    assert [got.connection for got in far.messages] == [1, 2]


async def test_a_transaction_has_a_bounded_number_of_recipients(
    make_courier: MakeCourier, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_RECIPIENTS", 2)
    await make_courier(ZONE, far.port).deliver(parcel(*(f"r{n}@far.test" for n in range(5))))
    assert [len(got.recipients) for got in far.messages] == [2, 2, 1]


# --- the queue ------------------------------------------------------------------------------------------------


async def test_a_lease_ends_by_itself_and_not_before(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_LEASE", 100.0)
    await office.enqueue("b@far.test")
    assert len(await office.runner._lease(office.clock(), 5)) == 1  # whoever took it dies now
    office.clock.advance(99)
    assert await office.runner._lease(office.clock(), 5) == []
    office.clock.advance(2)
    assert len(await office.runner._lease(office.clock(), 5)) == 1


def test_a_lease_outlasts_every_attempt() -> None:
    assert limits.OUTBOUND_LEASE >= limits.OUTBOUND_ATTEMPT + 60 * limits.OUTBOUND_RECORD_PAUSE


async def test_one_look_at_the_queue_takes_a_bounded_number(
    office: Office, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_LEASES_AT_ONCE", 3)
    for number in range(7):
        await office.enqueue(f"b@d{number}.test")
    await office.runner._take()
    assert len(office.runner._running) == 3
    await office.settled()
    assert len(far.messages) == 7


async def test_a_queue_that_could_not_be_read_is_read_again(
    office: Office, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_POLL", 0.01)
    await office.enqueue("b@far.test")
    faults: list[Exception] = [StoreUnavailable("the disk is full"), RuntimeError("a fault of ours")]
    really = office.store.next_due

    async def next_due() -> float | None:
        if faults:
            raise faults.pop()
        return await really()

    monkeypatch.setattr(office.store, "next_due", next_due)
    await office.runner.start()
    await until(lambda: len(far.messages) == 1)


async def test_what_is_planned_within_the_slack_of_the_clocks_is_left_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_CLOCK_SLACK", 50.0)
    settings = msgspec.structs.replace(office.settings, retry=(2000,))
    longest = 2000 * 1.1  # with its jitter
    await office.enqueue("b@far.test")
    start = office.clock.now
    office.clock.now = start - longest - 40
    assert await wake_misplanned(office.store, settings, office.clock()) == 0
    office.clock.now = start - longest - 60
    assert await wake_misplanned(office.store, settings, office.clock()) == 1


async def test_many_recipients_are_told_of_in_several_notices(
    office: Office, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DSN_RECIPIENTS", 2)
    far.say("RCPT", "550 5.1.1 nobody here")
    await office.enqueue(*(f"r{n}@far.test" for n in range(5)))
    await office.settled()
    notices = await office.inbox()
    assert sorted(notice.count(b"Final-Recipient:") for notice in notices) == [1, 2, 2]


async def test_a_primary_that_says_nothing_is_asked_anew(
    office: Office, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACKUP_PROBE", 0.01)
    monkeypatch.setattr(limits, "BACKUP_PROBE_MOST", 0.01)
    monkeypatch.setattr(limits, "BACKUP_PROBE_TIMEOUT", 0.05)
    await office.backup_for("theirs.test")
    far.say("CONNECT", None, times=1)
    office.runner.backups.unreached("theirs.test")
    await until(lambda: far.connections >= 2)


# --- the walk of `trace` down the DNS -----------------------------------------------------------------------


def delegating(hosts: int, *, silent: bool = False) -> FakeNameServer:
    """Servers that know nothing but one who might know more, one label further down each time."""
    depth = 0

    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        nonlocal depth
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        if kind == "A":
            return [answer(query, f"{question.name} 60 IN A 127.0.0.1")]
        if kind == "NS":
            return [answer(query)]  # the roots are out of reach
        depth += 1
        if silent and depth > 1:
            return []
        zone = b".".join(question.name.labels[-depth - 1 :]).decode()
        return [answer(query, authority=tuple(f"{zone} 60 IN NS ns{n}.test." for n in range(hosts)))]

    return FakeNameServer(reply)


DEEP = ".".join("abcdefghijklmnopqrst") + "."


async def test_a_walk_has_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_WALK", 4)
    async with delegating(1) as server:
        resolver = DnsResolver(Dns(servers=(server.at,)))
        steps = [step async for step in walk(resolver, DEEP, "MX")]
    assert [step.text for step in steps[3:]] == ["q.r.s.t is served by ns0.test", "too many delegations"]
    assert sum(line.startswith("udp MX") for line in server.asked) == 4


async def test_a_step_of_a_walk_asks_so_many_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_WALK_SERVERS", 2)
    monkeypatch.setattr(limits, "DNS_TRY_TIMEOUT", 0.03)
    async with delegating(9, silent=True) as server:
        resolver = DnsResolver(Dns(servers=(server.at,)))
        steps = [step async for step in walk(resolver, DEEP, "MX")]
    assert [step.text for step in steps[1:]] == ["no answer"]
    assert sum(line.startswith("udp A") for line in server.asked) == 2
    assert sum(line.startswith("udp MX") for line in server.asked) == 1 + 2
