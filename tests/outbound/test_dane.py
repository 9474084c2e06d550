"""DANE when sending (RFC 7672): what TLSA records that DNSSEC proves demand of a host, and what others do not."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.config import Outbound
from posthouse.errors import Temporary
from posthouse.msgauth.tls_report_writer import TlsPeriod, TlsSeen, write_tls_report
from posthouse.msgauth.tlsa import Tlsa, mismatch, parse_tlsa, to_match
from posthouse.outbound import dane
from posthouse.outbound.attempt import Courier, Report
from posthouse.outbound.dane import Dane
from posthouse.outbound.mx import Host, Route, select_hosts
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.tls_policy import HostUntrusted, Opportunistic, TlsPolicy
from posthouse.smtp.client_states import TlsUse
from tests.fakes.mail_server import FakeMailServer
from tests.fakes.resolver import FakeResolver
from tests.outbound.conftest import parcel

ZONE = "far.test. MX 10 mx1.far.test.\nmx1.far.test. A 127.0.0.1\n"
Make = Callable[[x509.Certificate], str]


def of_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def of_whole(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class World:
    """A sender, and the certificate that mx1.far.test shows, by an authority that nobody else knows."""

    def __init__(self, *names: str) -> None:
        self.authority = trustme.CA()
        self.issued = self.authority.issue_cert(*(names or ("mx1.far.test",)))
        self.seen: list[TlsSeen] = []
        self.zone = ZONE
        self.secure = ["far.test"]

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.issued.cert_chain_pems[0].bytes())

    @property
    def anchor(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())

    def server(self, *, with_anchor: bool = True) -> FakeMailServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issued.configure_cert(context)
        if with_anchor:  # RFC 7672 §3.1.2: such servers send it along
            both = b"".join([each.bytes() for each in self.issued.cert_chain_pems])
            with trustme.Blob(
                self.issued.private_key_pem.bytes() + both + self.authority.cert_pem.bytes()
            ).tempfile() as path:
                context.load_cert_chain(path)
        return FakeMailServer(tls=context)

    async def deliver(self, server: FakeMailServer, *records: str) -> Report:
        zone = self.zone + "".join(f"_{server.port}._tcp.mx1.far.test. TLSA {one}\n" for one in records)
        resolver = FakeResolver(zone, secure=self.secure)
        courier = Courier(
            Outbound(port=server.port),
            hostname="mx.us.test",
            resolver=resolver,
            ourselves=Ourselves(["mx.us.test"]),
            policies=Dane(resolver, Opportunistic(), port=server.port),
            random=Random(1),
            tell=lambda _, seen: self.seen.append(seen),
        )
        try:
            return await courier.deliver(parcel("b@far.test"))
        finally:
            await courier.close()


@pytest.fixture
def world() -> World:
    return World()


def end(report: Report) -> tuple[str, str]:
    [one] = report.deliveries
    return one.disposition.value, one.reply.text


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha512(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


MATCHES: list[tuple[str, Callable[[World], list[str]]]] = [
    ("3 1 1", lambda w: [f"3 1 1 {sha256(of_key(w.leaf))}"]),
    ("3 0 1", lambda w: [f"3 0 1 {sha256(of_whole(w.leaf))}"]),
    ("3 1 2", lambda w: [f"3 1 2 {sha512(of_key(w.leaf))}"]),
    ("3 1 0", lambda w: [f"3 1 0 {of_key(w.leaf).hex()}"]),
    ("3 0 0", lambda w: [f"3 0 0 {of_whole(w.leaf).hex()}"]),
    ("in pieces", lambda w: [f"3 1 1 {sha256(of_key(w.leaf))[:20]} {sha256(of_key(w.leaf))[20:]}"]),
    ("2 0 1", lambda w: [f"2 0 1 {sha256(of_whole(w.anchor))}"]),
    ("2 1 1", lambda w: [f"2 1 1 {sha256(of_key(w.anchor))}"]),
    ("the next key beside", lambda w: [f"3 1 1 {'00' * 32}", f"3 1 1 {sha256(of_key(w.leaf))}"]),
    ("unusable ones beside", lambda w: ["1 1 1 " + "00" * 32, f"3 1 1 {sha256(of_key(w.leaf))}"]),
]


@pytest.mark.parametrize(("name", "make"), MATCHES, ids=[each[0] for each in MATCHES])
async def test_what_matches_gets_the_mail(
    world: World, name: str, make: Callable[[World], list[str]]
) -> None:
    records = make(world)
    async with world.server() as server:
        report = await world.deliver(server, *records)
    assert end(report)[0] == "delivered"
    assert server.messages[0].tls
    lines = tuple(str(parse_tlsa(one)) for one in records)
    assert world.seen == [TlsSeen(policy=lines, dane=True)]


MISMATCHES: list[tuple[str, Callable[[World], list[str]], str, str]] = [
    ("another key", lambda w: ["3 1 1 " + "00" * 32], "none of those", "validation-failure"),
    ("the authority as end entity", lambda w: [f"3 1 1 {sha256(of_key(w.anchor))}"], "none of", "validation-failure"),
    ("the end entity as authority", lambda w: [f"2 1 1 {sha256(of_key(w.leaf))}"], "no authori", "validation-failure"),
    ("another authority", lambda w: ["2 0 1 " + "00" * 32], "no authority", "validation-failure"),
    (
        "only the weaker digest",
        lambda w: [f"3 1 1 {sha256(of_key(w.leaf))}", "3 1 2 " + "00" * 64],
        "none of those",
        "validation-failure",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "why", "word"), MISMATCHES, ids=[each[0] for each in MISMATCHES])
async def test_what_does_not_match_waits(
    world: World, name: str, make: Callable[[World], list[str]], why: str, word: str
) -> None:
    """RFC 7672 §2.2: no mail, no clear text; and the report says so (RFC 8460 §4.3)."""
    async with world.server() as server:
        report = await world.deliver(server, *make(world))
    assert end(report)[0] == "deferred"
    assert "DANE" in end(report)[1]
    assert why in end(report)[1]
    assert server.count("MAIL") == 0
    assert server.connections == 1
    [seen] = world.seen
    assert (seen.dane, seen.result, seen.mx, seen.receiving_ip) == (True, word, "mx1.far.test", "127.0.0.1")


async def test_without_tls_nothing_is_sent(world: World) -> None:
    """RFC 7672 §2.2: TLSA records are a promise of STARTTLS, which whoever stands in the way might strip."""
    async with FakeMailServer() as server:
        report = await world.deliver(server, f"3 1 1 {sha256(of_key(world.leaf))}")
    assert end(report)[0] == "deferred"
    assert server.count("MAIL") == 0
    assert [(one.dane, one.result) for one in world.seen] == [(True, "starttls-not-supported")]


@pytest.mark.parametrize("names", [("far.test",), ("*.far.test",), ("mx1.far.test", "x.test")])
async def test_an_authority_s_certificate_names_the_host_or_the_domain(names: Sequence[str]) -> None:
    """RFC 7672 §3.2.2, §3.2.3."""
    world = World(*names)
    async with world.server() as server:
        report = await world.deliver(server, f"2 0 1 {sha256(of_whole(world.anchor))}")
    assert end(report)[0] == "delivered"


async def test_an_authority_s_certificate_for_another_name_will_not_do() -> None:
    world = World("mx2.far.test", "*.mx1.far.test")
    async with world.server() as server:
        report = await world.deliver(server, f"2 0 1 {sha256(of_whole(world.anchor))}")
        assert end(report)[0] == "deferred"
        assert [one.result for one in world.seen] == ["certificate-host-mismatch"]
        # RFC 7672 §3.1.1: bound to its name by the record itself, the same certificate is good.
        report = await world.deliver(server, f"3 1 1 {sha256(of_key(world.leaf))}")
        assert end(report)[0] == "delivered"


async def test_an_authority_that_is_not_sent_along_cannot_be_found(world: World) -> None:
    async with world.server(with_anchor=False) as server:
        report = await world.deliver(server, f"2 0 1 {sha256(of_whole(world.anchor))}")
    assert end(report)[0] == "deferred"


async def test_an_authority_that_stands_whole_in_the_record_need_not_be_sent(world: World) -> None:
    """RFC 6698 §2.1.1: it is a trust anchor like those that a system keeps."""
    async with world.server(with_anchor=False) as server:
        assert end(await world.deliver(server, f"2 0 0 {of_whole(world.anchor).hex()}"))[0] == "delivered"
        stranger = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
        assert end(await world.deliver(server, f"2 0 0 {of_whole(stranger).hex()}"))[0] == "deferred"
        assert end(await world.deliver(server, "2 0 0 3003616263"))[0] == "deferred"
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    "record", ["1 1 1 " + "00" * 32, "0 0 1 " + "00" * 32, "3 1 1 00", "3 9 1 00", "3 1 7 00"]
)
async def test_unusable_records_ask_for_tls_and_no_more(world: World, record: str) -> None:
    """RFC 7672 §2.2, second case."""
    async with world.server() as server:
        assert end(await world.deliver(server, record))[0] == "delivered"
    assert server.messages[0].tls
    async with FakeMailServer() as server:
        assert end(await world.deliver(server, record))[0] == "deferred"
    assert [one.result for one in world.seen] == ["tlsa-invalid", "starttls-not-supported"]


@pytest.mark.parametrize("secure", [[], ["mx1.far.test", "_tcp.mx1.far.test"]])
async def test_what_dnssec_does_not_prove_does_not_count(world: World, secure: list[str]) -> None:
    """Nothing is signed; or the host is, and not what makes it the domain's mail host (RFC 7672 §2.2.1)."""
    world.secure = secure
    async with FakeMailServer() as server:
        report = await world.deliver(server, "3 1 1 " + "00" * 32)
    assert end(report)[0] == "delivered"
    assert world.seen == [TlsSeen(result="starttls-not-supported", mx="mx1.far.test", receiving_ip="127.0.0.1",
                                  sending_ip="127.0.0.1")]  # fmt: skip


