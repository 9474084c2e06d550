"""Attempts over real sockets against servers that reply as told: who gets what, and which host is tried when."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.net.certificates import make_pair
from posthouse.net.tls import server_context
from posthouse.outbound.attempt import Report
from posthouse.outbound.parcel import Disposition
from posthouse.smtp import client_core
from posthouse.smtp.client_states import State, Verb
from tests.fakes.mail_server import CLOSE, KEEP_AND_CLOSE, FakeMailServer
from tests.outbound.conftest import MESSAGE, MakeCourier, parcel

# Every host has the same port and an address of its own, as on the real network.
ZONE = """
    far.test.      MX 10 mx1.far.test.
    far.test.      MX 20 mx2.far.test.
    mx1.far.test.  A  127.0.0.1
    mx2.far.test.  A  127.0.0.2
    null.test.     MX 0 .
    broken.test.   FAIL
"""
ALONE = """
    far.test.      MX 10 mx1.far.test.
    mx1.far.test.  A  127.0.0.1
"""


def told(report: Report) -> list[str]:
    return [f"{one.recipient.address} {one.disposition.value} {one.reply.code}" for one in report.deliveries]


async def second(first: FakeMailServer) -> FakeMailServer:
    server = FakeMailServer(address="127.0.0.2", port=first.port, name="mx2.far.test")
    await server.start()
    return server


async def test_the_first_host_gets_it(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test delivered 250"]
    assert [(got.sender, got.recipients, got.content) for got in mx1.messages] == [
        ("a@us.test", ["b@far.test"], MESSAGE)
    ]
    assert report.deliveries[0].target == f"mx1.far.test[127.0.0.1]:{mx1.port}"
    assert report.reached


async def test_all_recipients_go_in_one_transaction(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        mx1.say("RCPT TO:<c@", "550 5.1.1 nobody here")
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test", "c@far.test", "d@far.test"))
    assert sorted(told(report)) == [
        "b@far.test delivered 250",
        "c@far.test failed 550",
        "d@far.test delivered 250",
    ]
    assert [got.recipients for got in mx1.messages] == [["b@far.test", "d@far.test"]]


NEXT_HOST = [
    ("CONNECT", "421 too busy"),
    ("CONNECT", "554 no service here"),
    ("CONNECT", CLOSE),
    ("CONNECT", "hello there"),
    ("EHLO", CLOSE),
    ("MAIL", "451 later"),
    ("RCPT", "450 greylisted"),
    ("RCPT", "421 closing"),
    ("RCPT", CLOSE),
    ("DATA", "451 later"),
    ("DATA", CLOSE),
    ("MESSAGE", "451 later"),
]


@pytest.mark.parametrize(("command", "reply"), NEXT_HOST)
async def test_what_may_pass_is_tried_at_the_next_host(
    make_courier: MakeCourier, command: str, reply: str
) -> None:
    async with FakeMailServer() as mx1:
        mx1.say(command, reply)
        mx2 = await second(mx1)
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
        await mx2.stop()
    assert told(report) == ["b@far.test delivered 250"]
    assert mx1.messages == []
    assert len(mx2.messages) == 1
    assert len(report.tried) == 1
    assert "mx1.far.test[127.0.0.1]:" in report.tried[0]


FINAL = [("MAIL", "550 blocked"), ("RCPT", "550 unknown"), ("DATA", "554 no"), ("MESSAGE", "554 5.7.1 spam")]


@pytest.mark.parametrize(("command", "reply"), FINAL)
async def test_5xx_ends_the_walk(make_courier: MakeCourier, command: str, reply: str) -> None:
    async with FakeMailServer() as mx1:
        mx1.say(command, reply)
        mx2 = await second(mx1)
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
        await mx2.stop()
    assert told(report) == [f"b@far.test failed {reply[:3]}"]
    assert report.deliveries[0].remote
    assert mx2.connections == 0


async def test_only_those_who_wait_go_on_to_the_next_host(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        mx1.say("RCPT TO:<b@", "450 later")
        mx1.say("RCPT TO:<c@", "550 unknown")
        mx2 = await second(mx1)
        mx2.say("RCPT TO:<b@", "450 later")
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test", "c@far.test", "d@far.test"))
        await mx2.stop()
    assert sorted(told(report)) == [
        "b@far.test deferred 450",
        "c@far.test failed 550",
        "d@far.test delivered 250",
    ]
    assert [command for command in mx2.commands if command.startswith("RCPT")] == ["RCPT TO:<b@far.test>"]


async def test_nobody_there_is_a_deferral_of_the_destination(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as gone:
        pass
    report = await make_courier(ZONE, gone.port).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test deferred 451"]
    assert not report.reached
    assert len(report.tried) == 2
    assert not report.deliveries[0].remote


async def test_a_5xx_greeting_everywhere_is_only_a_deferral(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        mx1.say("CONNECT", "554 no")
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
    assert report.deliveries[0].disposition is Disposition.DEFERRED


@pytest.mark.parametrize(
    ("address", "outcome", "reached"),
    [
        ("b@null.test", "failed 556", True),
        ("b@nowhere.test", "failed 550", True),
        ("b@broken.test", "deferred 451", False),
    ],
)
async def test_no_route(make_courier: MakeCourier, address: str, outcome: str, reached: bool) -> None:
    report = await make_courier(ZONE, 25).deliver(parcel(address, f"x{address}"))
    assert told(report) == [f"{address} {outcome}", f"x{address} {outcome}"]
    assert report.reached is reached
    assert report.deliveries[0].host == ""


async def test_a_break_after_the_final_dot_is_tried_nowhere_else(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        mx1.say("MESSAGE", KEEP_AND_CLOSE)
        mx2 = await second(mx1)
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
        await mx2.stop()
    assert told(report) == ["b@far.test deferred 421"]
    assert report.deliveries[0].may_be_there
    assert mx2.connections == 0


# --- many recipients and many messages ------------------------------------------------------------------


async def test_more_recipients_than_one_transaction_may_have(make_courier: MakeCourier) -> None:
    addresses = [f"r{number}@far.test" for number in range(7)]
    async with FakeMailServer(extensions=["PIPELINING", "LIMITS RCPTMAX=3"]) as mx1:
        report = await make_courier(ZONE, mx1.port).deliver(parcel(*addresses))
    assert [len(got.recipients) for got in mx1.messages] == [3, 3, 1]
    assert mx1.connections == 1
    assert all(one.disposition is Disposition.DELIVERED for one in report.deliveries)


@pytest.mark.parametrize("reply", ["452 4.5.3 too many", "552 too many"])
async def test_too_many_recipients_go_in_a_transaction_of_their_own(
    make_courier: MakeCourier, reply: str
) -> None:
    async with FakeMailServer() as mx1:
        mx1.say("RCPT TO:<c@", reply, times=1)
        mx1.say("RCPT TO:<d@", reply, times=1)
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test", "c@far.test", "d@far.test"))
    assert [got.recipients for got in mx1.messages] == [["b@far.test"], ["c@far.test", "d@far.test"]]
    assert {one.disposition for one in report.deliveries} == {Disposition.DELIVERED}


async def test_a_552_beside_a_message_that_failed_is_no_refusal_for_good(make_courier: MakeCourier) -> None:
    """RFC 5321 §4.5.3.1.10: it may mean too many recipients, and whether it does the next attempt shows."""
    async with FakeMailServer() as mx1:
        mx1.say("RCPT TO:<c@", "552 too many recipients")
        mx1.say("MESSAGE", "451 later")
        report = await make_courier(ALONE, mx1.port).deliver(parcel("b@far.test", "c@far.test"))
    assert told(report) == ["b@far.test deferred 451", "c@far.test deferred 552"]
    assert mx1.count("MAIL") == 1


async def test_a_server_may_want_a_session_for_every_message(make_courier: MakeCourier) -> None:
    """RFC 9422 §4.1: who is left when it ends is not put off, but asked about in another one."""
    async with FakeMailServer(extensions=["PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=1"]) as mx1:
        mx1.say("RCPT TO:<c@", "450 later")
        report = await make_courier(ZONE, mx1.port).deliver(
            parcel("a@far.test", "b@far.test", "c@far.test", "d@far.test")
        )
    assert sorted(told(report)) == [
        "a@far.test delivered 250",
        "b@far.test delivered 250",
        "c@far.test deferred 451",
        "d@far.test delivered 250",
    ]
    assert mx1.connections == 4


@pytest.mark.parametrize(("told", "connections"), [("LIMITS RCPTDOMAINMAX=2", 2), ("SIZE", 1)])
async def test_a_server_may_take_mail_for_few_domains_in_a_session(
    make_courier: MakeCourier, told: str, connections: int
) -> None:
    """RFC 9422 §4.3: all recipients of a session count, so the open one is left for those that it knows."""
    zone = ZONE + "".join(f"{name}.test. MX 5 mx1.far.test.\n" for name in ("one", "two", "three"))
    async with FakeMailServer(extensions=["PIPELINING", told]) as mx1:
        courier = make_courier(zone, mx1.port)
        for address in ("a@one.test", "b@two.test", "c@ONE.test", "d@three.test", "e@two.test"):
            await courier.deliver(parcel(address))
    assert len(mx1.messages) == 5
    assert mx1.connections == connections


async def test_a_server_that_breaks_off_is_not_asked_for_everybody(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=["PIPELINING", "LIMITS RCPTMAX=1"]) as mx1:
        mx1.say("MAIL", "421 not now")
        await make_courier(ZONE, mx1.port).deliver(parcel("a@far.test", "b@far.test", "c@far.test"))
    assert mx1.connections == 1


async def test_the_next_message_uses_the_open_connection(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE + "other.test. MX 5 mx1.far.test.", mx1.port)
        for address in ("b@far.test", "c@far.test", "d@other.test"):
            await courier.deliver(parcel(address))
    assert len(mx1.messages) == 3
    assert mx1.connections == 1
    assert mx1.count("EHLO") == 1


async def test_a_connection_that_died_while_idle_costs_nothing(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE, mx1.port)
        await courier.deliver(parcel("b@far.test"))
        mx1.say("MAIL", CLOSE, times=1)
        report = await courier.deliver(parcel("c@far.test"))
        assert told(report) == ["c@far.test delivered 250"]
        assert report.tried == ()
        mx1.say("MAIL", "421 idle too long", times=1)
        assert told(await courier.deliver(parcel("d@far.test"))) == ["d@far.test delivered 250"]
    assert mx1.connections == 3


async def test_connections_are_used_a_bounded_number_of_times(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_TRANSACTIONS", 2)
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE, mx1.port)
        for number in range(4):
            await courier.deliver(parcel(f"r{number}@far.test"))
    assert [got.connection for got in mx1.messages] == [1, 1, 2, 2]


async def test_idle_connections_end_by_themselves(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_IDLE_SECONDS", 0.01)
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE, mx1.port)
        await courier.deliver(parcel("b@far.test"))
        await mx1.heard("QUIT")
        assert len(courier.pool) == 0


async def test_idle_connections_are_bounded(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_IDLE_SESSIONS", 1)
    async with FakeMailServer() as mx1:
        mx2 = await second(mx1)
        courier = make_courier(ZONE + "two.test. MX 1 mx2.far.test.", mx1.port)
        await courier.deliver(parcel("b@far.test"))
        await courier.deliver(parcel("b@two.test"))
        assert len(courier.pool) == 1
        await mx2.stop()


async def test_addresses_tried_are_bounded(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_ADDRESSES", 2)
    zone = "".join(f"far.test. MX {i} m{i}.test.\nm{i}.test. A 127.0.1.{i}\n" for i in range(1, 9))
    async with FakeMailServer() as gone:
        pass
    report = await make_courier(zone, gone.port).deliver(parcel("b@far.test"))
    assert len(report.tried) == 2


async def test_an_attempt_ends_in_time(make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_ATTEMPT", 0.05)
    async with FakeMailServer() as mx1:
        mx1.say("MESSAGE", None)
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test deferred 451"]
    assert report.deliveries[0].may_be_there, "the message was out, its reply was not in"


RFC_MINUTES = [
    ("CONNECT", State.GREETING, 5),
    ("EHLO", State.EHLO, 5),
    ("MAIL", Verb.MAIL, 5),
    ("RCPT", Verb.RCPT, 5),
    ("DATA", Verb.DATA, 2),
    ("MESSAGE", State.FINAL, 10),
]
"""RFC 5321 §4.5.3.2: the least that each step must be waited for; a silent host holds us not much longer."""


@pytest.mark.parametrize(("silent_at", "step", "minutes"), RFC_MINUTES)
async def test_each_silence_is_waited_for_its_own_time(
    make_courier: MakeCourier,
    monkeypatch: pytest.MonkeyPatch,
    silent_at: str,
    step: State | Verb,
    minutes: int,
) -> None:
    assert 60 * minutes <= client_core.TIMEOUTS[step] <= 2 * 60 * minutes
    others = dict.fromkeys(client_core.TIMEOUTS, 1000.0)
    monkeypatch.setattr(client_core, "TIMEOUTS", others | {step: 0.2})
    async with FakeMailServer(extensions=[]) as mx1:
        mx1.say(silent_at, None)
        mx2 = await second(mx1)
        async with asyncio.timeout(10):
            report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
        await mx2.stop()
    sent = silent_at == "MESSAGE"  # it may be there: nobody else may get it
    assert told(report) == ["b@far.test deferred 421" if sent else "b@far.test delivered 250"]
    assert len(mx2.messages) == (0 if sent else 1)


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server that reads nothing more once it has asked for the message."""
    writer.write(b"220 mx1.far.test\r\n")
    try:
        while not (line := await reader.readline()).startswith(b"DATA"):
            writer.write(b"250 fine\r\n" if line else b"")
        writer.write(b"354 go on\r\n")
        await asyncio.Event().wait()
    finally:
        writer.close()


