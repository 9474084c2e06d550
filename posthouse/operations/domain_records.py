"""What a domain needs in the DNS so that its mail comes here and its people's programs find us; and whether it is so.

MX (RFC 5321 §5.1), SPF (RFC 7208), the services' SRV records (RFC 6186, RFC 8314 §5.1). The zone text is what an
administrator pastes; `domain_check` asks the DNS as others would.
"""

from __future__ import annotations

import ipaddress

import msgspec

from posthouse.operations.domains import Domains
from posthouse.operations.findings import Finding, fine, look, wrong
from posthouse.resolver import Resolver, Status
from posthouse.store.model import Domain, DomainKind

PREFERENCE = 10
BACKUP_PREFERENCE = 20
SERVICES = ("submissions", "submission", "imaps", "imap", "pop3s", "pop3")
"""SRV names (RFC 6186 §3, RFC 8314 §5.1) that are also our listeners' names."""


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish."""

    name: str
    """With the final dot."""
    type: str
    value: str
    why: str


class DnsRecords(msgspec.Struct, frozen=True, kw_only=True):
    """All records of a domain, and the same as zone text."""

    records: tuple[DnsRecord, ...]
    zone: str


class DomainRecords:
    """Writes and checks records. `ports`: listener name → port, of those that are served."""

    def __init__(self, domains: Domains, resolver: Resolver, *, hostname: str, ports: dict[str, int]) -> None:
        self._domains = domains
        self._resolver = resolver
        self._hostname = hostname.lower().rstrip(".")
        self._ports = ports

    async def domain_dns(self, *, name: str) -> DnsRecords:
        """The records to publish for a domain of ours. NotFound."""
        domain = await self._domains.find(name)
        records = self._for_backup(domain) if domain.kind is DomainKind.BACKUP else self._for_local(domain)
        width = max(len(record.name) for record in records)
        zone = "\n".join(f"{r.name:<{width}}  IN  {r.type:<4}  {r.value}" for r in records)
        return DnsRecords(records=tuple(records), zone=zone + "\n")

    def _for_local(self, domain: Domain) -> list[DnsRecord]:
        name = f"{domain.name}."
        records = [
            DnsRecord(
                name=name,
                type="MX",
                value=f"{PREFERENCE} {self._hostname}.",
                why="others deliver its mail to us",
            ),
            DnsRecord(
                name=name, type="TXT", value='"v=spf1 mx -all"', why="only its mail hosts send in its name"
            ),
        ]
        for service in SERVICES:
            if (port := self._ports.get(service)) is not None:
                first = 0 if service.endswith("s") else 1  # RFC 8314 §5.1: TLS from the first byte preferred
                records.append(
                    DnsRecord(
                        name=f"_{service}._tcp.{name}",
                        type="SRV",
                        value=f"{first} 1 {port} {self._hostname}.",
                        why="mail programs find us by the address alone",
                    )
                )
        return records

    def _for_backup(self, domain: Domain) -> list[DnsRecord]:
        value = f"{BACKUP_PREFERENCE} {self._hostname}."
        why = "a number above the primary's: its mail comes to us while that is away"
        return [DnsRecord(name=f"{domain.name}.", type="MX", value=value, why=why)]

    # --- checking ------------------------------------------------------------------------------------

    async def domain_check(self, *, name: str) -> list[Finding]:
        """Ask the DNS whether a domain of ours is set up. NotFound."""
        domain = await self._domains.find(name)
        findings = await self._check_mx(domain)
        if domain.kind is DomainKind.LOCAL:
            findings.append(await self._check_spf(domain))
        findings += await self.check_host()
        return findings

    async def _check_mx(self, domain: Domain) -> list[Finding]:
        answer = await self._resolver.mx(domain.name)
        subject = f"MX {domain.name}"
        record = (
            self._for_backup(domain)[0] if domain.kind is DomainKind.BACKUP else self._for_local(domain)[0]
        )
        fix = f"publish: {record.name} MX {record.value}"
        if answer.status is Status.TEMPORARY:
            return [look(subject, f"cannot be asked: {answer.reason}", "check [dns] servers, try again")]
        ours = [mx for mx in answer.records if mx.host.lower().rstrip(".") == self._hostname]
        if not answer.records:
            return [wrong(subject, "no MX record", fix)]
        listed = ", ".join(f"{mx.preference} {mx.host or '.'}" for mx in sorted(answer.records))
        if not ours:
            return [wrong(subject, f"{self._hostname} is not among {listed}", fix)]
        best = min(mx.preference for mx in answer.records)
        if domain.kind is DomainKind.LOCAL and ours[0].preference > best:
            return [look(subject, f"others come before us: {listed}", "are its mailboxes really here?")]
        if domain.kind is DomainKind.BACKUP and ours[0].preference == best:
            return [wrong(subject, f"a backup must not be first: {listed}", fix)]
        return [fine(subject, listed)]

    async def _check_spf(self, domain: Domain) -> Finding:
        answer = await self._resolver.txt(domain.name)
        subject = f"SPF {domain.name}"
        if answer.status is Status.TEMPORARY:
            return look(subject, f"cannot be asked: {answer.reason}", "check [dns] servers, try again")
        found = [text for text in answer.records if text.lower().split(" ")[0] == "v=spf1"]
        if len(found) > 1:  # RFC 7208 §4.5
            return wrong(subject, f"{len(found)} SPF records: receivers then use none", "leave one")
        if not found:
            return look(subject, "no SPF record", f'publish: {domain.name}. TXT "v=spf1 mx -all"')
        return fine(subject, found[0])

    async def check_host(self) -> list[Finding]:
        """Whether our own name leads somewhere, and back."""
        subject = f"host {self._hostname}"
        answers = [await self._resolver.a(self._hostname), await self._resolver.aaaa(self._hostname)]
        addresses = [address for answer in answers for address in answer.records]
        if not addresses:
            if any(answer.status is Status.TEMPORARY for answer in answers):
                return [look(subject, "cannot be asked", "check [dns] servers, try again")]
            return [wrong(subject, "has no address", f"publish an A (and AAAA) record for {self._hostname}")]
        public = [a for a in addresses if not ipaddress.ip_address(a).is_loopback]
        return [fine(subject, ", ".join(addresses)), *[await self._check_reverse(a) for a in public]]

    async def _check_reverse(self, address: str) -> Finding:
        answer = await self._resolver.ptr(address)
        subject = f"PTR {address}"
        if any(name.lower().rstrip(".") == self._hostname for name in answer.records):
            return fine(subject, self._hostname)
        found = ", ".join(answer.records) or "nothing"
        fix = f"ask whoever gave you {address} to point it to {self._hostname}: large receivers insist"
        return look(subject, f"leads to {found}", fix)
