"""The real resolver against name servers on loopback: answers, their lifetimes, and servers that misbehave."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from posthouse import dns_resolver, limits
from posthouse.config import Dns
from posthouse.dns_resolver import DnsResolver, system_servers
from posthouse.dns_shares import domain_of
from posthouse.msgauth.tlsa import Tlsa, parse_tlsa
from posthouse.name_servers import NameServer
from posthouse.resolver import Mx, Status
from tests.fakes.clock import FakeClock
from tests.fakes.name_server import FakeNameServer, Reply, answer

SOA = "test. 900 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300"


def resolver(*servers: FakeNameServer, **settings: object) -> DnsResolver:
    return DnsResolver(Dns(servers=tuple(server.at for server in servers), **settings))  # type: ignore[arg-type]


def zone(*records: str, flags: int = 0) -> Reply:
    """A server that knows these records and nothing else (NXDOMAIN)."""

    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        name = query.question[0].name.to_text()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        here = [record for record in records if record.split()[0] == name]
        found = [record for record in here if record.split()[3] == kind]
        if found:
            return [answer(query, *found, flags=flags)]
        rcode = dns.rcode.NOERROR if here else dns.rcode.NXDOMAIN
        return [answer(query, rcode=rcode, authority=(SOA,), flags=flags)]

    return reply


async def test_every_type_becomes_values() -> None:
    records = (
        "a.test. 60 IN MX 20 B.Test.",
        "a.test. 60 IN MX 10 c.test.",
        "a.test. 60 IN A 192.0.2.1",
        "a.test. 60 IN AAAA 2001:db8::1",
        'a.test. 60 IN TXT "v=spf1 " "-all"',
        'a.test. 60 IN TXT "caf\\195\\169"',
        "1.2.0.192.in-addr.arpa. 60 IN PTR a.test.",
        "null.test. 60 IN MX 0 .",
        "alias.test. 60 IN CNAME A.test.",
        f"_25._tcp.a.test. 60 IN TLSA 3 1 2 {'AB' * 64}",
    )
    async with FakeNameServer(zone(*records)) as server:
        ask = resolver(server)
        assert set((await ask.mx("a.test")).records) == {Mx(10, "c.test"), Mx(20, "b.test")}
        assert (await ask.mx("null.test")).records == (Mx(0, ""),)
        assert (await ask.a("A.test.")).records == ("192.0.2.1",)
        assert (await ask.aaaa("a.test")).records == ("2001:db8::1",)
        assert set((await ask.txt("a.test")).records) == {"v=spf1 -all", "caf\u00c3\u00a9"}
        assert (await ask.ptr("192.0.2.1")).records == ("a.test",)
        assert (await ask.ptr("nonsense")).status is Status.NO_NAME
        assert (await ask.shown("alias.test", "CNAME")).records == ("a.test",)
        [shown] = (await ask.shown("_25._tcp.a.test", "TLSA")).records
        assert parse_tlsa(shown) == Tlsa(3, 1, 2, b"\xab" * 64)


async def test_no_data_and_no_name_differ() -> None:
    async with FakeNameServer(zone("a.test. 60 IN A 192.0.2.1")) as server:
        ask = resolver(server)
        assert (await ask.mx("a.test")).status is Status.NO_DATA
        assert (await ask.mx("b.test")).status is Status.NO_NAME


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", ".".join(["abcdefgh"] * 40), ""])
async def test_a_name_that_cannot_exist_is_not_asked(name: str) -> None:
    async with FakeNameServer(zone()) as server:
        found = await resolver(server).mx(name)
        if name:
            assert found.status is Status.NO_NAME
            assert server.asked == []


@pytest.mark.parametrize(
    ("trust", "flags", "secure"),
    [
        ("loopback", dns.flags.AD, True),
        ("always", dns.flags.AD, True),
        ("never", dns.flags.AD, False),
        ("loopback", 0, False),
    ],
)
async def test_ad_is_believed_as_configured(trust: str, flags: int, secure: bool) -> None:
    async with FakeNameServer(zone("a.test. 60 IN A 192.0.2.1", flags=flags)) as server:
        ask = resolver(server, trust_ad=trust)
        assert (await ask.a("a.test")).secure is secure
        assert (await ask.a("gone.test")).secure is secure


async def test_edns_and_do_are_sent() -> None:
    seen: list[dns.message.Message] = []

    def reply(query: dns.message.Message, how: str) -> list[bytes]:
        seen.append(query)
        return zone("a.test. 60 IN A 192.0.2.1")(query, how)

    async with FakeNameServer(reply) as server:
        await resolver(server).a("a.test")
    assert seen[0].payload == limits.DNS_UDP_SIZE
    assert seen[0].ednsflags & dns.flags.DO
    assert seen[0].flags & dns.flags.RD


async def test_a_server_without_edns_is_asked_without() -> None:
    def reply(query: dns.message.Message, how: str) -> list[bytes]:
        if query.edns >= 0:
            return [answer(query, rcode=dns.rcode.FORMERR)]
        return zone("a.test. 60 IN A 192.0.2.1")(query, how)

    async with FakeNameServer(reply) as server:
        assert (await resolver(server).a("a.test")).records == ("192.0.2.1",)


async def test_an_answer_cut_short_is_fetched_by_tcp() -> None:
    def reply(query: dns.message.Message, how: str) -> list[bytes]:
        if how == "udp":
            return [answer(query, flags=dns.flags.TC)]
        return [answer(query, *(f"a.test. 60 IN A 192.0.2.{i}" for i in range(200)))]

    async with FakeNameServer(reply) as server:
        assert len((await resolver(server).a("a.test")).records) == 200
        assert server.asked == ["udp A a.test", "tcp A a.test"]


async def test_packets_that_answer_something_else_are_passed_over() -> None:
    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        forged = dns.message.make_query("other.test", "A")
        wrong_id = bytearray(answer(query, "a.test. 60 IN A 203.0.113.66"))
        wrong_id[0] ^= 0xFF
        good = answer(query, "a.test. 60 IN A 192.0.2.1")
        other = bytearray(answer(forged, "other.test. 60 IN A 203.0.113.66"))
        other[:2] = good[:2]
        return [b"\x00", bytes(wrong_id), bytes(other), good[:20], good]

    async with FakeNameServer(reply) as server:
        assert (await resolver(server).a("a.test")).records == ("192.0.2.1",)


async def test_endless_stray_packets_end_the_question() -> None:
    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        return [b"stray"] * (limits.DNS_STRAY_PACKETS + 1)

    async with FakeNameServer(reply) as server:
        found = await resolver(server).a("a.test")
        assert found.status is Status.TEMPORARY
        assert "another question" in found.reason


async def test_a_chain_of_aliases_is_followed_also_over_several_answers() -> None:
    steps = {
        "a.test.": ("a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME c.test."),
        "c.test.": ("c.test. 60 IN MX 10 mx.test.",),
    }

    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        return [answer(query, *steps[query.question[0].name.to_text()])]

    async with FakeNameServer(reply) as server:
        found = await resolver(server).mx("a.test")
    assert found.records == (Mx(10, "mx.test"),)
    assert found.canonical == "c.test"
    assert found.name == "a.test"


async def test_a_loop_of_aliases_ends() -> None:
    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        number = int(query.question[0].name.to_text().split(".")[0])
        return [answer(query, f"{number}.test. 60 IN CNAME {number + 1}.test.")]

    async with FakeNameServer(reply) as server:
        found = await resolver(server).mx("0.test")
        assert found.status is Status.TEMPORARY
        assert len(server.asked) == limits.DNS_CNAME_CHAIN


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_failing_server_is_passed_over(rcode: dns.rcode.Rcode) -> None:
    def fail(query: dns.message.Message, _: str) -> list[bytes]:
        return [answer(query, rcode=rcode)]

    async with FakeNameServer(fail) as bad, FakeNameServer(zone("a.test. 60 IN A 192.0.2.1")) as good:
        ask = resolver(bad, good)
        assert (await ask.a("a.test")).records == ("192.0.2.1",)
        await ask.a("b.test")
        assert bad.asked == ["udp A a.test"], "the good one is asked first from now on"
        assert (await resolver(bad).a("a.test")).status is Status.TEMPORARY


async def test_a_server_that_is_not_there_is_passed_over() -> None:
    async with FakeNameServer(zone()) as gone:
        pass
    async with FakeNameServer(zone("a.test. 60 IN A 192.0.2.1")) as good:
        assert (await resolver(gone, good).a("a.test")).records == ("192.0.2.1",)
        assert (await resolver(gone).a("a.test")).status is Status.TEMPORARY


async def test_silence_is_a_temporary_failure_within_the_timeout() -> None:
    async with FakeNameServer(lambda *_: []) as server:
        found = await resolver(server, timeout=0.05).a("a.test")
    assert found.status is Status.TEMPORARY
    assert found.reason


async def test_a_silent_server_costs_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_TRY_TIMEOUT", 0.02)
    async with (
        FakeNameServer(lambda *_: []) as silent,
        FakeNameServer(zone("a.test. 60 IN A 192.0.2.1")) as good,
    ):
        ask = resolver(silent, good)
        assert (await ask.a("a.test")).records == ("192.0.2.1",)
        await ask.a("b.test")
        assert silent.asked == ["udp A a.test"]


@pytest.mark.parametrize(
    ("ttl", "kept"),
    [(0, limits.DNS_TTL_LEAST), (60, 60), (10_000_000, limits.DNS_TTL_MOST)],
)
async def test_answers_live_as_long_as_their_ttl_within_the_clamps(ttl: int, kept: float) -> None:
    clock = FakeClock()
    async with FakeNameServer(zone(f"a.test. {ttl} IN A 192.0.2.1")) as server:
        ask = DnsResolver(Dns(servers=(server.at,)), clock=clock)
        await ask.a("a.test")
        clock.advance(kept - 0.5)
        await ask.a("a.test")
        assert len(server.asked) == 1
        clock.advance(0.5)
        await ask.a("a.test")
        assert len(server.asked) == 2


async def test_none_is_remembered_for_the_minimum_of_the_soa() -> None:
    clock = FakeClock()
    async with FakeNameServer(zone()) as server:
        ask = DnsResolver(Dns(servers=(server.at,)), clock=clock)
        await ask.mx("a.test")
        clock.advance(299)  # the SOA's minimum is 300, its own TTL 900
        await ask.mx("a.test")
        assert len(server.asked) == 1
        clock.advance(1)
        await ask.mx("a.test")
        assert len(server.asked) == 2


async def test_none_is_remembered_for_an_hour_at_most() -> None:
    clock = FakeClock()
    soa = SOA.replace(" 900 IN", " 90000 IN").removesuffix("300") + "90000"

    def reply(query: dns.message.Message, _: str) -> list[bytes]:
        return [answer(query, rcode=dns.rcode.NXDOMAIN, authority=(soa,))]

    async with FakeNameServer(reply) as server:
        ask = DnsResolver(Dns(servers=(server.at,)), clock=clock)
        for passes, asked in ((limits.DNS_TTL_NONE - 1, 1), (1, 2)):
            await ask.mx("a.test")
            clock.advance(passes)
            await ask.mx("a.test")
            assert len(server.asked) == asked


MOST_KEPT = limits.DNS_ANSWER_KEPT - len("a.test") - limits.DNS_RECORD_EXTRA


@pytest.mark.parametrize(("length", "asked"), [(MOST_KEPT, 1), (MOST_KEPT + 1, 2)])
async def test_an_answer_of_many_characters_is_not_remembered(length: int, asked: int) -> None:
    strings = " ".join(f'"{"x" * min(255, length - i)}"' for i in range(0, length, 255))
    async with FakeNameServer(zone(f"a.test. 60 IN TXT {strings}")) as server:
        ask = resolver(server)
        for _ in range(2):
            (found,) = (await ask.txt("a.test")).records
            assert len(found) == length
        assert len([line for line in server.asked if line.startswith("udp")]) == asked


@pytest.mark.parametrize("records", ["MX {n} .", "A 10.0.{n}.1"], ids=["MX", "A"])
async def test_an_answer_of_many_short_records_is_not_remembered(records: str) -> None:
    for number, asked in ((limits.DNS_ANSWER_KEPT // (limits.DNS_RECORD_EXTRA + 12), 1), (140, 2)):
        lines = [f"a.test. 60 IN {records.format(n=n)}" for n in range(number)]
        kind = records.split(maxsplit=1)[0]
        async with FakeNameServer(zone(*lines)) as server:
            ask = resolver(server)
            for _ in range(2):
                found = await ask.ask("a.test", kind)
                assert len(found.records) == number
            assert len([line for line in server.asked if line.startswith("udp")]) == asked


async def test_a_long_name_that_cannot_exist_is_not_remembered() -> None:
    async with FakeNameServer(zone()) as server:
        ask = resolver(server)
        assert (await ask.a("x" * limits.DNS_ANSWER_KEPT + ".test")).status is Status.NO_NAME
        assert not ask._cache


async def test_so_many_questions_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_AT_ONCE", 2)
    async with FakeNameServer(lambda *_: []) as server:
        ask = resolver(server, timeout=0.5)
        waiting = [asyncio.ensure_future(ask.a(f"{i}.test")) for i in range(5)]
        async with asyncio.timeout(5):
            while len(server.asked) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert len(server.asked) == 2
            assert {(await one).status for one in waiting} == {Status.TEMPORARY}


async def test_a_domain_without_answers_holds_up_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_AT_ONCE", 4)
    monkeypatch.setattr(limits, "DNS_SHARE", 3)
    good = zone("a.good.test. 60 IN A 192.0.2.1")

    def reply(query: dns.message.Message, how: str) -> list[bytes]:
        return [] if query.question[0].name.to_text().endswith(".slow.test.") else good(query, how)

    async with FakeNameServer(reply) as server:
        ask = resolver(server, timeout=60.0)
        waiting = [asyncio.ensure_future(ask.a(f"a{i}.slow.test")) for i in range(20)]
        async with asyncio.timeout(5):
            while len(server.asked) < 3:
                await asyncio.sleep(0.01)
            assert (await ask.a("a.good.test")).records == ("192.0.2.1",)
        assert len({line for line in server.asked if "slow" in line}) == 3
        for one in waiting:
            one.cancel()
        for task in list(ask._under_way.values()):
            task.cancel()


async def test_of_an_end_that_is_long_past_nothing_is_kept() -> None:
    async with FakeNameServer(zone()) as server:
        ask = resolver(server)
        for number in range(50):
            await ask.a(f"a.b{number}.test")
        assert not ask._shares._shares


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("mx.example.com", "example.com"),
        ("a.b.c.example.com", "example.com"),
        ("example.com", "example.com"),
        ("com", "com"),
        ("", ""),
        ("mail.example.co.uk", "example.co.uk"),
        ("mail.example.com.cn", "example.com.cn"),
        ("s1._domainkey.heise.de", "heise.de"),
        ("7.2.0.192.in-addr.arpa", "0.192.in-addr.arpa"),
        (f"{'0.' * 24}8.b.d.0.1.0.0.2.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_what_somebody_can_register(name: str, domain: str) -> None:
    assert domain_of(name) == domain


async def test_the_systems_servers_are_read_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lists = FakeClock(), []
    async with FakeNameServer(zone()) as server:

        def read() -> tuple[NameServer, ...]:
            lists.append(server)
            return (NameServer.parse(server.at),)

        monkeypatch.setattr(dns_resolver, "system_servers", read)
        ask = DnsResolver(Dns(), clock=clock)
        for name, passes, read_by_then in (
            ("a.test", 0.0, 1),
            ("b.test", limits.DNS_SYSTEM_REREAD - 1, 1),
            ("c.test", 1.0, 2),
        ):
            clock.advance(passes)
            await ask.a(name)
            assert len(lists) == read_by_then


async def test_equal_questions_under_way_are_asked_once_and_survive_an_asker() -> None:
    async with FakeNameServer(zone("a.test. 60 IN A 192.0.2.1")) as server:
        ask = resolver(server)
        impatient = asyncio.ensure_future(ask.a("a.test"))
        others = [asyncio.ensure_future(ask.a("A.TEST.")) for _ in range(5)]
        await asyncio.sleep(0)
        impatient.cancel()
        assert [(await other).records for other in others] == [("192.0.2.1",)] * 5
        assert server.asked == ["udp A a.test"]


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DNS_CACHE", 2)
    async with FakeNameServer(zone()) as server:
        ask = resolver(server)
        for name in ("a.test", "b.test", "a.test", "c.test", "a.test", "b.test"):
            await ask.a(name)
        assert [line.split()[2] for line in server.asked] == ["a.test", "b.test", "c.test", "b.test"]


def test_the_systems_servers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# comment\nsearch a.test\nnameserver 192.0.2.53\nnameserver broken\nnameserver 2001:db8::53\n"
        "nameserver 192.0.2.54\nnameserver 192.0.2.55\n"
    )
    found = [str(server) for server in system_servers(path)]
    assert found == ["192.0.2.53", "2001:db8::53", "192.0.2.54"]
    assert system_servers(tmp_path / "absent") == (NameServer("127.0.0.1"),)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", NameServer("192.0.2.1")),
        ("192.0.2.1:5453", NameServer("192.0.2.1", 5453)),
        ("2001:db8::1", NameServer("2001:db8::1")),
        ("[2001:db8::1]:5453", NameServer("2001:db8::1", 5453)),
        ("[2001:db8::1]", NameServer("2001:db8::1")),
    ],
)
def test_a_servers_address_is_read(text: str, server: NameServer) -> None:
    assert NameServer.parse(text) == server
    assert NameServer.parse(str(server)) == server


def test_dnspython_is_not_imported_with_the_module() -> None:
    source = Path(dns_resolver.__file__).read_text()
    assert "\nimport dns" not in source
