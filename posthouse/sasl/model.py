"""What a SASL exchange answers, and what it needs to know at its start (RFC 4422 §3).

An exchange is begun with the client's initial response (None: it sent none) and then stepped with each further
response until `NeedVerify`, `Done` or `Failed`. After one of those it must not be stepped again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class Challenge(msgspec.Struct, frozen=True):
    """Send this to the client (base64 and framing are the protocol's) and step with its response."""

    data: bytes


class NeedVerify(msgspec.Struct, frozen=True):
    """The client has named itself and given a password; the exchange is over, the caller verifies."""

    login: str
    password: str


class NeedKeys(msgspec.Struct, frozen=True):
    """The client has named itself: continue with `ScramExchange.give_keys`."""

    login: str


class NeedToken(msgspec.Struct, frozen=True):
    """The client has given a bearer token (empty: none), and perhaps the name it is for; the caller verifies."""

    login: str
    token: str


class Done(msgspec.Struct, frozen=True):
    """The client has proved to be `login`; `final` is to be sent as the last challenge, answered emptily."""

    login: str
    final: bytes


class Failed(msgspec.Struct, frozen=True):
    """The exchange is over. `reason` is for the log.

    `malformed`: the client broke the mechanism's grammar, as opposed to not knowing the password.
    """

    reason: str
    login: str = ""
    malformed: bool = True


Outcome = Challenge | NeedVerify | NeedKeys | NeedToken | Done | Failed


class ScramKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What the server keeps for SCRAM instead of the password (RFC 5802 §3)."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange must know of its connection."""

    nonce: str = ""
    """SCRAM: the server's part of the nonce, printable ASCII without comma, at least 128 bits of chance."""
    bindings: Mapping[str, bytes] = {}
    """Channel bindings that we can prove, by name (RFC 5056 §7): "tls-server-end-point", "tls-exporter"."""
    plus_offered: bool = False
    """Whether this connection was offered a -PLUS mechanism; then a client that says "y" was tampered with."""


class Exchange(Protocol):
    """One run of a mechanism."""

    def begin(self, initial: bytes | None) -> Outcome:
        """Start with the client's initial response, if it sent one."""
        ...

    def step(self, response: bytes) -> Outcome:
        """Continue with the response to the last challenge."""
        ...


class Mechanism(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of mechanisms."""

    name: str
    start: Callable[[Facts], Exchange]
    reveals_password: bool
    """The password itself goes over the wire: only under TLS, or where the policy allows it."""
    binds_channel: bool
    """A -PLUS mechanism: only under TLS, with a channel binding at hand."""
    tls_only: bool = False
    """Never without TLS, whatever the policy for passwords says."""
    rfc: str
