"""A question followed down the tree of the DNS, from the root to the server that knows (RFC 1034 §5.3.3).

For `trace` only: it shows who delegates to whom, asks without recursion, and caches nothing. Where the root servers
cannot be reached (a firewall, a net of its own), the walk begins at the configured servers, on their port; when
those do not answer such questions either, it says so and ends. Bounded by DNS_WALK steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from posthouse import limits
from posthouse.dns_resolver import DnsResolver, exchange
from posthouse.name_servers import NameServer

if TYPE_CHECKING:
    import dns.message
    import dns.name


class WalkStep(msgspec.Struct, frozen=True, kw_only=True):
    """One server asked."""

    server: str
    zone: str
    """What it speaks for, as far as the walk knows."""
    text: str
    """What it said."""
    ok: bool = True
    final: bool = False
    """It gave the answer."""


async def walk(resolver: DnsResolver, name: str, record_type: str) -> AsyncIterator[WalkStep]:
    """Ask for a name's records from the root down. Never raises for what servers do."""
    configured = await resolver.servers()
    import dns.exception
    import dns.name

    try:
        asked = dns.name.from_text(name)
    except dns.exception.DNSException:
        yield WalkStep(server="", zone="", text=f"{name} is no domain name", ok=False)
        return
    servers: Sequence[NameServer] = await _roots(resolver) or configured
    zone = dns.name.root
    for _ in range(limits.DNS_WALK):
        answered = await _first_answer(servers, asked, record_type)
        if answered is None:
            names = ", ".join(map(str, servers[: limits.DNS_WALK_SERVERS]))
            yield WalkStep(server=names, zone=zone.to_text(), text="no answer", ok=False)
            return
        server, message = answered
        referral = _referral(message, zone)
        if referral is None:
            yield _last_step(server, zone, message)
            return
        zone, hosts, glue = referral
        yield WalkStep(
            server=str(server),
            zone=_shown(zone.parent() if zone != dns.name.root else zone),
            text=f"{_shown(zone)} is served by {', '.join(hosts)}",
        )
        servers = [NameServer(address, server.port) for address in glue]
        servers = servers or await _addresses(resolver, hosts, server.port)
    yield WalkStep(server="", zone=_shown(zone), text="too many delegations", ok=False)


def _shown(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


async def _roots(resolver: DnsResolver) -> list[NameServer]:
    """The root servers, as the configured servers know them."""
    found = await resolver.ask(".", "NS")
    return await _addresses(resolver, found.records[: limits.DNS_WALK_SERVERS], 53)


async def _addresses(resolver: DnsResolver, hosts: Sequence[str], port: int) -> list[NameServer]:
    servers = []
    for host in hosts[: limits.DNS_WALK_SERVERS]:
        servers += [NameServer(address, port) for address in (await resolver.a(host)).records]
    return servers


async def _first_answer(
    servers: Sequence[NameServer], asked: dns.name.Name, record_type: str
) -> tuple[NameServer, dns.message.QueryMessage] | None:
    for server in servers[: limits.DNS_WALK_SERVERS]:
        try:
            async with asyncio.timeout(limits.DNS_TRY_TIMEOUT):
                return server, await exchange(server, asked, record_type, recurse=False)
        except OSError:  # TimeoutError is one
            continue
    return None


def _referral(
    message: dns.message.QueryMessage, zone: dns.name.Name
) -> tuple[dns.name.Name, list[str], list[str]] | None:
    """(the zone below, its servers, their addresses where told), or None when this is the answer."""
    import dns.rcode
    import dns.rdatatype

    if message.answer or message.rcode() != dns.rcode.NOERROR:
        return None
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.NS and rrset.name != zone and rrset.name.is_subdomain(zone):
            hosts = [_shown(record.target) for record in rrset]
            glue = [
                record.address
                for extra in message.additional
                if extra.rdtype == dns.rdatatype.A and _shown(extra.name) in hosts
                for record in extra
            ]
            return rrset.name, hosts, glue
    return None


def _last_step(server: NameServer, zone: dns.name.Name, message: dns.message.QueryMessage) -> WalkStep:
    import dns.rcode
    import dns.rdatatype

    code = message.rcode()
    lines = [
        f"{_shown(rrset.name)} {dns.rdatatype.to_text(rrset.rdtype)} {record.to_text()}"
        for rrset in message.answer
        if rrset.rdtype != dns.rdatatype.RRSIG
        for record in sorted(rrset)
    ]
    if lines:
        text = "; ".join(lines)
    elif code == dns.rcode.NOERROR:
        text = "no such record"
    else:
        text = "no such name" if code == dns.rcode.NXDOMAIN else dns.rcode.to_text(code)
    fine = code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return WalkStep(server=str(server), zone=_shown(zone), text=text, ok=fine, final=True)
