"""The tables of the SMTP client: its states, what the driver owes in each, time limits, and results.

`client_core` is the machine that moves through them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from posthouse import limits
from posthouse.smtp.replies import Reply

NO_TLS: Final = "4.7.4"
"""RFC 3463 §3.8, as the status of our own word: TLS is required here and the server offers none."""


class Want(enum.Enum):
    """What the driver must do next (`client_core` has the table)."""

    REPLY = enum.auto()
    HANDSHAKE = enum.auto()
    READY = enum.auto()
    CONTENT = enum.auto()
    DONE = enum.auto()
    CLOSED = enum.auto()


class State(enum.Enum):
    """Where the session stands."""

    GREETING = enum.auto()
    EHLO = enum.auto()
    HELO = enum.auto()
    STARTTLS = enum.auto()
    HANDSHAKE = enum.auto()
    AUTH = enum.auto()
    READY = enum.auto()
    ENVELOPE = enum.auto()
    CONTENT = enum.auto()
    FINAL = enum.auto()
    DONE = enum.auto()
    QUIT = enum.auto()
    CLOSED = enum.auto()


WANTED: Final[Mapping[State, Want]] = MappingProxyType(
    {
        State.GREETING: Want.REPLY,
        State.EHLO: Want.REPLY,
        State.HELO: Want.REPLY,
        State.STARTTLS: Want.REPLY,
        State.HANDSHAKE: Want.HANDSHAKE,
        State.AUTH: Want.REPLY,
        State.READY: Want.READY,
        State.ENVELOPE: Want.REPLY,
        State.CONTENT: Want.CONTENT,
        State.FINAL: Want.REPLY,
        State.DONE: Want.DONE,
        State.QUIT: Want.REPLY,
        State.CLOSED: Want.CLOSED,
    }
)


class TlsUse(enum.Enum):
    """What STARTTLS is to us on this connection."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    REQUIRED = "required"


class Credentials(msgspec.Struct, frozen=True):
    """Name and password for AUTH. Never in a repr: they would end in a log."""

    name: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Credentials({self.name!r})"


class Verb(enum.Enum):
    """A command of a transaction that waits for its reply."""

    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"


# RFC 5321 §4.5.3.2: the least time limits that a client should have, per command.
TIMEOUTS: Final[Mapping[State | Verb, float]] = MappingProxyType(
    {
        State.GREETING: limits.OUTBOUND_GREETING_TIMEOUT,
        State.EHLO: limits.OUTBOUND_COMMAND_TIMEOUT,
        State.HELO: limits.OUTBOUND_COMMAND_TIMEOUT,
        State.STARTTLS: limits.OUTBOUND_COMMAND_TIMEOUT,
        State.AUTH: limits.OUTBOUND_COMMAND_TIMEOUT,
        Verb.RSET: limits.OUTBOUND_COMMAND_TIMEOUT,
        Verb.MAIL: limits.OUTBOUND_COMMAND_TIMEOUT,
        Verb.RCPT: limits.OUTBOUND_COMMAND_TIMEOUT,
        Verb.DATA: limits.OUTBOUND_DATA_TIMEOUT,
        State.CONTENT: limits.OUTBOUND_BLOCK_TIMEOUT,
        State.FINAL: limits.OUTBOUND_FINAL_TIMEOUT,
        State.QUIT: limits.OUTBOUND_QUIT_TIMEOUT,
    }
)


class Command(msgspec.Struct, frozen=True):
    """A command of the envelope, to be sent or waiting for its reply."""

    verb: Verb
    line: bytes
    recipient: int = -1


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction came to for one recipient."""

    reply: Reply
    verb: str
    """What the reply answers: "MAIL", "RCPT", "DATA", "end of message"; empty: it is our own, see `local`."""
    local: bool = False
    """Nobody replied: the connection broke, or we refused to send."""
    ambiguous: bool = False
    """The connection broke after the final dot: the server may have the message (RFC 5321 §4.5.3.2.6)."""
