"""The playground's DNS tree answers as name servers do: referrals down, recursion at the root, faults on demand."""

from __future__ import annotations

import socket

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from posthouse.errors import NotFound, Temporary
from posthouse.playground import SCENARIOS, Playground
from posthouse.playground.name_server import NameServer
from posthouse.playground.zones import Fault, Level, Zones


@pytest.fixture
def zones() -> Zones:
    made = Zones()
    made.put("south.test", "@ MX 10 mx\n@ MX 20 backup\nmx A 127.0.0.20\nwww CNAME mx\na.b A 127.0.0.9\n")
    return made


def ask(zones: Zones, level: Level, name: str, kind: str, *, recursive: bool) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    if not recursive:
        query.flags &= ~dns.flags.RD
    return zones.reply(query, level)


def test_the_root_refers_to_the_top_level(zones: Zones) -> None:
    reply = ask(zones, Level.ROOT, "south.test", "MX", recursive=False)
    assert not reply.answer
    assert reply.authority[0].name.to_text() == "test."
    assert str(reply.additional[0][0]) == "127.0.0.2"


def test_the_top_level_refers_to_the_domain(zones: Zones) -> None:
    reply = ask(zones, Level.TOP, "south.test", "MX", recursive=False)
    assert reply.authority[0].name.to_text() == "south.test."
    assert str(reply.additional[0][0]) == "127.0.0.3"


def test_the_domains_server_answers_with_authority(zones: Zones) -> None:
    reply = ask(zones, Level.DOMAIN, "south.test", "MX", recursive=False)
    assert reply.flags & dns.flags.AA
    assert {record.preference for record in reply.answer[0]} == {10, 20}


def test_a_resolver_follows_aliases(zones: Zones) -> None:
    reply = ask(zones, Level.ROOT, "www.south.test", "A", recursive=True)
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.CNAME, dns.rdatatype.A]
    assert not reply.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody.south.test", dns.rcode.NXDOMAIN),
        ("b.south.test", dns.rcode.NOERROR),
        ("no.test", dns.rcode.NXDOMAIN),
    ],
)
def test_absence_is_told_apart_from_an_empty_name(zones: Zones, name: str, code: int) -> None:
    reply = ask(zones, Level.ROOT, name, "A", recursive=True)
    assert (reply.rcode(), reply.answer) == (code, [])


def test_a_signed_zone_is_proved_on_request(zones: Zones) -> None:
    zones.put("signed.test", "@ MX 10 mx\nmx A 127.0.0.8\n", signed=True)
    plain = dns.message.make_query("signed.test", "MX")
    proved = dns.message.make_query("signed.test", "MX", want_dnssec=True)
    assert zones.reply(plain, Level.ROOT).flags & dns.flags.AD
    kinds = [rrset.rdtype for rrset in zones.reply(proved, Level.ROOT).answer]
    assert kinds == [dns.rdatatype.MX, dns.rdatatype.RRSIG]


def test_servfail_on_demand_and_back(zones: Zones) -> None:
    zones.fail("south.test", Fault.SERVFAIL)
    assert ask(zones, Level.ROOT, "mx.south.test", "A", recursive=True).rcode() == dns.rcode.SERVFAIL
    zones.fail("south.test", None)
    assert ask(zones, Level.ROOT, "mx.south.test", "A", recursive=True).rcode() == dns.rcode.NOERROR


async def test_real_packets_over_udp_and_tcp(zones: Zones) -> None:
    zones.put("large.test", "".join(f'@ TXT "{"x" * 200}{i}"\n' for i in range(20)))
    server = NameServer(zones, 0)
    await server.start()
    try:
        query = dns.message.make_query("large.test", "TXT")
        short = await dns.asyncquery.udp(query, "127.0.0.1", port=server.port, timeout=2)
        assert short.flags & dns.flags.TC
        whole = await dns.asyncquery.tcp(query, "127.0.0.1", port=server.port, timeout=2)
        assert len(whole.answer[0]) == 20
    finally:
        await server.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_publishes_what_its_hosts_are_for(name: str) -> None:
    scenario = SCENARIOS[name]
    network = Playground(scenario=name, published=False)
    for host in scenario.hosts:
        for domain in (*host.domains, *host.backup_for):
            reply = ask(network.zones, Level.ROOT, domain, "MX", recursive=True)
            assert host.name in " ".join(str(record) for record in reply.answer[0])
    assert scenario.away <= {host.name for host in scenario.hosts}


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(NotFound, match="standard"):
        Playground(scenario="west")


async def test_a_port_that_somebody_else_has_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        server = NameServer(Zones(), port)
        with pytest.raises(Temporary, match=f"port {port}: .*in use"):
            await server.start()
        assert not server._transports
