"""The smarthost of `outbound.relay`: a URL that sends everything through one server.

    smtp://user:password@relay.example:587      STARTTLS, its certificate verified, then login
    smtps://user:password@relay.example:465     TLS from the first octet (RFC 8314 §3.3)
    smtp://relay.example                        port 25, TLS if offered, no login

`?tls=` changes what is asked of TLS: "verified", "any" (needed, but any certificate will do) or "opportunistic".
Without it, a login needs verified TLS, except on this very machine. Name and password are percent-encoded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from posthouse.outbound.tls_policy import OPPORTUNISTIC, VERIFIED, VERIFIED_IMMEDIATE, TlsPolicy
from posthouse.smtp.client_states import Credentials, TlsUse

_ANY: Final = TlsPolicy(name="any certificate", use=TlsUse.REQUIRED)
_ANY_IMMEDIATE: Final = TlsPolicy(name="any certificate", use=TlsUse.NEVER, immediate=True)
_POLICIES: Final[Mapping[tuple[str, str], TlsPolicy]] = MappingProxyType(
    {
        ("smtp", "verified"): VERIFIED,
        ("smtp", "any"): _ANY,
        ("smtp", "opportunistic"): OPPORTUNISTIC,
        ("smtps", "verified"): VERIFIED_IMMEDIATE,
        ("smtps", "any"): _ANY_IMMEDIATE,
    }
)
_PORTS: Final[Mapping[str, int]] = MappingProxyType({"smtp": 25, "smtps": 465})


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A smarthost."""

    host: str
    port: int
    policy: TlsPolicy
    login: Credentials | None = None


def parse_relay(url: str) -> Relay | None:
    """Read `outbound.relay`; empty: None. Raises ValueError with a text for the administrator (no password in it)."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("outbound.relay must look like smtp://user:password@host:port or smtps://…")
    login = None
    if parts.username is not None:
        login = Credentials(unquote(parts.username), unquote(parts.password or ""))
    options = dict(parse_qsl(parts.query))
    wanted = options.pop("tls", "") or _usual(parts.scheme, parts.hostname, login)
    policy = _POLICIES.get((parts.scheme, wanted))
    if policy is None or options:
        raise ValueError(
            "outbound.relay: ?tls= is verified, any or (with smtp) opportunistic; nothing else is known"
        )
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ValueError("outbound.relay: the port is not a number") from None
    return Relay(host=parts.hostname, port=port, policy=policy, login=login)


def _usual(scheme: str, host: str, login: Credentials | None) -> str:
    if scheme == "smtps":
        return "verified"
    return "opportunistic" if login is None or _is_here(host) else "verified"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