@pytest.mark.parametrize("block", [0.2, 1.0])
async def test_a_host_that_reads_nothing_is_waited_for_and_given_up(
    make_courier: MakeCourier, monkeypatch: pytest.MonkeyPatch, block: float
) -> None:
    # RFC 5321 §4.5.3.2.5: at least 3 minutes for a block.
    assert 180 <= client_core.TIMEOUTS[State.CONTENT] <= 360
    monkeypatch.setattr(client_core, "TIMEOUTS", client_core.TIMEOUTS | {State.CONTENT: block})
    content = MESSAGE + (b"x" * 78 + b"\r\n") * 250_000
    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1000)
    began = time.monotonic()
    async with asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        report = await make_courier(ZONE, port).deliver(parcel("b@far.test", content=content))
    server.close()
    assert told(report) == ["b@far.test deferred 451"]
    assert time.monotonic() - began >= block


async def test_a_stopped_attempt_tells_what_it_reached(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=["PIPELINING", "LIMITS RCPTMAX=1"]) as mx1:
        mx1.say("RCPT TO:<c@", None)
        courier = make_courier(ZONE, mx1.port)
        task = asyncio.ensure_future(courier.deliver(parcel("b@far.test", "c@far.test")))
        await mx1.heard("RCPT TO:<c@")
        task.cancel()
        report = await task
    assert told(report) == ["b@far.test delivered 250", "c@far.test deferred 451"]


