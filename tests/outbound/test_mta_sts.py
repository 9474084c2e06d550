"""MTA-STS when sending: who is refused, who gets the mail, and that a policy which is kept outlives its site."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
import trustme

from posthouse.config import Outbound
from posthouse.limits import MTA_STS_FRESH, MTA_STS_RETRY, TLS_REASON
from posthouse.msgauth.mta_sts import PolicyUnread, StsPolicy, parse_sts_policy, policy_id
from posthouse.msgauth.tls_report_writer import TlsPeriod, TlsSeen, write_tls_report
from posthouse.outbound import mta_sts
from posthouse.outbound.attempt import Courier, Report
from posthouse.outbound.mta_sts import MtaSts
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.tls_policy import TlsContexts
from posthouse.store.derive import derive
from posthouse.store.sqlite import SqliteStore
from tests.fakes.mail_server import FakeMailServer
from tests.fakes.resolver import FakeResolver
from tests.operations.test_mta_sts import Site, plain
from tests.outbound.conftest import MESSAGE, parcel

ZONE = """
far.test. MX 10 mx1.far.test.
mx1.far.test. A 127.0.0.1
_mta-sts.far.test. TXT "v=STSv1; id=1"
"""
ENFORCE = "version: STSv1\nmode: enforce\nmx: mx1.far.test\nmax_age: 604800\n"


@dataclass
class World:
    """A sender, the policy that far.test publishes, and the authority that everybody believes."""

    store: SqliteStore
    authority: trustme.CA = field(default_factory=trustme.CA)
    resolver: FakeResolver = field(default_factory=lambda: FakeResolver(ZONE))
    policy: str = ENFORCE
    """Empty: the site cannot be read."""
    now: float = field(default_factory=time.time)
    """The store ends memos by its own clock."""
    reads: int = 0
    seen: list[TlsSeen] = field(default_factory=list)

    async def read(self, domain: str) -> StsPolicy:
        self.reads += 1
        if not self.policy:
            raise PolicyUnread(f"{domain} is away")
        return parse_sts_policy(self.policy)

    def sts(self) -> MtaSts:
        """As after a restart."""
        return MtaSts(self.store, self.resolver, self.read, lambda: self.now)

    def certificate(self, *names: str, authority: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (authority or self.authority).issue_cert(*names).configure_cert(context)
        return context

    async def deliver(self, server: FakeMailServer, content: bytes = MESSAGE) -> Report:
        contexts = TlsContexts()
        believing = ssl.create_default_context()
        self.authority.configure_trust(believing)
        contexts._contexts[True] = believing
        courier = Courier(
            Outbound(port=server.port),
            hostname="mx.us.test",
            resolver=self.resolver,
            ourselves=Ourselves(["mx.us.test"]),
            policies=self.sts(),
            contexts=contexts,
            random=Random(1),
            tell=lambda _, seen: self.seen.append(seen),
        )
        try:
            return await courier.deliver(parcel("b@far.test", content=content))
        finally:
            await courier.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    yield World(store)
    await store.close()


def end(report: Report) -> tuple[str, str]:
    """(what became of it, the status in our or its words)."""
    [one] = report.deliveries
    return one.disposition.value, one.reply.enhanced


async def test_a_named_host_with_a_good_certificate_gets_it(world: World) -> None:
    async with FakeMailServer(tls=world.certificate("mx1.far.test")) as server:
        report = await world.deliver(server)
    assert end(report)[0] == "delivered"
    assert server.messages[0].tls
    assert world.seen == [TlsSeen(policy=tuple(ENFORCE.splitlines()))]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("another name", "certificate-host-mismatch"),
        ("nobody's", "certificate-not-trusted"),
        ("no TLS", "starttls-not-supported"),
        ("broken TLS", "validation-failure"),
    ],
)
async def test_without_good_tls_nothing_is_sent(world: World, kind: str, word: str) -> None:
    """RFC 8461 §5: enforce; and what the report says of it (RFC 8460 §4.3)."""
    contexts = {
        "another name": world.certificate("mx2.far.test"),
        "nobody's": world.certificate("mx1.far.test", authority=trustme.CA()),
    }
    server = FakeMailServer(tls=contexts.get(kind))
    if kind == "broken TLS":
        server.extensions = ["STARTTLS"]
        server.say("STARTTLS", "220 go on\n500 this is no TLS")
    async with server:
        report = await world.deliver(server)
    assert end(report)[0] == "deferred"
    assert server.messages == []
    assert server.count("MAIL") == 0, "not even the sender is told"
    assert [one.result for one in world.seen] == [word]


async def test_a_host_that_the_policy_does_not_name_is_not_even_connected_to(world: World) -> None:
    world.policy = ENFORCE.replace("mx1.far", "mx9.far")
    async with FakeMailServer(tls=world.certificate("mx1.far.test")) as server:
        report = await world.deliver(server)
    assert end(report) == ("deferred", "4.7.5")
    assert "does not name mx1.far.test" in report.deliveries[0].reply.text
    assert [(one.policy, one.result, one.mx) for one in world.seen] == [
        (tuple(world.policy.splitlines()), "validation-failure", "mx1.far.test")
    ]
    assert server.connections == 0


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        (b"TLS-Required: No\r\n", "delivered"),
        (b"tls-required:\r\n no\r\n", "delivered"),
        (b"TLS-Required: Yes\r\n", "deferred"),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", "deferred"),
        (b"Subject: x\r\n\r\nTLS-Required: No\r\n", "deferred"),
        (b"X: " + b"x" * 100_000 + b"\r\nTLS-Required: No\r\n", "delivered"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
async def test_a_message_may_ask_to_go_without_regard_to_tls(
    world: World, fields: bytes, outcome: str, named: bool
) -> None:
    """RFC 8689 §3: a report of broken TLS reaches whom it tells of it, still encrypted where that can be."""
    if not named:
        world.policy = ENFORCE.replace("mx1.far", "mx9.far")
    async with FakeMailServer(tls=world.certificate("mx2.far.test")) as server:
        report = await world.deliver(server, fields + MESSAGE)
    assert end(report)[0] == outcome
    assert [got.tls for got in server.messages] == ([True] if outcome == "delivered" else [])


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("good", ""),
        ("another name", "certificate-host-mismatch"),
        ("nobody's", "certificate-not-trusted"),
        ("no TLS", "starttls-not-supported"),
        ("not in the policy", "validation-failure"),
    ],
)
async def test_a_policy_that_is_tested_keeps_nothing_back_and_is_reported(
    world: World, kind: str, word: str
) -> None:
    """RFC 8461 §5, RFC 8460 §4.3: under the policy, not as if there were none."""
    world.policy = ENFORCE.replace("enforce", "testing")
    if kind == "not in the policy":
        world.policy = world.policy.replace("mx1.far", "mx9.far")
    contexts = {
        "another name": world.certificate("mx2.far.test"),
        "nobody's": world.certificate("mx1.far.test", authority=trustme.CA()),
    }
    good = world.certificate("mx1.far.test")
    server = FakeMailServer(tls=None if kind == "no TLS" else contexts.get(kind, good))
    async with server:
        report = await world.deliver(server)
    assert end(report)[0] == "delivered"
    assert server.messages[0].tls == (kind != "no TLS"), "a bad certificate is better than clear text"
    [seen] = world.seen
    assert (seen.policy, seen.dane, seen.result) == (tuple(world.policy.splitlines()), False, word)
    if kind == "not in the policy":
        assert seen.reason == "the MTA-STS policy of far.test does not name mx1.far.test"


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_only_enforce_changes_what_we_do(world: World, mode: str) -> None:
    world.policy = ENFORCE.replace("enforce", mode).replace("mx1.far", "mx9.far")
    async with FakeMailServer() as server:
        assert end(await world.deliver(server))[0] == "delivered"


async def test_without_a_record_nobody_is_asked(world: World) -> None:
    world.resolver = FakeResolver(ZONE.replace("STSv1", "STSv9"))
    assert await world.sts().policy("far.test") is None
    assert world.reads == 0


@pytest.mark.parametrize("loss", ["record", "dns", "site", "site and another id"])
async def test_what_is_kept_holds_until_its_end(world: World, loss: str) -> None:
    """RFC 8461 §3.3, §10.2: who can hide record or site must not be able to strip the policy; nor may a restart."""
    assert await world.sts().policy("far.test") is not None
    world.now += 100
    zones = {
        "record": ZONE.replace("_mta-sts", "_no"),
        "dns": ZONE + "_mta-sts.far.test. FAIL\n",
        "site and another id": ZONE.replace("id=1", "id=2"),
    }
    world.resolver = FakeResolver(zones.get(loss, ZONE))
    world.policy = ""
    found = await world.sts().policy("far.test")
    assert found is not None
    assert found.allows("mx1.far.test")
    world.now += 604_800
    assert await world.sts().policy("far.test") is None


async def test_another_id_is_read_at_once_and_the_same_once_a_day(world: World) -> None:
    sts = world.sts()
    for _ in range(3):
        await sts.policy("far.test")
    assert world.reads == 1
    world.resolver = sts._resolver = FakeResolver(ZONE.replace("id=1", "id=2"))
    world.policy = ENFORCE.replace("mx1", "*")
    found = await sts.policy("far.test")
    assert found is not None
    assert found.mx == ("*.far.test",)
    assert world.reads == 2
    world.now += MTA_STS_FRESH
    await sts.policy("far.test")
    assert world.reads == 3


async def test_a_site_that_is_away_is_not_pestered(world: World) -> None:
    world.policy = ""
    sts = world.sts()
    for _ in range(3):
        assert await sts.policy("far.test") is None
    assert world.reads == 1
    world.now += MTA_STS_RETRY
    world.policy = ENFORCE
    assert await sts.policy("far.test") is not None


async def test_the_policy_comes_over_https(world: World) -> None:
    """The real reader, a real site."""
    site = Site()
    site.names = ["mta-sts.far.test"]
    site.answer = plain(ENFORCE)
    world.resolver.add("mta-sts.far.test. A 127.0.0.1")
    async with site.open() as reader:
        reader._resolver = world.resolver
        sts = MtaSts(world.store, world.resolver, reader.read, lambda: world.now)
        found = await sts.policy("far.test")
    assert found is not None
    assert found.lines == tuple(ENFORCE.splitlines())


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=a;x=y"], "a"),
        (["spam", "v=STSv1; id=a"], "a"),
        (["v=STSv1; id=a", "v=STSv1; id=b"], ""),
        (["v=STSv1; id=a-b"], ""),
        (["v=STSv1; id=" + "a" * 33], ""),
        (["v=STSv1"], ""),
        (["v=STSv10; id=a"], ""),
        ([], ""),
    ],
)
def test_the_record(texts: list[str], number: str) -> None:
    """RFC 8461 §3.1."""
    assert policy_id(texts) == number


def test_the_report_tells_each_policy_apart() -> None:
    """RFC 8460 §4.4."""
    lines = tuple(ENFORCE.splitlines())
    period = TlsPeriod(hostname="mx.us.test", domain="far.test", report_id="1", begin=0, end=86399)
    seen = [
        (2, TlsSeen()),
        (3, TlsSeen(policy=lines)),
        (1, TlsSeen(policy=lines, result="certificate-expired")),
    ]
    none, sts = write_tls_report(period, seen)["policies"]
    assert none["policy"]["policy-type"] == "no-policy-found"
    assert none["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 0}
    assert sts["policy"] == {
        "policy-type": "sts",
        "policy-domain": "far.test",
        "policy-string": list(lines),
        "mx-host": ["mx1.far.test"],
    }
    assert sts["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 1}


async def test_a_policy_holds_no_longer_than_any_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mta_sts, "MTA_STS_LONGEST", 1000)  # its own max_age is a week
    assert await world.sts().policy("far.test") is not None
    world.policy = ""
    sts = world.sts()
    world.now += 999
    assert await sts.policy("far.test") is not None
    world.now += 2
    assert await sts.policy("far.test") is None


async def test_what_is_remembered_of_policies_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mta_sts, "MTA_STS_CACHED", 2)
    sts = world.sts()
    for number in range(5):
        world.resolver.add(f'_mta-sts.d{number}.test. TXT "v=STSv1; id=1"')
        assert await sts.policy(f"d{number}.test") is not None
    world.policy = ""
    for number in range(5, 10):
        world.resolver.add(f'_mta-sts.d{number}.test. TXT "v=STSv1; id=1"')
        assert await sts.policy(f"d{number}.test") is None
    assert (len(sts._kept), len(sts._failed)) == (2, 2)
    assert await sts.policy("d0.test") is not None, "what was forgotten is in the store"


async def test_a_reason_that_is_counted_has_a_length(world: World) -> None:
    """Who gives each host another long name makes no longer rows of it."""
    name = ".".join(["x" * 60] * 3) + ".test"
    world.resolver = FakeResolver(
        f'far.test. MX 10 {name}.\n{name}. A 127.0.0.1\n_mta-sts.far.test. TXT "v=STSv1; id=1"'
    )
    async with FakeMailServer() as server:
        assert end(await world.deliver(server))[0] == "deferred"
    assert [len(seen.reason) for seen in world.seen] == [TLS_REASON]
