"""DANE for SMTP (RFC 7672): a host whose name is proved by DNSSEC may say by TLSA records how its TLS is known.

Then mail goes to it over TLS only, and only when its certificate matches. Records count only when DNSSEC proved them
and everything that led to them; an unsigned domain costs no question. Where the question for them fails, somebody may
be in the way: the host is passed over (§2.1.1). What has no such records is for the policies behind (MTA-STS), which
never overrule these (RFC 8461 §2).
"""

from __future__ import annotations

from posthouse.limits import DANE_RECORDS
from posthouse.msgauth.tls_report_writer import DNSSEC_INVALID, TlsSeen
from posthouse.msgauth.tlsa import Tlsa, parse_tlsa, to_match
from posthouse.outbound.mx import Host, Route, RouteKind
from posthouse.outbound.tls_policy import HostUntrusted, TlsPolicies, TlsPolicy
from posthouse.resolver import Status, ZoneResolver
from posthouse.smtp.client_states import TlsUse


class Dane:
    """Decides for hosts that publish TLSA records; the others are `otherwise`'s."""

    def __init__(self, resolver: ZoneResolver, otherwise: TlsPolicies, *, port: int) -> None:
        """`port`: where mail hosts are asked for mail (§2.2.3 names records by it)."""
        self._resolver = resolver
        self._otherwise = otherwise
        self._port = port

    async def for_host(self, route: Route, host: Host) -> TlsPolicy:
        """What a host must prove. Raises HostUntrusted where that cannot be known now."""
        # RFC 7672 §2.2: address literals have no name to be proved.
        if route.kind in (RouteKind.MX, RouteKind.IMPLICIT):
            for base in await self._bases(host):
                records = await self._records(base)
                if records is not None:
                    return self._policy(route, base, records)
        return await self._otherwise.for_host(route, host)

    async def _bases(self, host: Host) -> list[str]:
        """The names under which records may stand, best first (RFC 7672 §2.2.2)."""
        if host.secure:
            return [host.canonical, host.name] if host.canonical else [host.name]
        if not host.listed_securely or not host.canonical:
            return []
        # An alias into an unsigned zone: the alias itself may be signed.
        alias = await self._resolver.shown(host.name, "CNAME")
        if alias.status is Status.TEMPORARY:
            raise self._unknown(host.name, alias.reason)
        return [host.name] if alias.status is Status.FOUND and alias.secure else []

    async def _records(self, base: str) -> list[Tlsa] | None:
        """The records that DNSSEC proves; None: there are none."""
        answer = await self._resolver.shown(f"_{self._port}._tcp.{base}", "TLSA")
        if answer.status is Status.TEMPORARY:
            raise self._unknown(base, answer.reason)
        if answer.status is not Status.FOUND or not answer.secure:
            return None
        return [record for text in answer.records[:DANE_RECORDS] if (record := parse_tlsa(text)) is not None]

    def _unknown(self, name: str, reason: str) -> HostUntrusted:
        # RFC 7672 §2.2: any error in looking up the records is no sign that there are none.
        text = f"the TLSA records of {name} cannot be looked up now" + (f": {reason}" if reason else "")
        return HostUntrusted(text, TlsSeen(dane=True, result=DNSSEC_INVALID, reason=reason))

    def _policy(self, route: Route, base: str, records: list[Tlsa]) -> TlsPolicy:
        published = tuple(map(str, records))
        matching = to_match(records)
        if not matching:
            # RFC 7672 §2.2: secure but unusable records promise TLS, and say nothing of certificates.
            return TlsPolicy(
                name="dane, nothing usable",
                use=TlsUse.REQUIRED,
                dane=True,
                published=published,
                objection="none of the TLSA records is usable",
            )
        return TlsPolicy(
            name="dane",
            use=TlsUse.REQUIRED,
            tlsa=matching,
            server_name=base,
            # RFC 7672 §3.2.2: the certificate may also name the domain that the mail is for.
            names=tuple(name for name in dict.fromkeys((base, route.domain, route.canonical)) if name),
            dane=True,
            published=published,
        )
