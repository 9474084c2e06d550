"""DANE from the packets of a name server to a host's certificate: what is proved, what `trace` says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from posthouse import limits
from posthouse.config import Dns, Outbound
from posthouse.dns_resolver import DnsResolver
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dane import Dane
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.tls_policy import Opportunistic
from posthouse.outbound.trace import Tracer
from posthouse.smtp.replies import Reply
from tests.fakes.mail_server import FakeMailServer
from tests.fakes.name_server import FakeNameServer, answer
from tests.outbound.conftest import parcel
from tests.outbound.office import Office
from tests.outbound.test_dane import World, of_key, of_whole, sha256

Trace = Callable[[], Awaitable[list[str]]]


class Names:
    """A validating resolver on loopback: `proved` says for which questions it sets AD, `failing` where it cannot."""

    def __init__(self) -> None:
        self.records = {
            ("far.test", "MX"): ["far.test. 60 IN MX 10 mx1.far.test."],
            ("mx1.far.test", "A"): ["mx1.far.test. 60 IN A 127.0.0.1"],
        }
        self.proved: Callable[[str, str], bool] = lambda name, kind: True
        self.failing: set[str] = set()

    def reply(self, query: dns.message.Message, how: str) -> list[bytes]:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        if kind in self.failing:
            return [answer(query, rcode=dns.rcode.SERVFAIL)]
        authority = ("far.test. 60 IN SOA ns.far.test. x.far.test. 1 60 60 60 60",)
        found = self.records.get((name, kind), [])
        flags = dns.flags.AD if self.proved(name, kind) else 0
        return [answer(query, *found, authority=() if found else authority, flags=flags)]


class Scene:
    """A host with TLS, its records in the DNS, and a tracer."""

    def __init__(
        self, world: World, names: Names, far: FakeMailServer, courier: Courier, tracer: Tracer
    ) -> None:
        self.world = world
        self.names = names
        self.far = far
        self.courier = courier
        self._tracer = tracer

    def publish(self, *records: str) -> None:
        name = f"_{self.far.port}._tcp.mx1.far.test"
        self.names.records[name, "TLSA"] = [f"{name}. 60 IN TLSA {one}" for one in records]

    async def deliver(self) -> str:
        [one] = (await self.courier.deliver(parcel("b@far.test"))).deliveries
        return one.disposition.value

    async def trace(self) -> list[str]:
        return [step.text.strip() async for step in self._tracer.trace(address="b@far.test")]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    world, names = World(), Names()
    async with FakeNameServer(names.reply) as dns_server, world.server() as far:
        office = await Office.open(tmp_path, "", far.port)
        resolver = DnsResolver(Dns(servers=(dns_server.at,), timeout=5))
        courier = Courier(
            Outbound(port=far.port),
            hostname="mx.us.test",
            resolver=resolver,
            ourselves=Ourselves(["mx.us.test"]),
            policies=Dane(resolver, Opportunistic(), port=far.port),
            random=Random(1),
        )

        async def deliver(address: str, probe: bytes) -> Reply:
            raise AssertionError("nothing is for us")

        async def origin(address: str) -> str:
            raise AssertionError("nothing was sent on")

        tracer = Tracer(
            *(office.directory, courier, deliver, origin), clock=office.clock, new_id=lambda _: "id1"
        )
        yield Scene(world, names, far, courier, tracer)
        await courier.close()
        await office.close()


async def test_records_that_are_proved_and_fit(scene: Scene) -> None:
    record = f"3 1 1 {sha256(of_key(scene.world.leaf))}"
    scene.publish(record)
    assert await scene.deliver() == "delivered"
    told = await scene.trace()
    assert "MX 10 mx1.far.test: 127.0.0.1 (proved by DNSSEC)" in told
    assert "mx1.far.test: TLS dane" in told
    assert f"TLSA of mx1.far.test: {record}" in told
    assert any(
        line.startswith("-: TLS: TLSv1.3") and line.endswith("as its TLSA records say") for line in told
    )
    assert told[-1].endswith("would take it")


async def test_records_that_do_not_fit_are_shown_with_the_reason(scene: Scene) -> None:
    scene.publish("3 1 1 " + "00" * 32)
    assert await scene.deliver() == "deferred"
    told = await scene.trace()
    assert "TLSA of mx1.far.test: 3 1 1 " + "00" * 32 in told
    assert told[-1].startswith("not now: 454 4.7.5 ")
    assert "the certificate is none of those in its TLSA records" in told[-1]
    assert scene.far.count("MAIL") == 0


async def test_a_page_of_records_is_cut(scene: Scene) -> None:
    whole = f"2 0 0 {of_whole(scene.world.anchor).hex()}"
    scene.publish(whole, *(f"3 1 1 {number:064x}" for number in range(limits.TRACE_POLICY_LINES + 3)))
    told = [line for line in await scene.trace() if line.startswith("TLSA of ")]
    assert len(told) == limits.TRACE_POLICY_LINES
    assert f"TLSA of mx1.far.test: {whole[: limits.TRACE_POLICY_LINE]}…" in told


@pytest.mark.parametrize("unproved", ["MX", "A", "AAAA", "TLSA"])
async def test_one_answer_without_ad_and_the_records_do_not_count(scene: Scene, unproved: str) -> None:
    """RFC 7672 §2.2: every step that leads to the records must be proved."""
    scene.publish("3 1 1 " + "00" * 32)
    scene.names.proved = lambda name, kind: kind != unproved
    assert await scene.deliver() == "delivered"
    assert "mx1.far.test: TLS opportunistic" in await scene.trace()


async def test_a_proved_denial_is_opportunistic(scene: Scene) -> None:
    assert await scene.deliver() == "delivered"
    assert "mx1.far.test: TLS opportunistic" in await scene.trace()


@pytest.mark.parametrize("failing", ["MX", "TLSA"])
async def test_what_a_validator_refuses_to_show_keeps_the_mail(scene: Scene, failing: str) -> None:
    """RFC 7672 §2.1.1: SERVFAIL is how a forged answer looks behind it."""
    scene.publish("3 1 1 " + "00" * 32)
    scene.names.failing = {failing}
    assert await scene.deliver() == "deferred"
    assert scene.far.connections == 0
    assert any("cannot be looked up now" in line for line in await scene.trace())
