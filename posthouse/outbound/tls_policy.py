"""What a mail server must prove about its TLS before it gets mail: the one place that decides it.

Where nothing more is known it is opportunistic (RFC 7435): STARTTLS wherever it is offered, any certificate, and clear
text rather than no delivery. A smarthost is ours to know, so its certificate is verified. Policies that demand more of
a host are further implementations of `TlsPolicies` (`dane`, `mta_sts`): they get the route with its DNSSEC proof and
the host, and answer with a TlsPolicy.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Protocol

import msgspec

from posthouse.errors import Temporary
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.msgauth.tlsa import Tlsa
from posthouse.net.tls import client_context
from posthouse.outbound.mx import Host, Route
from posthouse.smtp.client_states import TlsUse


class TlsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What one host must prove."""

    name: str
    """For logs and `trace`: "opportunistic", "verified", …"""
    use: TlsUse
    verify: bool = False
    """The certificate must be valid for the host's name."""
    tlsa: tuple[Tlsa, ...] = ()
    """The certificate must match one of these (RFC 7672); all are usable."""
    server_name: str = ""
    """The name to ask for in TLS; empty: the host's."""
    names: tuple[str, ...] = ()
    """What the server may be called where `tlsa` asks for its name."""
    fallback: TlsPolicy | None = None
    """When the handshake fails, the same address is tried once more with this one."""
    immediate: bool = False
    """TLS from the first octet (RFC 8314 §3.3), no STARTTLS."""
    published: tuple[str, ...] = ()
    """The lines of the domain's own policy that asks for this, or its TLSA records; empty: nobody does."""
    dane: bool = False
    """They are TLSA records."""
    objection: str = ""
    """What the published policy has against the host although mail goes there; for the report."""

    def seen(self, result: str = "", reason: str = "") -> TlsSeen:
        """What a session came to, for the report on this policy."""
        return TlsSeen(policy=self.published, dane=self.dane, result=result, reason=reason)


class HostUntrusted(Temporary):
    """A host that must not get the mail now. `seen` says why, for the report."""

    def __init__(self, public: str, seen: TlsSeen) -> None:
        super().__init__(public)
        self.seen = seen


CLEAR: Final = TlsPolicy(name="none", use=TlsUse.NEVER)
# RFC 7435 §3: a failed handshake must not keep mail from a host that also takes it in clear.
OPPORTUNISTIC: Final = TlsPolicy(name="opportunistic", use=TlsUse.IF_OFFERED, fallback=CLEAR)
VERIFIED: Final = TlsPolicy(name="verified", use=TlsUse.REQUIRED, verify=True)
VERIFIED_IMMEDIATE: Final = TlsPolicy(name="verified", use=TlsUse.NEVER, verify=True, immediate=True)


class TlsPolicies(Protocol):
    """Decides for each host of a route. Raises Temporary, mostly HostUntrusted, for one that is passed over now."""

    async def for_host(self, route: Route, host: Host) -> TlsPolicy:
        """What this host must prove for mail to this route's domain."""
        ...


class Opportunistic:
    """The policy where nothing more is known."""

    async def for_host(self, route: Route, host: Host) -> TlsPolicy:
        """Any TLS is better than none, and clear text better than no delivery."""
        return OPPORTUNISTIC


class TlsContexts:
    """Our client contexts, made at first use in a thread (reading the system's authorities takes a while)."""

    def __init__(self) -> None:
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def context(self, *, verify: bool) -> ssl.SSLContext:
        """The context that verifies certificates, or takes any."""
        found = self._contexts.get(verify)
        if found is None:
            found = self._contexts[verify] = await asyncio.to_thread(client_context, verify)
        return found
