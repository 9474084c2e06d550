"""A house of several hosts: what the world is told of it, and what `status` says of the hosts."""

from __future__ import annotations

import msgspec
import pytest

from posthouse import limits
from posthouse.house import House
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.domains import Domains
from posthouse.operations.findings import Finding, Level
from posthouse.operations.host_check import check_hosts
from posthouse.operations.household import Household
from posthouse.store.host_facts import HostFacts
from tests.fakes.resolver import FakeResolver

MX1 = HostFacts(name="MX1.north.test.", roles=("mx", "submission"), ports={"smtp": 25}, version="1")
MX2 = HostFacts(name="mx2.north.test", roles=("mx", "queue"), ports={"smtp": 25}, version="1")
READING = HostFacts(
    name="in1.north.test", roles=("imap", "jobs", "web"), ports={"imaps": 993, "https": 443}, version="1"
)
SENDING = HostFacts(name="out1.north.test", roles=("queue",), ports={}, version="1")
HOSTS = (READING, MX1, MX2, SENDING)
ZONE = """
mx1.north.test.  A 192.0.2.1
mx2.north.test.  A 192.0.2.2
out1.north.test. A 192.0.2.3
in1.north.test.  A 192.0.2.4
mail.north.test. A 192.0.2.5
north.test. TXT "v=spf1 mx a:out1.north.test -all"
mx2.north.test.  TXT "v=spf1 a -all"
out1.north.test. TXT "v=spf1 a -all"
"""
BOTH = "north.test. MX 10 mx1.north.test.\nnorth.test. MX 10 mx2.north.test.\n"


def household(*hosts: HostFacts, public_name: str = "mail.north.test") -> Household:
    ports = {"smtp": 25, "imaps": 993, "submissions": 465}  # the same file everywhere
    return Household("in1.north.test", ports, public_name=public_name, hosts=lambda: hosts)


async def records(house: House, zone: str, **more: object) -> DomainRecords:
    domains = Domains(house.store)
    if not await house.store.domains():
        await domains.domain_add(name="north.test")
    return DomainRecords(house.store, domains, FakeResolver(zone), household(*HOSTS), **more)  # type: ignore[arg-type]


def test_a_host_alone_speaks_for_itself() -> None:
    alone = Household("MX.north.test.", {"smtp": 25, "imaps": 993})
    assert (alone.name, alone.names()) == ("mx.north.test", {"mx.north.test"})
    assert alone.mail_hosts() == alone.senders() == alone.policy_hosts() == ("mx.north.test",)
    assert alone.ports() == {"smtp": 25, "imaps": 993}


def test_each_host_knows_all() -> None:
    found = household(*HOSTS)
    assert found.mail_hosts() == ("mx1.north.test", "mx2.north.test")
    assert found.policy_hosts() == ("mx1.north.test", "mx2.north.test", "mail.north.test")
    assert found.senders() == ("mx2.north.test", "out1.north.test")
    assert found.ports() == {"smtp": 25, "imaps": 993, "https": 443}, "nobody serves submissions"
    assert found.names() == {
        *("mx1.north.test", "mx2.north.test", "in1.north.test", "out1.north.test", "mail.north.test")
    }


async def test_the_plan_is_of_the_whole_house(house: House) -> None:
    plan = (await (await records(house, ZONE)).domain_dns(name="north.test")).records
    values = {(one.name, one.type): one.value for one in plan}
    assert [one.value for one in plan if one.type == "MX"] == ["10 mx1.north.test.", "10 mx2.north.test."]
    assert values["north.test.", "TXT"] == '"v=spf1 mx a:out1.north.test -all"'
    hosts = [one.name for one in plan if one.value == '"v=spf1 a -all"']
    assert hosts == ["mx2.north.test.", "out1.north.test."], "those whose bounces go out"
    assert values["_imaps._tcp.north.test.", "SRV"] == "0 1 993 mail.north.test."
    assert ("_submissions._tcp.north.test.", "SRV") not in values
    assert values["autoconfig.north.test.", "CNAME"] == "mail.north.test."
    assert not [one for one in plan if one.type == "PTR"], "this host sends nothing"


