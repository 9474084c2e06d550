"""Every clause of RFC 5321 §5.1 and RFC 7505 as zone text and the route that must follow from it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from posthouse import limits
from posthouse.outbound.mx import Route, RouteKind, select_hosts
from posthouse.outbound.ourselves import Ourselves
from tests.fakes.resolver import FakeResolver

US = Ourselves(["mx.us.test"], ["192.0.2.99", "2001:db8::99"])
TARGETS = """
    mx1.test.  A     192.0.2.1
    mx2.test.  A     192.0.2.2
    mx3.test.  A     192.0.2.3
    dual.test. A     192.0.2.4
    dual.test. AAAA  2001:db8::4
    slow.test. A     FAIL
    slow.test. AAAA  FAIL
    txt.test.  TXT   "has no address"
    alias.test. CNAME mx1.test.
    mx.us.test. A    192.0.2.99
    other-name-of-us.test. AAAA 2001:db8::99
"""


async def route(zone: str, domain: str = "d.test", *, seed: int = 0, backup: bool = False) -> Route:
    resolver = FakeResolver(TARGETS + zone)
    return await select_hosts(domain, resolver, US, random=Random(seed), backup=backup)


FOUND = [
    # (zone, kind, "host preference addresses" in order)
    pytest.param("d.test. MX 10 mx1.test.", RouteKind.MX, ["mx1.test 10 192.0.2.1"], id="one"),
    pytest.param(
        "d.test. MX 30 mx3.test.\nd.test. MX 10 mx1.test.\nd.test. MX 20 mx2.test.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1", "mx2.test 20 192.0.2.2", "mx3.test 30 192.0.2.3"],
        id="lower preference first",
    ),
    pytest.param(
        "d.test. MX 10 dual.test.",
        RouteKind.MX,
        ["dual.test 10 2001:db8::4 192.0.2.4"],
        id="both families, IPv6 first",
    ),
    pytest.param("d.test. A 192.0.2.7", RouteKind.IMPLICIT, ["d.test 0 192.0.2.7"], id="no MX: own address"),
    pytest.param(
        "d.test. AAAA 2001:db8::7", RouteKind.IMPLICIT, ["d.test 0 2001:db8::7"], id="no MX: own IPv6 address"
    ),
    pytest.param(
        "d.test. MX 10 mx1.test.\nd.test. A 192.0.2.7",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="an address beside MX is not used",
    ),
    pytest.param(
        "d.test. CNAME e.test.\ne.test. MX 5 mx1.test.",
        RouteKind.MX,
        ["mx1.test 5 192.0.2.1"],
        id="CNAME to MX",
    ),
    pytest.param(
        "d.test. CNAME e.test.\ne.test. A 192.0.2.8",
        RouteKind.IMPLICIT,
        ["e.test 0 192.0.2.8"],
        id="CNAME to an address",
    ),
    pytest.param(
        "d.test. MX 10 alias.test.", RouteKind.MX, ["alias.test 10 192.0.2.1"], id="MX that names an alias"
    ),
    pytest.param(
        "d.test. MX 10 gone.test.\nd.test. MX 20 mx2.test.\nd.test. MX 30 txt.test.",
        RouteKind.MX,
        ["mx2.test 20 192.0.2.2"],
        id="unusable ones are passed over",
    ),
    pytest.param(
        "d.test. MX 10 slow.test.\nd.test. MX 20 mx2.test.",
        RouteKind.MX,
        ["mx2.test 20 192.0.2.2"],
        id="one whose address cannot be looked up now is passed over",
    ),
    pytest.param(
        "d.test. MX 0 .\nd.test. MX 10 mx1.test.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="a null MX beside others says nothing",
    ),
    pytest.param(
        "d.test. MX 10 mx1.test.\nd.test. MX 20 mx1.test.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="a host named twice counts at its best",
    ),
    pytest.param(
        "d.test. MX 10 mx1.test.\nd.test. MX 20 mx.us.test.\nd.test. MX 20 mx2.test.\nd.test. MX 30 mx3.test.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="we are in the list: we and all not better are dropped",
    ),
    pytest.param(
        "d.test. MX 10 mx1.test.\nd.test. MX 20 other-name-of-us.test.\nd.test. MX 30 mx3.test.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="we are in the list under a name we don't know: found by address",
    ),
    pytest.param(
        "d.test. MX 10 mx1.test.\nd.test. MX 20 MX.US.TEST.",
        RouteKind.MX,
        ["mx1.test 10 192.0.2.1"],
        id="names are compared without case",
    ),
    pytest.param(
        "d.test. MX 10 mixed.test.\nmixed.test. A 0.0.0.0\nmixed.test. A 224.0.0.1\nmixed.test. A 192.0.2.9",
        RouteKind.MX,
        ["mixed.test 10 192.0.2.9"],
        id="addresses that belong to no host are passed over",
    ),
]


@pytest.mark.parametrize(("zone", "kind", "hosts"), FOUND)
async def test_route(zone: str, kind: RouteKind, hosts: list[str]) -> None:
    found = await route(zone)
    assert found.kind is kind
    assert [f"{host.name} {host.preference} {' '.join(host.addresses)}" for host in found.hosts] == hosts
    assert found.failure is None


FAILED = [
    # (zone, permanent, "code status")
    pytest.param("d.test. MX 0 .", True, "556 5.1.10", id="null MX"),
    pytest.param("d.test. MX 0 .\nd.test. A 192.0.2.7", True, "556 5.1.10", id="null MX beside an address"),
    pytest.param("", True, "550 5.1.2", id="no such domain"),
    pytest.param('d.test. TXT "x"', True, "550 5.1.2", id="neither MX nor address"),
    pytest.param("d.test. FAIL", False, "451 4.4.3", id="MX cannot be looked up now"),
    pytest.param("d.test. A FAIL", False, "451 4.4.3", id="own address cannot be looked up now"),
    pytest.param("d.test. MX 10 gone.test.", True, "550 5.4.4", id="MX names no host"),
    pytest.param(
        "d.test. MX 10 txt.test.\nd.test. A 192.0.2.7", True, "550 5.4.4", id="unusable MX: no fallback to A"
    ),
    pytest.param("d.test. MX 10 slow.test.", False, "451 4.4.3", id="MX host cannot be looked up now"),
    pytest.param(
        "d.test. MX 10 gone.test.\nd.test. MX 20 slow.test.", False, "451 4.4.3", id="one may come back"
    ),
    pytest.param("d.test. MX 10 mx.us.test.", True, "554 5.4.6", id="only we are in the list"),
    pytest.param(
        "d.test. MX 10 mx.us.test.\nd.test. MX 20 mx2.test.",
        True,
        "554 5.4.6",
        id="we are the best of the list",
    ),
    pytest.param("d.test. A 192.0.2.99", True, "554 5.4.6", id="the domain's own address is ours"),
    pytest.param("d.test. CNAME d.test.", False, "451 4.4.3", id="an alias of itself"),
    pytest.param(
        "d.test. MX 10 gone.test.\nd.test. MX 20 mx.us.test.",
        True,
        "550 5.4.4",
        id="the better host does not exist",
    ),
]


@pytest.mark.parametrize(("zone", "permanent", "codes"), FAILED)
async def test_no_route(zone: str, permanent: bool, codes: str) -> None:
    found = await route(zone)
    assert found.hosts == ()
    assert found.failure is not None
    assert f"{found.failure.code} {found.failure.status}" == codes
    assert found.failure.permanent is permanent
    assert found.failure.text


@pytest.mark.parametrize(
    ("zone", "status"),
    [
        ("d.test. MX 10 mx.us.test.", "4.4.6"),
        ("d.test. MX 10 gone.test.\nd.test. MX 20 mx.us.test.", "4.4.4"),
        ("d.test. MX 10 txt.test.\nd.test. MX 20 mx.us.test.", "4.4.4"),
        ("d.test. MX 10 gone.test.", "4.4.4"),
    ],
)
async def test_a_backup_waits_while_the_dns_leads_to_no_better_host(zone: str, status: str) -> None:
    found = await route(zone, backup=True)
    assert found.failure is not None
    assert (found.failure.permanent, found.failure.status) == (False, status)
    assert [mx.host for mx in found.dropped] == ["mx.us.test"] * ("mx.us.test" in zone)


async def test_a_backup_sends_to_the_better_hosts_only() -> None:
    found = await route(
        "d.test. MX 10 mx1.test.\nd.test. MX 20 mx.us.test.\nd.test. MX 30 mx3.test.", backup=True
    )
    assert [host.name for host in found.hosts] == ["mx1.test"]
    assert [mx.host for mx in found.dropped] == ["mx.us.test", "mx3.test"]


async def test_equal_preferences_are_in_every_order() -> None:
    zone = "d.test. MX 10 mx1.test.\nd.test. MX 10 mx2.test.\nd.test. MX 20 mx3.test."
    seen = Counter([tuple(host.name for host in (await route(zone, seed=seed)).hosts) for seed in range(200)])
    assert set(seen) == {("mx1.test", "mx2.test", "mx3.test"), ("mx2.test", "mx1.test", "mx3.test")}
    assert min(seen.values()) > 60, "each order about as often as the other"


@pytest.mark.parametrize(
    ("literal", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:2001:DB8:0::1]", "2001:db8::1"),
    ],
)
async def test_an_address_literal_needs_no_dns(literal: str, address: str) -> None:
    resolver = FakeResolver()
    found = await select_hosts(literal, resolver, US, random=Random(0))
    assert [host.addresses for host in found.hosts] == [(address,)]
    assert found.kind is RouteKind.LITERAL
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("literal", "codes"),
    [
        ("[192.0.2]", "501 5.1.3"),
        ("[192.0.2.1", "501 5.1.3"),
        ("[IPv6:192.0.2.1]", "501 5.1.3"),
        ("[2001:db8::1]", "501 5.1.3"),
        ("[x400:nonsense]", "501 5.1.3"),
        ("[192.0.2.99]", "554 5.4.6"),
        ("[IPv6:2001:db8:0:0::99]", "554 5.4.6"),
        ("[0.0.0.0]", "550 5.1.2"),
    ],
)
async def test_a_literal_that_leads_nowhere(literal: str, codes: str) -> None:
    failure = (await route("", literal)).failure
    assert failure is not None
    assert f"{failure.code} {failure.status}" == codes


async def test_only_families_we_have_are_asked_for() -> None:
    resolver = FakeResolver(TARGETS + "d.test. MX 10 dual.test.")
    found = await select_hosts("d.test", resolver, US, random=Random(0), families=(4,))
    assert found.hosts[0].addresses == ("192.0.2.4",)
    assert ("AAAA", "dual.test") not in resolver.asked


async def test_hosts_and_addresses_are_bounded() -> None:
    zone = "".join(f"d.test. MX {i} m{i}.test.\nm{i}.test. A 203.0.113.{i}\n" for i in range(1, 40))
    found = await route(zone)
    assert len(found.hosts) == limits.MX_HOSTS
    many = "d.test. MX 1 many.test.\n" + "".join(f"many.test. A 203.0.113.{i}\n" for i in range(1, 40))
    many += "".join(f"many.test. AAAA 2001:db8::{i}\n" for i in range(1, 40))
    addresses = (await route(many)).hosts[0].addresses
    assert len(addresses) == limits.MX_ADDRESSES
    assert {":" in address for address in addresses} == {True, False}, "both families are among those tried"


async def test_proof_needs_both_the_mx_and_the_address() -> None:
    zone = TARGETS + "d.test. MX 10 mx1.test."
    for secure, proved in ([("d.test", "mx1.test"), True], [("d.test",), False], [("mx1.test",), False]):
        found = await select_hosts("d.test", FakeResolver(zone, secure=secure), US, random=Random(0))
        assert found.hosts[0].secure is proved


def test_ourselves_by_name_and_by_listening_address() -> None:
    us = Ourselves.of("MX.us.test", ["192.0.2.1:25", "192.0.2.2:2525", "[2001:db8::1]:25", "unix:/x:25"], 25)
    assert "mx.us.test." in us
    assert "192.0.2.1" in us
    assert "2001:db8:0::1" in us
    assert "192.0.2.2" not in us, "another port is another server"
    assert "127.0.0.1" not in us


async def test_the_other_hosts_of_the_house_are_ourselves() -> None:
    """RFC 5321 §5.1: a backup MX of several hosts hands mail to better ones only, never from one to the other."""
    us = Ourselves.of("out1.us.test", [], 25, lambda: {"mx1.us.test", "mx2.us.test"})
    assert "MX2.us.test." in us
    assert "mx3.us.test" not in us
    zone = "d.test. MX 10 first.d.test.\nd.test. MX 20 mx1.us.test.\nd.test. MX 30 last.test.\n" + "".join(
        f"{name}. A 192.0.2.{number}\n"
        for number, name in enumerate(("first.d.test", "mx1.us.test", "last.test"))
    )
    found = await select_hosts("d.test", FakeResolver(zone), us, random=Random(0), backup=True)
    assert [host.name for host in found.hosts] == ["first.d.test"]


def test_a_listener_on_all_addresses_means_all_of_this_machine() -> None:
    us = Ourselves.of("mx.us.test", ["0.0.0.0:25"], 25)
    assert "127.0.0.1" in us
    assert "127.0.0.2" in us
    assert "192.0.2.1" not in us


def test_a_listener_by_name_is_all_that_the_name_leads_to() -> None:
    ourselves = Ourselves.of("mx.us.test", ["localhost:25", "no-such-name.invalid:25"], 25)
    assert "127.0.0.1" in ourselves
    assert "192.0.2.1" not in ourselves
