"""Where a server session may stand, and which command is legal there: the table that the core obeys.

A command outside its states is answered 503 (RFC 5321 §4.1.4); one that a role does not have, 500.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from posthouse.smtp.extensions import Role


class State(enum.Enum):
    """Where a session stands."""

    CONNECTED = "connected"
    """The greeting has not been given."""
    GREETED = "greeted"
    """Nobody has said HELO."""
    READY = "ready"
    MAIL = "mail"
    """A sender is accepted."""
    RCPT = "rcpt"
    """So is at least one recipient."""
    BDAT = "bdat"
    """Some chunks have come, the last one has not."""
    CLOSED = "closed"


ANY: Final = frozenset({State.GREETED, State.READY, State.MAIL, State.RCPT, State.BDAT})
WITHIN: Final = frozenset({State.MAIL, State.RCPT})

LEGAL: Final[Mapping[bytes, frozenset[State]]] = MappingProxyType(
    {
        b"EHLO": ANY,
        b"HELO": ANY,
        b"LHLO": ANY,
        b"MAIL": frozenset({State.READY}),
        b"RCPT": WITHIN,
        b"DATA": WITHIN,
        b"BDAT": ANY,  # its octets follow in any state: see ServerCore._bdat
        b"RSET": ANY,
        b"NOOP": ANY,
        b"QUIT": ANY,
        b"VRFY": ANY,
        b"EXPN": ANY,
        b"HELP": ANY,
        b"STARTTLS": frozenset({State.READY}),
        b"AUTH": frozenset({State.READY}),
        b"XCLIENT": frozenset({State.GREETED, State.READY}),
    }
)
"""The states in which a command may be given."""

NOT_IN: Final[Mapping[Role, frozenset[bytes]]] = MappingProxyType(
    {
        Role.MX: frozenset({b"LHLO"}),
        Role.SUBMISSION: frozenset({b"LHLO"}),
        # RFC 2033 §4.1: LHLO takes the place of HELO and EHLO.
        Role.LMTP: frozenset({b"HELO", b"EHLO", b"HELP"}),
    }
)


def out_of_order(state: State, verb: bytes, role: Role) -> str:
    """What to do first, or why not now."""
    if state is State.GREETED:
        return "Say LHLO first" if role is Role.LMTP else "Say EHLO first"
    if state is State.BDAT:
        return "The last chunk has not come"
    if verb in (b"RCPT", b"DATA"):
        return "Say MAIL first"
    return "Not within a transaction"


PROGRESS: Final = frozenset({b"MAIL", b"RCPT", b"DATA", b"BDAT"})
"""Commands that move a transaction on; the others are counted while none does."""

FOREIGN: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"})
"""A web client was led to us by somebody else: nothing that it says is meant for us."""

SHOWS_PASSWORD: Final = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})
"""Mechanisms that show the password (RFC 4954 §4: 538 where they would need TLS)."""