async def test_a_fault_of_ours_is_a_deferral_and_the_half_message_is_not_taken(
    make_courier: MakeCourier,
) -> None:
    async def half() -> object:
        yield b"half of it\r\n"
        raise OSError("disk")

    async with FakeMailServer() as mx1:
        broken = parcel("b@far.test")
        broken.content = half  # type: ignore[assignment]
        report = await make_courier(ZONE, mx1.port).deliver(broken)
        assert told(report) == ["b@far.test deferred 451"]
    assert mx1.messages == []


# --- TLS --------------------------------------------------------------------------------------------------


async def test_tls_is_used_where_offered_with_any_certificate(
    make_courier: MakeCourier, far_tls: ssl.SSLContext
) -> None:
    async with FakeMailServer(tls=far_tls) as mx1:
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
    assert mx1.messages[0].tls
    assert report.deliveries[0].tls.startswith("TLSv1.3 ")


async def test_a_failed_handshake_is_followed_by_one_try_in_clear(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=["STARTTLS"]) as mx1:
        mx1.say("STARTTLS", "220 go on\n500 this is no TLS")
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test delivered 250"]
    assert mx1.connections == 2
    assert not mx1.messages[0].tls
    assert report.deliveries[0].tls == ""


async def test_who_demands_tls_that_failed_has_refused_nobody(make_courier: MakeCourier) -> None:
    """RFC 3207 §4: 530 without TLS; that it did not come about this time is no fault of the recipient's."""
    async with FakeMailServer(extensions=["STARTTLS"]) as mx1:
        mx1.say("STARTTLS", "220 go on\n500 this is no TLS")
        mx1.say("MAIL", "530 5.7.0 Must issue a STARTTLS command first")
        courier = make_courier(ALONE, mx1.port)
        assert told(await courier.deliver(parcel("b@far.test"))) == ["b@far.test deferred 530"]
        mx1.extensions = []
        courier = make_courier(ALONE, mx1.port)
        assert told(await courier.deliver(parcel("b@far.test"))) == ["b@far.test failed 530"]


