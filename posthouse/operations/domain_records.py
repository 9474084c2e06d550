"""`posthouse domain dns` and `domain check`: the records to publish for a domain, and whether the DNS shows them.

The plan is made by `dns_plan`, the questions are asked by `dns_check`; here is what both need of the house: keys,
certificate, addresses, and the findings that an administrator has muted with a reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.operations.dkim_keys import KeyRow
from posthouse.operations.dns_check import DnsCheck
from posthouse.operations.dns_plan import DnsRecord, KeyRecord, PlanFacts, plan_records, zone_text
from posthouse.operations.domains import Domains
from posthouse.operations.findings import Finding, fine, look, wrong
from posthouse.operations.household import Household
from posthouse.operations.mta_sts_check import PolicyReader, Read
from posthouse.resolver import Status, ZoneResolver
from posthouse.store.interface import Store
from posthouse.store.model import Domain
from posthouse.store.trust import Mute, PutMute, RemoveMute

KINDS: Final = ("MX", "SPF", "DKIM", "DMARC", "TLSRPT", "MTA-STS", "TLSA", "CAA", "SRV", "AUTOCONFIG", "PTR")
"""What can be muted."""


class DnsRecords(msgspec.Struct, frozen=True, kw_only=True):
    """All records of a domain, and the same as zone text."""

    records: tuple[DnsRecord, ...]
    zone: str


class DomainRecords:
    """Writes and checks records."""

    def __init__(
        self,
        store: Store,
        domains: Domains,
        resolver: ZoneResolver,
        household: Household,
        *,
        certificate: Path | None = None,
        own_certificate: bool = False,
        backups: tuple[str, ...] = (),
        sources: tuple[str, ...] = (),
        relay: str = "",
        read_policy: Read | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`backups`: other hosts in MX; `sources`: addresses that we send from; `relay`: `outbound.relay`.

        `read_policy`: fetches MTA-STS policies; None: over HTTPS, as others do."""
        self._read_policy = read_policy or PolicyReader(resolver).read
        self._store = store
        self._domains = domains
        self._resolver = resolver
        self._household = household
        self._hostname = household.hostname
        self._certificate = certificate
        self._own_certificate = own_certificate
        self._backups = tuple(name.lower().rstrip(".") for name in backups)
        # A private address is another one by the time that others see it.
        self._sources = tuple(one for one in sources if ipaddress.ip_address(one).is_global)
        self._relay = (urlsplit(relay).hostname or "").rstrip(".")
        self._now = now

    # --- the plan ------------------------------------------------------------------------------------

    async def domain_dns(self, *, name: str) -> DnsRecords:
        """The records to publish for a domain of ours. NotFound."""
        domain = await self._domains.find(name)
        records = plan_records(domain, await self._facts(await self._keys(domain)))
        return DnsRecords(records=records, zone=zone_text(domain.name, records))

    async def _keys(self, domain: Domain) -> list[KeyRow]:
        return [await KeyRow.of(key) for key in await self._store.dkim_keys(domain.name)]

    async def _facts(self, keys: list[KeyRow]) -> PlanFacts:
        digest, issuer = await asyncio.to_thread(read_certificate, self._certificate)
        answers = [await self._resolver.a(self._hostname), await self._resolver.aaaa(self._hostname)]
        return PlanFacts(
            hostname=self._hostname,
            name=self._household.name,
            mail_hosts=self._household.mail_hosts(),
            policy_hosts=self._household.policy_hosts(),
            senders=self._household.senders(),
            ports=self._household.ports(),
            addresses=tuple(address for answer in answers for address in answer.records),
            keys=tuple(KeyRecord(key.selector, key.record, key.state) for key in keys),
            certificate_digest=digest,
            own_certificate=self._own_certificate,
            backups=self._backups,
            issuer=issuer,
            sources=self._sources,
            relay=self._relay,
        )

    # --- checking ------------------------------------------------------------------------------------

    async def domain_check(self, *, name: str) -> list[Finding]:
        """Ask the DNS whether a domain of ours is set up. NotFound."""
        domain = await self._domains.find(name)
        muted = {mute.subject: mute.reason for mute in await self._store.mutes(domain.name)}
        keys = await self._keys(domain)
        facts = await self._facts(keys)
        check = DnsCheck(domain, plan_records(domain, facts), keys, self._resolver, facts, self._read_policy)
        return [*await check.run(muted), *await self.check_host(muted)]

    async def check_host(self, muted: Mapping[str, str] | None = None) -> list[Finding]:
        """Whether our own name leads somewhere, and back."""
        subject = f"host {self._hostname}"
        answers = [await self._resolver.a(self._hostname), await self._resolver.aaaa(self._hostname)]
        addresses = [address for answer in answers for address in answer.records]
        if not addresses:
            if any(answer.status is Status.TEMPORARY for answer in answers):
                return [look(subject, "cannot be asked", "check [dns] servers, try again")]
            return [wrong(subject, "has no address", f"publish an A (and AAAA) record for {self._hostname}")]
        found = [fine(subject, ", ".join(addresses))]
        if self._hostname not in self._household.senders():
            return found  # nobody looks where it leads back to
        public = [a for a in addresses if not ipaddress.ip_address(a).is_loopback]
        if muted is not None and "PTR" in muted:
            return [*found, *(fine(f"PTR {a}", f"not looked at: {muted['PTR']}") for a in public)]
        return [*found, *[await self._check_reverse(a) for a in public]]

    async def _check_reverse(self, address: str) -> Finding:
        answer = await self._resolver.ptr(address)
        subject = f"PTR {address}"
        if any(name.lower().rstrip(".") == self._hostname for name in answer.records):
            return fine(subject, self._hostname)
        found = ", ".join(answer.records) or "nothing"
        fix = f"ask whoever gave you {address} to point it to {self._hostname}: large receivers insist"
        return look(subject, f"leads to {found}", fix)

    # --- muting --------------------------------------------------------------------------------------

    async def domain_mute(self, *, name: str, kind: str, reason: str) -> None:
        """Do not look at one kind of record of a domain, and say why. NotFound; ValueError for no such kind."""
        domain = await self._domains.find(name)
        if kind.upper() not in KINDS or not reason.strip():
            raise ValueError(f"mute one of {', '.join(KINDS)}, with a reason")
        mute = Mute(domain=domain.name, subject=kind.upper(), reason=reason.strip(), at=int(self._now()))
        await self._store.apply(PutMute(mute=mute))

    async def domain_unmute(self, *, name: str, kind: str) -> None:
        """Look at it again. NotFound."""
        domain = await self._domains.find(name)
        await self._store.apply(RemoveMute(domain=domain.name, subject=kind.upper()))


def read_certificate(path: Path | None) -> tuple[str, str]:
    """(SHA-256 of the public key in hexadecimal, the issuer's organization; empty: issued by itself). Blocking."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes() if path is not None else b"")
    except (OSError, ValueError):
        return "", ""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    issuer = ""
    if certificate.issuer != certificate.subject:
        names = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
        issuer = str(names[0].value) if names else ""
    return hashlib.sha256(key).hexdigest(), issuer
