"""The one driver of SASL exchanges for SMTP, IMAP, POP3 and ManageSieve (RFC 4422): mechanism and directory meet here.

The protocol gives `ask`, which sends a challenge and returns the decoded response; it raises `Cancelled` when the
client sent "*". Base64 and the protocol's framing stay with the protocol.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login, LoginFailed
from posthouse.errors import PosthouseError
from posthouse.sasl.bearer import BearerExchange
from posthouse.sasl.mechanisms import SERVER_MECHANISMS, offered_mechanisms
from posthouse.sasl.model import (
    Challenge,
    Done,
    Exchange,
    Facts,
    Failed,
    NeedKeys,
    NeedToken,
    NeedVerify,
    ScramKeys,
)
from posthouse.sasl.scram import ScramExchange

__all__ = [
    "Cancelled",
    "ConnectionFacts",
    "MechanismUnknown",
    "ResponseMalformed",
    "authenticate_sasl",
    "offered_mechanisms",
]

Ask = Callable[[bytes], Awaitable[bytes]]


class MechanismUnknown(PosthouseError):
    """A mechanism that we do not have, or do not allow on this connection (no TLS)."""


class Cancelled(PosthouseError):
    """The client gave the exchange up with "*"."""


class ResponseMalformed(LoginFailed):
    """The client broke the mechanism's grammar (SMTP 501, IMAP BAD are possible; LoginFailed's reply is fine)."""


class ConnectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What logging in must know of a connection."""

    peer: str
    """The client's address; empty for a Unix socket."""
    tls: bool
    loopback: bool
    plaintext_policy: str = "loopback"
    """`auth.plaintext`."""
    server_end_point: bytes | None = None
    """RFC 5929 §4.1: the hash of our certificate."""
    door: str = "imap"
    """The protocol, one of `accounts.model.DOORS`."""
    exporter: bytes | None = None
    """RFC 9266: the exporter value with label EXPORTER-Channel-Binding."""
    conclude: Callable[[bytes], None] | None = None
    """Takes the data that goes with success, where the protocol has a place for it."""

    def bindings(self) -> dict[str, bytes]:
        """The channel bindings at hand, by name."""
        pairs = {"tls-server-end-point": self.server_end_point, "tls-exporter": self.exporter}
        return {name: value for name, value in pairs.items() if value is not None} if self.tls else {}

    def mechanisms(self) -> tuple[str, ...]:
        """What to offer here."""
        return offered_mechanisms(
            tls=self.tls,
            loopback=self.loopback,
            plaintext_policy=self.plaintext_policy,
            channel_binding=bool(self.bindings()),
        )


async def authenticate_sasl(
    directory: Directory, mechanism: str, initial: bytes | None, ask: Ask, facts: ConnectionFacts
) -> Login:
    """Run one exchange to its end.

    Raises MechanismUnknown, LoginFailed (ResponseMalformed), LoginDelayed, Temporary, and what `ask` raises
    (Cancelled).
    """
    name = mechanism.upper()
    offered = facts.mechanisms()
    if name not in offered:
        raise MechanismUnknown("this mechanism is not offered here")
    exchange = SERVER_MECHANISMS[name].start(
        Facts(
            nonce=secrets.token_urlsafe(24),
            bindings=facts.bindings(),
            plus_offered=any(row.endswith("-PLUS") for row in offered),
        )
    )
    if initial is not None:
        _check_size(initial)
    outcome = exchange.begin(initial)
    keys: ScramKeys | None = None
    for _ in range(limits.SASL_STEPS):
        if isinstance(outcome, Challenge):
            response = await ask(outcome.data)
            _check_size(response)
            outcome = exchange.step(response)
        elif isinstance(outcome, NeedKeys):
            assert isinstance(exchange, ScramExchange)
            keys = await directory.scram_keys(outcome.login)
            outcome = exchange.give_keys(keys)
        elif isinstance(outcome, NeedToken):
            return await _take_token(directory, name, exchange, outcome, ask, facts)
        else:
            return await _conclude(directory, name, outcome, keys, ask, facts)
    raise ResponseMalformed("the exchange does not end")


def _check_size(response: bytes) -> None:
    if len(response) > limits.SASL_RESPONSE:
        raise ResponseMalformed("the response is too long")


async def _take_token(
    directory: Directory,
    mechanism: str,
    exchange: Exchange,
    outcome: NeedToken,
    ask: Ask,
    facts: ConnectionFacts,
) -> Login:
    assert isinstance(exchange, BearerExchange)
    try:
        return await directory.with_token(outcome.login, outcome.token, facts.peer, mechanism, facts.door)
    except LoginFailed:
        # RFC 7628 §3.2.3: the reason goes as a challenge, and the client sends something that means nothing.
        await ask(exchange.refusal(facts.door).data)
        raise


async def _conclude(
    directory: Directory,
    mechanism: str,
    outcome: NeedVerify | Done | Failed,
    keys: ScramKeys | None,
    ask: Ask,
    facts: ConnectionFacts,
) -> Login:
    if isinstance(outcome, NeedVerify):
        return await directory.authenticate(
            outcome.login, outcome.password, facts.peer, mechanism, facts.door
        )
    if isinstance(outcome, Done):
        assert keys is not None  # only SCRAM proves by itself
        login = await directory.proved(outcome.login, facts.peer, mechanism, facts.door, keys)
        # RFC 4422 §3.6: data with the success goes as one more challenge where the protocol has no place for it.
        if facts.conclude is not None:
            facts.conclude(outcome.final)
        elif await ask(outcome.final):
            raise ResponseMalformed("the last response must be empty")
        return login
    if outcome.malformed:
        raise ResponseMalformed("the response breaks the mechanism's rules")
    await directory.refused(outcome.login, facts.peer)
    raise LoginFailed("wrong name or password")
