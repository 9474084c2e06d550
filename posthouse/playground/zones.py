"""The playground's DNS data: zones from text, a delegation tree over them, and answers as a name server gives them.

Three kinds of server stand on three addresses: the root (which also resolves for clients that ask for
recursion, RFC 1034 §4.3.1), the server of `test`, and the server of the domains below it. Pure: no sockets.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import dns.dnssec
import dns.dnssectypes
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

from posthouse import limits

TOP = "test"
"""The playground's top-level domain (RFC 6761 §6.2: never in the real DNS)."""


class Level(enum.Enum):
    """Which part of the tree a server speaks for; the value is the last octet of its loopback address."""

    ROOT = 1
    TOP = 2
    DOMAIN = 3


def address_of(level: Level) -> str:
    """Where the server of a level listens."""
    return f"127.0.0.{level.value}"


class Fault(enum.Enum):
    """What a test can make the name server do for a domain."""

    SERVFAIL = "servfail"
    DROP = "drop"
    """No answer at all: the asker runs into its timeout."""


class Zones:
    """All zones of a playground, by origin. Records may be replaced while the server runs."""

    def __init__(self) -> None:
        self._zones: dict[dns.name.Name, dns.zone.Zone] = {}
        self._faults: dict[dns.name.Name, Fault] = {}
        self._signed: set[dns.name.Name] = set()
        self.put("ns", "@ 60 IN A 127.0.0.1\n")

    def put(self, domain: str, records: str, *, signed: bool = False) -> None:
        """Add or replace the zone of `domain` below `test`; records in master file form (RFC 1035 §5).

        SOA and NS are added. `signed`: also DNSKEY, RRSIG and NSEC with a fresh key (RFC 4035).
        """
        origin = dns.name.from_text(domain if domain.endswith(TOP) else f"{domain}.{TOP}")
        text = (
            f"$ORIGIN {origin}\n$TTL 60\n"
            f"@ IN SOA ns.{TOP}. postmaster.{origin} 1 3600 600 86400 5\n"
            f"@ IN NS ns.{TOP}.\n{records}\n"
        )
        zone = dns.zone.from_text(text, origin=origin, relativize=False)
        self._signed.discard(origin)
        if signed:
            _sign(zone, origin)
            self._signed.add(origin)
        self._zones[origin] = zone

    def remove(self, domain: str) -> None:
        """Forget a zone: its names do not exist any more."""
        self._zones.pop(dns.name.from_text(domain), None)

    def fail(self, name: str, fault: Fault | None) -> None:
        """Let all questions at or below a name meet a fault, or (None) be answered again."""
        key = dns.name.from_text(name)
        if fault is None:
            self._faults.pop(key, None)
        else:
            self._faults[key] = fault

    def fault_for(self, name: dns.name.Name) -> Fault | None:
        """The fault that a question for this name meets."""
        for key, fault in self._faults.items():
            if name.is_subdomain(key):
                return fault
        return None

    def reply(self, query: dns.message.Message, level: Level) -> dns.message.Message:
        """The answer of one server to one question."""
        response = dns.message.make_response(query)
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return response
        question = query.question[0]
        if self.fault_for(question.name) is Fault.SERVFAIL:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        recursive = level is Level.ROOT and bool(query.flags & dns.flags.RD)
        zone = self._zone_of(question.name)
        if recursive:
            response.flags |= dns.flags.RA
        elif not self._refer(response, question.name, level):
            return response
        self._answer(response, zone, question, want_proof=bool(query.ednsflags & dns.flags.DO))
        if recursive:
            response.flags &= ~dns.flags.AA
            if zone is not None and zone.origin in self._signed:
                response.flags |= dns.flags.AD
        return response

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        for origin in sorted(self._zones, key=len, reverse=True):
            if name.is_subdomain(origin):
                return self._zones[origin]
        return None

    def _refer(self, response: dns.message.Message, name: dns.name.Name, level: Level) -> bool:
        """Point to the next server down (RFC 1034 §4.3.2 step 3b); True when this level itself answers."""
        top = dns.name.from_text(TOP)
        if level is Level.ROOT and name.is_subdomain(top):
            _delegate(response, top, address_of(Level.TOP))
            return False
        if level is Level.TOP:
            zone = self._zone_of(name)
            if zone is not None and zone.origin is not None:
                _delegate(response, zone.origin, address_of(Level.DOMAIN))
                return False
        return True

    def _answer(
        self,
        response: dns.message.Message,
        zone: dns.zone.Zone | None,
        question: dns.rrset.RRset,
        *,
        want_proof: bool,
    ) -> None:
        response.flags |= dns.flags.AA
        if zone is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return
        name = question.name
        for _ in range(limits.PLAYGROUND_CNAME_CHAIN):
            node = zone.get_node(name) if zone is not None else None
            if zone is None or (node is None and not _has_names_below(zone, name)):
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if _add(response.answer, name, node, question.rdtype, want_proof):
                return
            alias = _find(node, dns.rdatatype.CNAME)
            if alias is None:
                break
            _add(response.answer, name, node, dns.rdatatype.CNAME, want_proof)
            name = alias[0].target
            zone = self._zone_of(name)
        if zone is not None and zone.origin is not None:
            _add(response.authority, zone.origin, zone.get_node(zone.origin), dns.rdatatype.SOA, want_proof)


def _has_names_below(zone: dns.zone.Zone, name: dns.name.Name) -> bool:
    """Whether the name is an empty non-terminal: it exists then, without records (RFC 8020)."""
    return any(other.is_subdomain(name) for other in zone.nodes)


def _find(node: dns.node.Node | None, kind: dns.rdatatype.RdataType) -> dns.rdataset.Rdataset | None:
    return None if node is None else node.get_rdataset(dns.rdataclass.IN, kind)


def _add(
    section: list[dns.rrset.RRset],
    name: dns.name.Name,
    node: dns.node.Node | None,
    kind: dns.rdatatype.RdataType,
    want_proof: bool,
) -> bool:
    found = _find(node, kind)
    if found is None or node is None:
        return False
    section.append(dns.rrset.from_rdata_list(name, found.ttl, list(found)))
    proof = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.RRSIG, kind) if want_proof else None
    if proof is not None:
        section.append(dns.rrset.from_rdata_list(name, proof.ttl, list(proof)))
    return True


def _delegate(response: dns.message.Message, zone: dns.name.Name, server: str) -> None:
    label = zone.to_text().strip(".").replace(".", "-")
    host = dns.name.from_text(f"{label}.ns.{TOP}")
    response.authority.append(dns.rrset.from_text(zone, 60, "IN", "NS", host.to_text()))
    response.additional.append(dns.rrset.from_text(host, 60, "IN", "A", server))


def _sign(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
    """Sign a zone in place with one fresh Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key: Any = ed25519.Ed25519PrivateKey.generate()
    public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssectypes.Algorithm.ED25519, flags=257)
    with zone.writer() as transaction:
        dns.dnssec.sign_zone(
            zone, transaction, keys=[(key, public)], lifetime=7 * 86400, add_dnskey=True, dnskey_ttl=60
        )


def records_for(hosts: Iterable[tuple[str, str]]) -> str:
    """`A` lines for (name, address) pairs, for zone text."""
    return "".join(f"{name}. IN A {address}\n" for name, address in hosts)