async def test_records_that_cannot_be_looked_up_keep_the_mail(world: World) -> None:
    """RFC 7672 §2.1.1: SERVFAIL is what a forged answer looks like behind a validating resolver."""
    async with world.server() as server:
        world.zone += f"_{server.port}._tcp.mx1.far.test. FAIL\n"
        report = await world.deliver(server)
    assert end(report)[0] == "deferred"
    assert "the TLSA records of mx1.far.test cannot be looked up now" in end(report)[1]
    assert server.connections == 0
    assert [(one.dane, one.result, one.mx) for one in world.seen] == [
        (True, "dnssec-invalid", "mx1.far.test")
    ]


async def test_another_host_may_do(world: World) -> None:
    world.zone = ZONE + "far.test. MX 5 mx0.far.test.\nmx0.far.test. A 127.0.0.1\n"
    async with world.server() as server:
        world.zone += f"_{server.port}._tcp.mx0.far.test. FAIL\n"
        report = await world.deliver(server, f"3 1 1 {sha256(of_key(world.leaf))}")
    assert end(report)[0] == "delivered"
    [why] = report.tried
    assert why.startswith("451 4.7.5 the TLSA records of mx0.far.test cannot be looked up now")


async def test_a_failing_question_for_the_other_family_is_no_way_around(world: World) -> None:
    """RFC 7672 §2.1.1: else a lost AAAA answer would switch DANE off."""
    world.zone = ZONE + "mx1.far.test. AAAA FAIL\n"
    async with world.server() as server:
        report = await world.deliver(server, "3 1 1 " + "00" * 32)
    assert end(report)[0] == "deferred"