@pytest.mark.parametrize(
    ("zone", "level", "word"),
    [
        (BOTH, Level.FINE, "10 mx1.north.test, 10 mx2.north.test"),
        ("north.test. MX 10 mail.north.test.", Level.FINE, "10 mail.north.test"),
        ("north.test. MX 10 mx2.north.test.", Level.LOOK, "mx1.north.test"),
        ("north.test. MX 10 in1.north.test.", Level.WRONG, "mx1.north.test or mx2.north.test"),
        (BOTH + "north.test. MX 5 other.test.", Level.LOOK, "others come before us"),
    ],
)
async def test_mx_may_name_each_host_or_the_balancer(
    house: House, zone: str, level: Level, word: str
) -> None:
    finding = await _finding(house, ZONE + zone, "MX north.test")
    assert (finding.level, word in finding.text) == (level, True), finding


async def test_spf_must_let_those_pass_that_send(house: House) -> None:
    assert (await _finding(house, ZONE + BOTH, "SPF north.test")).level is Level.FINE
    narrow = (ZONE + BOTH).replace(" a:out1.north.test", "")
    finding = await _finding(house, narrow, "SPF north.test")
    assert (finding.level, "192.0.2.3" in finding.text) == (Level.WRONG, True), "the queue's host"


async def _finding(house: House, zone: str, subject: str) -> Finding:
    found = await (await records(house, zone)).domain_check(name="north.test")
    return next(finding for finding in found if finding.subject == subject)


async def test_a_host_that_goes_changes_no_policy(house: House) -> None:
    """RFC 8461 §3.1: a sender that fetched the policy meanwhile would send nothing to it for as long as it is kept."""
    policies = set()
    for silent, ended in ((0.0, False), (3000.0, False), (86_400.0, True)):
        gone = msgspec.structs.replace(MX2, silent=silent, ended=ended)
        policies.add(household(READING, MX1, gone).policy_hosts())
    assert policies == {("mx1.north.test", "mx2.north.test", "mail.north.test")}


# --- status ---------------------------------------------------------------------------------------------


def check(*hosts: HostFacts, public_name: str = "mail.north.test") -> dict[str, Finding]:
    return {one.subject: one for one in check_hosts(household(*hosts, public_name=public_name))}


def test_a_cluster_in_order() -> None:
    found = check(*HOSTS)
    assert {one.level for one in found.values()} == {Level.FINE}
    assert found["host in1.north.test"].text == "imap jobs web; imaps 993, https 443; 1"
    assert check() == {}, "one host alone has nothing to say here"


def test_what_is_not_as_it_should_be_says_so() -> None:
    silent = msgspec.structs.replace(MX1, silent=limits.NODE_SILENCE + 1)
    assert check(*HOSTS[1:], READING)["host mx2.north.test"].level is Level.FINE
    found = check(silent, READING, SENDING)
    assert (found["host MX1.north.test."].level, "61 s" in found["host MX1.north.test."].text) == (
        Level.LOOK,
        True,
    )
    ended = msgspec.structs.replace(SENDING, ended=True, silent=7200.0)
    found = check(MX1, READING, ended)
    assert found["host out1.north.test"].level is Level.FINE
    assert "2 h" in found["host out1.north.test"].text
    assert found["role queue"].level is Level.WRONG, "nobody sends"
    assert found["role queue"].fix
    assert check(MX1, SENDING)["role jobs"].level is Level.WRONG
    assert check(*HOSTS[1:], msgspec.structs.replace(READING, version="2"))["versions"].level is Level.LOOK
    assert check(*HOSTS, public_name="")["public_name"].level is Level.LOOK
    assert "public_name" not in check(*HOSTS, public_name="in1.north.test"), "a host may have that name"
