"""`trace`: every step of a route, over real name servers and real mail servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from posthouse import limits
from posthouse.config import Dns, Outbound
from posthouse.dns_resolver import DnsResolver
from posthouse.outbound.attempt import Courier
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.trace import Step, Tracer
from posthouse.playground.name_server import NameServer
from posthouse.playground.zones import Zones
from posthouse.smtp.replies import Reply
from posthouse.store.interface import PutAccount, PutAlias
from posthouse.store.model import Alias
from tests.fakes.mail_server import FakeMailServer
from tests.outbound.office import Office


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    zones = Zones()
    zones.put("far", "@ MX 10 mx1.far.test.\n@ MX 20 mx2.far.test.\nmx1 A 127.0.0.1\nmx2 A 127.0.0.2\n")
    zones.put("null", "@ MX 0 .\n")
    for _ in range(20):  # the port that is free for one of its sockets may be taken for another
        server = NameServer(zones, 0)
        try:
            await server.start()
            break
        except OSError:
            await server.stop()
    yield server
    await server.stop()


@pytest.fixture
async def far(far_tls: ssl.SSLContext) -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer(tls=far_tls) as server:
        server.say("RCPT TO:<no@", "550 5.1.1 unknown")
        yield server


@pytest.fixture
async def office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[Office]:
    office = await Office.open(tmp_path, "", far.port)
    await office.backup_for("theirs.test")
    await office.store.apply(
        PutAlias(alias=Alias(address="all@us.test", targets=("a@us.test", "b@far.test")))
    )
    yield office
    await office.close()


@pytest.fixture
async def tracer(office: Office, names: NameServer, far: FakeMailServer) -> AsyncIterator[Tracer]:
    courier = Courier(
        Outbound(port=far.port),
        hostname="mx.us.test",
        resolver=DnsResolver(Dns(servers=(f"127.0.0.1:{names.port}",))),
        ourselves=Ourselves(["mx.us.test"]),
        random=Random(1),
    )

    async def deliver(address: str, probe: bytes) -> Reply:
        assert b"Subject: Probe of the mail route\r\n" in probe
        return Reply(250, "2.0.0", f"Delivered to {address}")

    async def origin(address: str) -> str | Reply:
        return "who@far.test" if address.startswith("srs0=good") else Reply(550, "5.1.1", "not ours")

    yield Tracer(office.directory, courier, deliver, origin, clock=office.clock, new_id=lambda _: "id1")
    await courier.close()


async def steps(tracer: Tracer, address: str, *, send: bool = False) -> list[Step]:
    return [step async for step in tracer.trace(address=address, send=send)]


def texts(found: list[Step], kind: str) -> list[str]:
    return [step.text.strip() for step in found if step.kind == kind]


async def test_the_whole_route(tracer: Tracer, names: NameServer, far: FakeMailServer) -> None:
    found = await steps(tracer, "b@far.test")
    port = names.port
    assert texts(found, "who") == ["b@far.test is not ours: its mail hosts are looked up"]
    walked = texts(found, "dns")
    assert walked[0] == f"127.0.0.1:{port} (for .): test is served by test.ns.test"
    assert walked[1] == f"127.0.0.2:{port} (for test): far.test is served by far-test.ns.test"
    assert walked[2].startswith(f"127.0.0.3:{port} (for far.test): far.test MX 10 mx1.far.test.")
    assert texts(found, "mx") == ["MX 10 mx1.far.test: 127.0.0.1", "MX 20 mx2.far.test: 127.0.0.2"]
    assert texts(found, "policy") == ["mx1.far.test: TLS opportunistic"]
    talk = texts(found, "talk")
    assert talk[:3] == [
        f"connecting to mx1.far.test[127.0.0.1]:{far.port}",
        "S: 220 mx.far.test ESMTP",
        "C: EHLO mx.us.test",
    ]
    assert "S: 250-PIPELINING" in talk
    assert "C: MAIL FROM:<> SIZE=0" in talk
    assert "S: 250 2.1.5 ok" in talk
    tls = texts(found, "tls")
    assert tls[0].startswith("-: TLS: TLSv1.3 ")
    assert tls[1].startswith("-: certificate not verified: ")
    assert "self" in tls[1]
    assert (found[-1].kind, found[-1].ok) == ("end", True)
    assert far.count("DATA") == 0
    assert far.messages == []


async def test_send_delivers_a_probe(tracer: Tracer, far: FakeMailServer) -> None:
    found = await steps(tracer, "b@far.test", send=True)
    (probe,) = far.messages
    assert probe.sender == ""
    assert b"Auto-Submitted: auto-generated\r\n" in probe.content
    assert "took the probe: 250 2.0.0 queued" in found[-1].text


async def test_a_refusal_is_the_end(tracer: Tracer) -> None:
    found = await steps(tracer, "no@far.test")
    assert not found[-1].ok
    assert "refuses it: 550 5.1.1 unknown" in found[-1].text


async def test_the_next_host_is_tried(tracer: Tracer, far: FakeMailServer) -> None:
    far.say("CONNECT", "421 too busy")
    async with FakeMailServer(address="127.0.0.2", port=far.port) as mx2:
        found = await steps(tracer, "b@far.test")
    assert mx2.count("RCPT") == 1
    assert any(not step.ok and "421 too busy" in step.text for step in found)
    assert found[-1].ok


async def test_nobody_there(tracer: Tracer, far: FakeMailServer) -> None:
    await far.stop()
    found = await steps(tracer, "b@far.test")
    assert not found[-1].ok
    assert found[-1].text.startswith("not now: 451 4.4.1")


@pytest.mark.parametrize(
    ("address", "end"),
    [("b@null.test", "556 5.1.10 "), ("b@nowhere.test", "550 5.1.2 "), ("b@theirs.test", "550 5.1.2 ")],
)
async def test_no_route(tracer: Tracer, address: str, end: str) -> None:
    found = await steps(tracer, address)
    assert not found[-1].ok
    assert found[-1].text.startswith(end)


@pytest.mark.parametrize(
    ("address", "who", "ok"),
    [
        ("a@us.test", "a@us.test is a mailbox here, of the account a@us.test", True),
        ("x@us.test", "x@us.test is in a domain of ours, but nobody has this address", False),
    ],
)
async def test_an_address_of_ours_needs_no_dns(tracer: Tracer, address: str, who: str, ok: bool) -> None:
    found = await steps(tracer, address)
    assert texts(found, "who") == [who]
    assert texts(found, "dns") == []
    assert found[-1].ok is ok


async def test_an_alias_is_followed_to_every_final_address(tracer: Tracer) -> None:
    found = await steps(tracer, "all@us.test")
    assert texts(found, "who") == [
        "all@us.test is an alias here, for a@us.test, b@far.test",
        "a@us.test is a mailbox here, of the account a@us.test",
        "b@far.test is not ours: its mail hosts are looked up",
    ]
    assert "C: RCPT TO:<b@far.test>" in texts(found, "talk")
    assert texts(found, "end")[-1] == "it would get to 2 addresses"
    assert found[-1].ok


async def test_what_an_alias_does_not_reach_is_the_end(office: Office, tracer: Tracer) -> None:
    await office.store.apply(
        PutAlias(alias=Alias(address="some@us.test", targets=("no@far.test", "a@us.test")))
    )
    found = await steps(tracer, "some@us.test")
    assert texts(found, "end")[-1] == "it does not get to no@far.test"
    assert not found[-1].ok, "though the last address would be reached"


async def test_an_alias_that_comes_back_to_itself_leads_nowhere(office: Office, tracer: Tracer) -> None:
    await office.store.apply(PutAlias(alias=Alias(address="loop@us.test", targets=("loop@us.test",))))
    found = await steps(tracer, "loop@us.test")
    assert texts(found, "end") == ["loop@us.test leads nowhere, its aliases go in a circle: 550 5.1.1"]
    assert not found[-1].ok


async def test_of_many_targets_only_some_are_looked_at(office: Office, tracer: Tracer) -> None:
    targets = tuple(f"x{number}@us.test" for number in range(limits.TRACE_TARGETS + 3))
    await office.store.apply(PutAlias(alias=Alias(address="many@us.test", targets=targets)))
    found = await steps(tracer, "many@us.test")
    assert len(texts(found, "end")) == limits.TRACE_TARGETS + 1
    assert "3 more addresses are not looked at" in texts(found, "who")


async def test_a_disabled_mailbox_takes_nothing(office: Office, tracer: Tracer) -> None:
    account = (await office.directory.destination("a@us.test")).account
    assert account is not None
    disabled = msgspec.structs.replace(account, disabled=True)
    await office.store.apply(PutAccount(account=disabled))
    found = await steps(tracer, "a@us.test")
    assert texts(found, "end") == ["a@us.test is disabled: 550 5.2.1"]


async def test_a_probe_to_ourselves_goes_through_our_own_door(tracer: Tracer) -> None:
    found = await steps(tracer, "a@us.test", send=True)
    assert found[-1].text == "probe: 250 2.0.0 Delivered to a@us.test"


async def test_what_is_no_address_is_refused(tracer: Tracer) -> None:
    with pytest.raises(ValueError, match="address"):
        await steps(tracer, "nonsense")


async def test_a_host_that_says_nothing_is_not_waited_for(
    tracer: Tracer, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRACE_HOST", 0.1)
    far.say("CONNECT", None)
    async with asyncio.timeout(3):
        found = await steps(tracer, "b@far.test")
    assert "it took too long" in " ".join(step.text for step in found)


async def test_what_was_sent_on_is_followed_back_to_its_sender(tracer: Tracer) -> None:
    found = await steps(tracer, "SRS0=good@us.test")
    assert texts(found, "who") == [
        "srs0=good@us.test is for what comes back to mail that was sent on (SRS)",
        "who@far.test is not ours: its mail hosts are looked up",
    ]
    assert "C: RCPT TO:<who@far.test>" in texts(found, "talk")
    bad = await steps(tracer, "SRS0=bad@us.test")
    assert not bad[-1].ok and bad[-1].text == "srs0=bad@us.test: 550 5.1.1 not ours"