# --- which records ------------------------------------------------------------------------------------------


async def policy(zone: str, host: Host, *, secure: Sequence[str], domain: str = "far.test") -> TlsPolicy:
    resolver = FakeResolver(zone, secure=secure)
    route: Route = await select_hosts(domain, resolver, Ourselves([]), random=Random(1))
    [found] = [one for one in route.hosts if one.name == host.name]
    return await Dane(resolver, Opportunistic(), port=25).for_host(route, found)


MX = Host(name="mx1.far.test", preference=10)
RECORD = "3 1 1 " + "ab" * 32
SHARED = ZONE + "_25._tcp.mx1.far.test. CNAME keys.far.test.\n"
ALIAS = "far.test. MX 10 mx1.far.test.\nmx1.far.test. CNAME real.net.test.\nreal.net.test. A 127.0.0.1\n"


@pytest.mark.parametrize(
    ("zone", "secure", "base"),
    [
        (ALIAS + f"_25._tcp.real.net.test. TLSA {RECORD}\n", ["far.test", "net.test"], "real.net.test"),
        (ALIAS + f"_25._tcp.mx1.far.test. TLSA {RECORD}\n", ["far.test", "net.test"], "mx1.far.test"),
        # The alias is signed, where it leads is not.
        (ALIAS + f"_25._tcp.mx1.far.test. TLSA {RECORD}\n", ["far.test"], "mx1.far.test"),
        (ALIAS + f"_25._tcp.real.net.test. TLSA {RECORD}\n", ["far.test"], ""),
        # The record itself is an alias: the name stays.
        (SHARED + f"keys.far.test. TLSA {RECORD}\n", ["far.test"], "mx1.far.test"),
        (SHARED.replace("keys.far", "keys.net") + f"keys.net.test. TLSA {RECORD}\n", ["far.test"], ""),
        (ZONE + f"_587._tcp.mx1.far.test. TLSA {RECORD}\n", ["far.test"], ""),
    ],
)  # fmt: skip
async def test_where_the_records_are_looked_for(zone: str, secure: list[str], base: str) -> None:
    """RFC 7672 §2.2.2, §2.2.3."""
    found = await policy(zone, MX, secure=secure)
    assert found.server_name == base
    if base:
        assert (found.use, found.names, found.fallback) == (TlsUse.REQUIRED, (base, "far.test"), None)


