"""What one IMAP command is: a row of the table, its outcome, and the errors a parser or runner may raise.

A row is data: name, legal states, parser, runner, whether expunges may be announced with it, the
capabilities that it brings, and where it is written. Parsers are pure: `parse(reader, uid)` begins behind
the command's name and must end at the command's end. Runners send untagged data through the session and
return a Completion, or None for a plain OK; they raise No or Bad to refuse. They contain no state check,
timing, error catching or tagged line: `dispatch` does that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec

from posthouse.imap.grammar import Reader
from posthouse.imap.refusal import Bad, No
from posthouse.imap.session import Session, State

__all__ = [
    "ANY",
    "AUTHENTICATED",
    "NOT_AUTHENTICATED",
    "SELECTED",
    "Bad",
    "Command",
    "Completion",
    "No",
    "State",
    "no_arguments",
]

A = TypeVar("A")


ANY: Final = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
NOT_AUTHENTICATED: Final = frozenset({State.NOT_AUTHENTICATED})
AUTHENTICATED: Final = frozenset({State.AUTHENTICATED, State.SELECTED})
"""RFC 9051 §6.3: commands of the authenticated state are also valid in the selected state."""
SELECTED: Final = frozenset({State.SELECTED})


class Completion(msgspec.Struct, frozen=True):
    """How a command ended well: what the tagged OK carries."""

    code: bytes = b""
    """Response code without its brackets, such as `READ-ONLY`."""
    text: str = ""
    """Words for people; empty: "NAME completed"."""
    then: Callable[[Session], Awaitable[None]] | None = None
    """What is done after the tagged line has been sent (STARTTLS)."""


class Command(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """One row of the command table."""

    name: bytes
    """In capitals, without `UID`."""
    states: frozenset[State]
    parse: Callable[[Reader, bool], A]
    """(reader behind the name, whether it came as `UID name`) → arguments."""
    run: Callable[[Session, A], Awaitable[Completion | None]]
    uid: bool = False
    """Whether `UID name` exists (RFC 9051 §6.4.9)."""
    uid_only: bool = False
    """Whether only `UID name` exists."""
    expunges: bool = True
    """Whether EXPUNGE may be announced with the plain form; with `UID` it always may (RFC 9051 §7.5.1)."""
    waits: bool = False
    """Whether it waits for the client by its nature, so that long is not slow."""
    too_large: bytes = b""
    """The response code of the NO for a literal over the limit; empty: that is answered BAD [TOOBIG]."""
    capabilities: tuple[bytes, ...] = ()
    """What CAPABILITY says because this command is here."""
    rfc: str
    """Where it is defined."""


def no_arguments(reader: Reader, uid: bool) -> None:
    """The parser of commands without arguments."""
    reader.end()
