"""The configuration file as frozen values: one small TOML file (docs/config.md).

Unknown keys are errors that name the nearest known one. Secrets may be written `{file = "…"}` or
`{env = "…"}`. Durations are text such as "5m" and become seconds; sizes are text such as "50MB" and become
octets. Only `app`, `cli` and `supervisor` may import `Config` itself; everyone else receives the struct it needs.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from posthouse import limits


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where we listen; each a list of "address:port", "[v6]:port" or "unix:PATH". Empty: not offered."""

    smtp: tuple[str, ...] = ()
    submission: tuple[str, ...] = ()
    submissions: tuple[str, ...] = ()
    lmtp: tuple[str, ...] = ()
    imap: tuple[str, ...] = ()
    imaps: tuple[str, ...] = ()
    pop3: tuple[str, ...] = ()
    pop3s: tuple[str, ...] = ()
    sieve: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our certificate chain and key (PEM). Both empty: a self-signed P-256 pair is made at first start."""

    certificate: Path | None = None
    key: Path | None = None


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may log in how."""

    plaintext: str = "loopback"
    """A password without TLS: "never", "loopback" (only from this machine), "always"."""
    default_domain: str = ""
    """Login names without @ belong to this domain."""
    password_hash: str = "argon2id"
    """How new passwords are hashed: "argon2id" or "scram-sha-256" (PBKDF2 alone, for small machines)."""


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where mail is kept; paths are relative to the data folder."""

    url: str = "sqlite:mail.db"
    blobs: str = "packs:blobs"


class Dns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which name servers we ask."""

    servers: tuple[str, ...] = ()
    """"address" or "address:port"; empty: the system's."""
    trust_ad: str = "loopback"
    """Whose AD bit counts as DNSSEC proof: "loopback", "never", or "always"."""
    timeout: float = limits.DNS_TIMEOUT
    """Seconds for one question, all servers and tries together."""


class Outbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail leaves us."""

    port: int = 25
    """The SMTP port of other people's servers (a playground uses another)."""
    relay: str = ""
    """"smtp://user:pass@host:587" or "smtps://…": send everything through this smarthost."""
    source: tuple[str, ...] = ()
    """Local addresses to send from, IPv4 and IPv6; empty: the system chooses."""
    retry: tuple[float, ...] = (60, 300, 900, 1800, 3600, 7200, 14400)
    """Seconds from one attempt to the next; the last one repeats. Jitter of ±10 % is added."""
    expire: float = 5 * 86400
    """Seconds in the queue after which a recipient fails (RFC 5321 §4.5.4.1: at least 4-5 days)."""
    delay_notice: float = 4 * 3600
    """Seconds in the queue after which the sender is told once; 0: never."""
    concurrency: int = limits.OUTBOUND_CONCURRENCY
    """Deliveries under way at once, all destinations together."""
    per_destination: int = limits.OUTBOUND_PER_DESTINATION
    """Connections at once to one destination domain."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail arrives."""

    trusted: tuple[str, ...] = ()
    """Networks (CIDR) of our own other hosts, such as a backup MX: the sender checks are theirs."""
    verify_cache: float = 7200
    """Seconds that a backup MX remembers the primary's word on a recipient."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits an administrator may change; the rest are in limits.py."""

    message_size: int = 50 * limits.MB
    """Octets of one message (SIZE, APPENDLIMIT)."""
    recipients: int = limits.SMTP_RECIPIENTS
    """Recipients of one transaction (RFC 5321 §4.5.3.1.8: at least 100)."""
    connections: int = limits.CONNECTIONS
    """Open connections in all."""
    connections_per_address: int = limits.CONNECTIONS_PER_ADDRESS
    """Open connections from one address (IPv6: one /64); loopback is not counted."""
    account_quota: int = 0
    """Octets for an account that has no quota of its own; 0: unlimited."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Paths are absolute once loaded."""

    hostname: str
    data: Path = Path("data")
    workers: int = 1
    listen: Listen = msgspec.field(default_factory=Listen)
    tls: Tls = msgspec.field(default_factory=Tls)
    auth: Auth = msgspec.field(default_factory=Auth)
    store: Store = msgspec.field(default_factory=Store)
    dns: Dns = msgspec.field(default_factory=Dns)
    outbound: Outbound = msgspec.field(default_factory=Outbound)
    inbound: Inbound = msgspec.field(default_factory=Inbound)
    limits: Limits = msgspec.field(default_factory=Limits)