async def test_so_many_records_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dane, "DANE_RECORDS", 2)
    records = "".join(f"_25._tcp.mx1.far.test. TLSA 3 1 1 {number:064x}\n" for number in range(5))
    found = await policy(ZONE + records, MX, secure=["far.test"])
    assert len(found.tlsa) == len(found.published) == 2


async def test_a_domain_without_mx_is_its_own_host() -> None:
    zone = f"far.test. A 127.0.0.1\n_25._tcp.far.test. TLSA {RECORD}\n"
    found = await policy(zone, Host(name="far.test", preference=0), secure=["far.test"])
    assert found.names == ("far.test",)


async def test_an_unsigned_domain_costs_no_question() -> None:
    resolver = FakeResolver(ZONE)
    route = await select_hosts("far.test", resolver, Ourselves([]), random=Random(1))
    await Dane(resolver, Opportunistic(), port=25).for_host(route, route.hosts[0])
    assert not [kind for kind, _ in resolver.asked if kind in ("TLSA", "CNAME")]


class Refusing:
    """MTA-STS that refuses the host."""

    async def for_host(self, route: Route, host: Host) -> TlsPolicy:
        raise HostUntrusted("the policy does not name it", TlsSeen())


async def test_mta_sts_is_asked_only_where_there_are_no_records() -> None:
    """RFC 8461 §2: it must not override what DANE says; here DANE says who is trusted."""
    resolver = FakeResolver(ZONE + f"_25._tcp.mx1.far.test. TLSA {RECORD}\n", secure=["far.test"])
    route = await select_hosts("far.test", resolver, Ourselves([]), random=Random(1))
    assert (await Dane(resolver, Refusing(), port=25).for_host(route, route.hosts[0])).name == "dane"
    with pytest.raises(Temporary):
        await Dane(resolver, Refusing(), port=26).for_host(route, route.hosts[0])


# --- chains -------------------------------------------------------------------------------------------------


def chain_of(world: World, *more: x509.Certificate) -> list[bytes]:
    return [of_whole(each) for each in (world.leaf, *more)]


