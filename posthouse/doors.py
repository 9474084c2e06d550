"""The listeners there are: what is spoken at each, and the role that asks for it."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.imap.server import BUSY as IMAP_BUSY
from posthouse.managesieve.server import BUSY as SIEVE_BUSY
from posthouse.net.health import BUSY as HEALTH_BUSY
from posthouse.pop3.server import BUSY as POP3_BUSY
from posthouse.web.server import BUSY as HTTP_BUSY


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """A listener: what is spoken at it, and the role that asks for it."""

    name: str
    """The key in `[listen]`."""
    role: str
    protocol: str
    tls_first: bool = False


DOORS: Final = (
    Door(name="smtp", role="mx", protocol="mx"),
    Door(name="submission", role="submission", protocol="submission"),
    Door(name="submissions", role="submission", protocol="submission", tls_first=True),
    Door(name="lmtp", role="lmtp", protocol="lmtp"),
    Door(name="imap", role="imap", protocol="imap"),
    Door(name="imaps", role="imap", protocol="imap", tls_first=True),
    Door(name="pop3", role="pop3", protocol="pop3"),
    Door(name="pop3s", role="pop3", protocol="pop3", tls_first=True),
    Door(name="sieve", role="sieve", protocol="sieve"),
    Door(name="http", role="web", protocol="web"),
    Door(name="https", role="web", protocol="web", tls_first=True),
)
HEALTH: Final = Door(name="health", role="", protocol="health")
"""Open whatever the roles are."""
QUEUE_ROLE: Final = "queue"
JOBS_ROLE: Final = "jobs"
"""Whatever is done behind everybody's back: deriving, indexing, sweeping, forgetting what is old."""
ROLES: Final = frozenset({door.role for door in DOORS} | {QUEUE_ROLE, JOBS_ROLE})

XCLIENT_PROTOCOLS: Final = ("mx", "submission", "lmtp")
"""Where hosts in `xclient` may tell whose mail they hand on."""

_BUSY: Final = {
    "imap": IMAP_BUSY,
    "pop3": POP3_BUSY,
    "sieve": SIEVE_BUSY,
    "web": HTTP_BUSY,
    "health": HEALTH_BUSY,
}


def role_of(name: str) -> str:
    """The role that serves a listener; empty: whatever the roles are, or none."""
    return next((door.role for door in DOORS if door.name == name), "")


def busy_line(protocol: str, hostname: str) -> bytes:
    """What a protocol says when there are too many connections; RFC 5321 §3.8 for SMTP."""
    return _BUSY.get(protocol) or f"421 4.3.2 {hostname} Too many connections, try later\r\n".encode()