class Counted:
    """What a courier tells of its sessions, for TLS reports."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, TlsSeen]] = []

    def __call__(self, domain: str, seen: TlsSeen) -> None:
        self.seen.append((domain, seen))


async def test_tls_that_breaks_behind_the_handshake_is_followed_by_one_try_in_clear(
    make_courier: MakeCourier, tmp_path: Path
) -> None:
    """That a server wants a certificate of ours is seen in TLS 1.3 only when it should speak."""
    pair = make_pair("mx.far.test", datetime.now(UTC))
    (tmp_path / "cert.pem").write_bytes(pair.certificate)
    (tmp_path / "key.pem").write_bytes(pair.key)
    demanding = server_context(tmp_path / "cert.pem", tmp_path / "key.pem")
    demanding.verify_mode = ssl.CERT_REQUIRED
    counted = Counted()
    async with FakeMailServer(tls=demanding) as mx1:
        report = await make_courier(ZONE, mx1.port, tell=counted).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test delivered 250"]
    assert not mx1.messages[0].tls
    assert [seen.result for _, seen in counted.seen] == ["validation-failure"]


async def test_a_host_whose_name_tls_cannot_ask_for_gets_it_in_clear(
    make_courier: MakeCourier, far_tls: ssl.SSLContext
) -> None:
    """A label of 20 octets that are no letters, as the DNS writes them: longer than TLS lets a label be."""
    odd = "\\195" * 20
    zone = f"far.test. MX 10 {odd}.far.test.\n{odd}.far.test. A 127.0.0.1"
    async with FakeMailServer(tls=far_tls) as mx1:
        report = await make_courier(zone, mx1.port).deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test delivered 250"]
    assert not mx1.messages[0].tls


async def test_every_fresh_session_is_counted_for_the_domains_tls_report(
    make_courier: MakeCourier, far_tls: ssl.SSLContext
) -> None:
    """RFC 8460 §4.3."""
    counted = Counted()
    async with FakeMailServer(tls=far_tls) as mx1:
        courier = make_courier(ZONE, mx1.port, tell=counted)
        for _ in range(2):  # the second goes over the session that is still open
            await courier.deliver(parcel("b@far.test"))
        await courier.deliver(parcel("b@far.test", reverse_path=""))
    assert counted.seen == [("far.test", TlsSeen())]


async def test_what_went_wrong_with_tls_is_told(make_courier: MakeCourier) -> None:
    plain, broken = Counted(), Counted()
    async with FakeMailServer(extensions=[]) as mx1:
        await make_courier(ZONE, mx1.port, tell=plain).deliver(parcel("b@far.test"))
    async with FakeMailServer(extensions=["STARTTLS"]) as mx1:
        mx1.say("STARTTLS", "220 go on\n500 this is no TLS")
        await make_courier(ZONE, mx1.port, tell=broken).deliver(parcel("b@far.test"))
    [(domain, one)] = plain.seen
    assert (domain, one.result, one.mx, one.receiving_ip) == (
        "far.test",
        "starttls-not-supported",
        "mx1.far.test",
        "127.0.0.1",
    )
    [(_, one)] = broken.seen
    assert one.result == "validation-failure"
    assert "handshake" in one.reason


async def test_what_our_smarthost_or_a_silent_host_does_is_no_report(make_courier: MakeCourier) -> None:
    counted = Counted()
    async with FakeMailServer() as relay:
        zone = ZONE + "relay.test. A 127.0.0.1\n"
        courier = make_courier(
            zone, 1, tell=counted, relay=f"smtp://relay.test:{relay.port}?tls=opportunistic"
        )
        await courier.deliver(parcel("b@far.test"))
        assert relay.messages
    await make_courier(ZONE, relay.port, tell=counted).deliver(parcel("b@far.test"))  # nobody there
    assert counted.seen == []


# --- what a message needs ----------------------------------------------------------------------------------

EIGHT = "Subject: x\r\n\r\n\u00e4\r\n".encode()
HEADER = "Subject: \u00e4\r\n\r\nx\r\n".encode()


@pytest.mark.parametrize(
    ("content", "needs", "outcome"),
    [
        (EIGHT, {"body": "8BITMIME"}, "failed 554"),
        (MESSAGE, {"body": "8BITMIME"}, "delivered 250"),
        (HEADER, {"smtputf8": True}, "failed 554"),
        (EIGHT, {"smtputf8": True}, "delivered 250"),
        (MESSAGE, {"smtputf8": True, "reverse_path": "\u00e4@us.test"}, "failed 553"),
        (MESSAGE, {"smtputf8": True, "reverse_path": "a@\u00fcs.test"}, "delivered 250"),
        (MESSAGE, {"body": "BINARYMIME"}, "delivered 250"),
        (EIGHT, {"body": "BINARYMIME"}, "failed 554"),
        (MESSAGE + b"a\0b\r\n", {"body": "BINARYMIME"}, "failed 554"),
        (MESSAGE + b"a\nb\r\n", {"body": "BINARYMIME"}, "failed 554"),
        (MESSAGE + b"a\r", {"body": "BINARYMIME"}, "failed 554"),
        (MESSAGE + b"x" * 998 + b"\r\n", {"body": "BINARYMIME"}, "delivered 250"),
        (MESSAGE + b"x" * 999 + b"\r\n", {"body": "BINARYMIME"}, "failed 554"),
        (MESSAGE + b"x" * 65530 + b"\r\n", {"body": "BINARYMIME"}, "failed 554"),
    ],
)
async def test_a_server_is_asked_for_no_more_than_the_message_needs(
    make_courier: MakeCourier, content: bytes, needs: dict[str, object], outcome: str
) -> None:
    async with FakeMailServer(extensions=[]) as mx1:
        mx2 = await second(mx1)
        mx2.extensions = []
        report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test", content=content, **needs))
        await mx2.stop()
    assert told(report) == [f"b@far.test {outcome}"]


async def test_what_is_called_binary_and_is_8_bit_text_goes_as_that(make_courier: MakeCourier) -> None:
    """RFC 3030 §3: so say hosts that always declare it; only what is binary must be refused."""
    async with FakeMailServer() as mx1:
        report = await make_courier(ZONE, mx1.port).deliver(
            parcel("b@far.test", content=EIGHT, body="BINARYMIME")
        )
    assert told(report) == ["b@far.test delivered 250"]
    assert "BODY=8BITMIME" in mx1.commands[1]
    assert mx1.messages[0].content == EIGHT


async def test_an_address_outside_ascii_is_sent_as_one(make_courier: MakeCourier) -> None:
    """An alias may lead there though the sender knew nothing of it."""
    async with FakeMailServer(extensions=["SMTPUTF8"]) as mx1:
        await make_courier(ALONE, mx1.port).deliver(parcel("\u00e4@far.test", smtputf8=False))
        assert mx1.commands[1] == "MAIL FROM:<a@us.test> SMTPUTF8"
        mx1.extensions = []
        courier = make_courier(ALONE, mx1.port)
        assert told(await courier.deliver(parcel("\u00e4@far.test"))) == ["\u00e4@far.test failed 553"]
        assert mx1.count("MAIL") == 1


async def test_an_address_outside_ascii_keeps_nothing_from_the_others(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        report = await make_courier(ALONE, mx1.port).deliver(
            parcel("b@far.test", "\u00e4@far.test", "c@far.test", smtputf8=True)
        )
    assert sorted(told(report)) == [
        "b@far.test delivered 250",
        "c@far.test delivered 250",
        "\u00e4@far.test failed 553",
    ]
    assert [got.recipients for got in mx1.messages] == [["b@far.test", "c@far.test"]]


async def test_another_host_may_take_what_the_first_cannot(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=[]) as mx1:
        mx2 = await second(mx1)
        report = await make_courier(ZONE, mx1.port).deliver(
            parcel("b@far.test", content=EIGHT, body="8BITMIME")
        )
        await mx2.stop()
    assert told(report) == ["b@far.test delivered 250"]
    assert len(mx2.messages) == 1


async def test_a_host_that_is_away_may_take_what_the_other_cannot(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=[]) as mx1:
        report = await make_courier(ZONE, mx1.port).deliver(
            parcel("b@far.test", content=EIGHT, body="8BITMIME")
        )
    assert report.deliveries[0].disposition is Disposition.DEFERRED


async def test_a_large_message_arrives_whole_both_ways(make_courier: MakeCourier) -> None:
    content = b"Subject: large\r\n\r\n" + b"line of text\r\n.dot\r\n" * 20_000
    for extensions in (["PIPELINING"], ["PIPELINING", "CHUNKING"]):
        async with FakeMailServer(extensions=extensions) as mx1:
            report = await make_courier(ZONE, mx1.port).deliver(parcel("b@far.test", content=content))
        assert told(report) == ["b@far.test delivered 250"]
        assert mx1.messages[0].content == content
        assert mx1.count("BDAT") == ("CHUNKING" in extensions)


# --- smarthost ---------------------------------------------------------------------------------------------


async def test_everything_goes_through_the_relay_with_login(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=["AUTH PLAIN"]) as relay:
        courier = make_courier(ZONE, 1, relay=f"smtp://me:p%40ss@127.0.0.1:{relay.port}")
        report = await courier.deliver(parcel("b@null.test"))
    assert told(report) == ["b@null.test delivered 250"]
    assert "AUTH PLAIN AG1lAHBAc3M=" in relay.commands


async def test_a_wrong_password_at_the_relay_bounces_nothing(make_courier: MakeCourier) -> None:
    async with FakeMailServer(extensions=["AUTH PLAIN"]) as relay:
        relay.say("AUTH", "535 5.7.8 wrong")
        courier = make_courier(ZONE, 1, relay=f"smtp://me:wrong@127.0.0.1:{relay.port}")
        report = await courier.deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test deferred 451"]
    assert "535" in report.deliveries[0].reply.text


async def test_a_relay_must_prove_itself_before_it_gets_the_password(
    make_courier: MakeCourier, far_tls: ssl.SSLContext
) -> None:
    zone = "relay.test. A 127.0.0.1"
    async with FakeMailServer(extensions=["AUTH PLAIN"], tls=far_tls) as relay:
        courier = make_courier(zone, 1, relay=f"smtp://me:secret@relay.test:{relay.port}")
        report = await courier.deliver(parcel("b@far.test"))
        assert told(report) == ["b@far.test deferred 454"]
        assert relay.count("AUTH") == 0
        courier = make_courier(zone, 1, relay=f"smtp://me:secret@relay.test:{relay.port}?tls=any")
        report = await courier.deliver(parcel("b@far.test"))
    assert told(report) == ["b@far.test delivered 250"]
    assert relay.messages[0].tls


async def test_a_backup_hands_on_to_the_primary_not_to_the_relay(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE, mx1.port, relay="smtp://127.0.0.9:1")
        report = await courier.deliver(parcel("b@far.test", backup=True))
    assert told(report) == ["b@far.test delivered 250"]


async def test_a_source_address_decides_the_families(make_courier: MakeCourier) -> None:
    zone = "dual.test. MX 1 mx.dual.test.\nmx.dual.test. A 192.0.2.1\nmx.dual.test. AAAA 2001:db8::1"
    for source, addresses in (("192.0.2.9",), ("192.0.2.1",)), (("[2001:db8::9]",), ("2001:db8::1",)):
        route = await make_courier(zone, 25, source=source).route("dual.test")
        assert route.hosts[0].addresses == addresses


async def test_mail_leaves_from_the_source_address(make_courier: MakeCourier) -> None:
    async with FakeMailServer() as mx1:
        courier = make_courier(ZONE, mx1.port, source=("127.0.0.5",))
        route = await courier.route("far.test")
        target = courier.target(route.hosts[0], "127.0.0.1", await courier.policy(route, route.hosts[0]))
        session = await courier.open(target, "t")
        assert session.from_address == "127.0.0.5"
        await session.close()