def test_an_authority_above_another_is_found() -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert("mx1.far.test")
    pems = [leaf.cert_chain_pems[0], middle.cert_pem, root.cert_pem]
    certificates = [x509.load_pem_x509_certificate(each.bytes()) for each in pems]
    chain = [of_whole(each) for each in certificates]
    now = datetime.now(UTC).timestamp()
    for anchor in certificates[1:]:
        record = Tlsa(2, 0, 1, hashlib.sha256(of_whole(anchor)).digest())
        assert mismatch([record], chain, ["mx1.far.test"], now) == ""
        shuffled = [chain[0], chain[2], chain[1]]
        assert mismatch([record], shuffled, ["mx1.far.test"], now) == ""
    # RFC 5280 §6.1.4: who is no authority has issued nothing.
    record = Tlsa(2, 0, 1, hashlib.sha256(of_whole(certificates[0])).digest())
    assert "no authority" in mismatch([record], chain, ["mx1.far.test"], now)


def test_so_many_certificates_are_looked_at() -> None:
    """Each is read and asked whose issuer it is: a host's list of thousands would cost a second."""
    root = trustme.CA()
    leaf = root.issue_cert("mx1.far.test")
    own, anchor, other = (
        of_whole(x509.load_pem_x509_certificate(each.bytes()))
        for each in (leaf.cert_chain_pems[0], root.cert_pem, trustme.CA().cert_pem)
    )
    record = Tlsa(2, 0, 1, hashlib.sha256(anchor).digest())
    now = datetime.now(UTC).timestamp()
    assert mismatch([record], [own, *[other] * 8, anchor], ["mx1.far.test"], now) == ""
    assert "no authority" in mismatch([record], [own, *[other] * 9, anchor], ["mx1.far.test"], now)


def test_what_has_expired_counts_for_an_authority_and_not_for_a_key(world: World) -> None:
    """RFC 7672 §3.1.1 against §3.1.2."""
    late = (world.anchor.not_valid_after_utc + timedelta(days=1)).timestamp()
    chain = chain_of(world, world.anchor)
    anchor = Tlsa(2, 0, 1, hashlib.sha256(of_whole(world.anchor)).digest())
    assert "has expired" in mismatch([anchor], chain, ["mx1.far.test"], late)
    key = Tlsa(3, 1, 1, hashlib.sha256(of_key(world.leaf)).digest())
    assert mismatch([key], chain, [], late) == ""


def test_strange_octets_are_no_certificate(world: World) -> None:
    key = Tlsa(3, 1, 1, bytes(32))
    now = datetime.now(UTC).timestamp()
    assert "cannot be read" in mismatch([key], [b"\x30\x03abc"], [], now)
    assert "no certificate" in mismatch([key], [], [], now)


def test_of_several_digests_the_strongest_counts() -> None:
    """RFC 7671 §9."""
    records = [
        Tlsa(3, 1, 1, bytes(32)),
        Tlsa(3, 1, 2, bytes(64)),
        Tlsa(2, 0, 1, bytes(32)),
        Tlsa(3, 1, 0, b"x"),
    ]
    assert to_match(records) == (records[1], records[2], records[3])


@pytest.mark.parametrize("text", ["", "3 1", "a b c d", "3 1 1 xyz", "3 1 1 abc"])
def test_texts_that_are_no_record(text: str) -> None:
    assert parse_tlsa(text) is None or not parse_tlsa(text).usable  # type: ignore[union-attr]


def test_the_report_has_a_policy_of_its_own_type() -> None:
    """RFC 8460 §4.4."""
    period = TlsPeriod(hostname="mx.us.test", domain="far.test", report_id="1", begin=0, end=86399)
    seen = [
        (2, TlsSeen(policy=(RECORD,), dane=True)),
        (1, TlsSeen(dane=True, result="dnssec-invalid", mx="mx1.far.test")),
    ]
    first, second = write_tls_report(period, seen)["policies"]
    assert first["policy"] == {"policy-type": "tlsa", "policy-domain": "far.test", "policy-string": [RECORD]}
    assert second["policy"] == {"policy-type": "tlsa", "policy-domain": "far.test"}
    assert second["failure-details"] == [
        {"result-type": "dnssec-invalid", "receiving-mx-hostname": "mx1.far.test", "failed-session-count": 1}
    ]
