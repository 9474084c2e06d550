"""Where an IMAP command ends: lines, and the literals that tie them together (RFC 9051 §4.3, RFC 7888).

Pure: the caller reads a line, gives it to a Frame, and does what the Step says: read a literal, hand the
message literal of an APPEND or REPLACE to its runner, run the command, or refuse it. A Frame holds at most
its limit of octets. Announcing a literal of the synchronising kind is refused without a
continuation, so the client never sends it; the octets of the other kind come anyway and are to be skipped
(`Refused.skip`).
"""

from __future__ import annotations

import enum
import re

import msgspec

from posthouse import limits

_HEADER = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
_STORES_MESSAGE = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE [^ {]+) ", re.IGNORECASE)
"""Up to the mailbox's name (RFC 9051 §6.3.12, RFC 8508 §5)."""
_REPLACE_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')


class Literal(msgspec.Struct, frozen=True):
    """What announces a literal at the end of a line."""

    size: int
    """Octets."""
    synchronizing: bool
    """Whether the client waits for our `+` before it sends them."""
    binary: bool
    """literal8: NUL may occur."""
    start: int
    """Where the announcement begins in the line."""


def announced_literal(line: bytes) -> Literal | None:
    """The literal that a line (without CRLF) announces at its end."""
    if line[-1:] != b"}":
        return None
    found = _HEADER.search(line, max(0, len(line) - 24))
    if found is None:
        return None
    return Literal(int(found.group(2)), not found.group(3), bool(found.group(1)), found.start())


def tag_of(line: bytes) -> bytes:
    """The tag for a reply to a command that cannot be read, or `*` when it has none."""
    found = _REPLACE_TAG.match(line[: limits.IMAP_TAG])
    return found.group() if found is not None and line[found.end() : found.end() + 1] == b" " else b"*"


class Step(enum.Enum):
    """What to do next for a command."""

    RUN = "run"
    """It is complete."""
    LITERAL = "literal"
    """Read `frame.literal` (after a `+` when it is synchronising), then a further line."""
    MESSAGE = "message"
    """It is an APPEND or REPLACE, complete up to its first message literal `frame.literal`, which the runner reads."""
    REFUSE = "refuse"
    """Too large: answer so; the octets of `frame.literal` come anyway unless it is synchronising."""


class Frame:
    """Gathers one command."""

    __slots__ = ("_appends", "_command_limit", "_limit", "_parts", "_size", "literal")

    def __init__(
        self, *, literal_limit: int, appends: bool, command_limit: int = limits.IMAP_COMMAND
    ) -> None:
        """`literal_limit`, `command_limit`: octets of one literal and of all together, lines included;
        `appends`: whether APPEND and REPLACE may hand out message literals."""
        self._limit = literal_limit
        self._command_limit = command_limit
        self._appends = appends
        self._parts: list[bytes] = []
        self._size = 0
        self.literal: Literal | None = None

    def line(self, line: bytes) -> Step:
        """Take a line without its CRLF."""
        self.literal = literal = announced_literal(line)
        first = not self._parts
        if first:
            self._appends = self._appends and _STORES_MESSAGE.match(line) is not None
        self._parts.append(line)
        self._size += len(line)
        if literal is None:
            return Step.REFUSE if self._size > self._command_limit else Step.RUN
        if self._appends and not (first and self._is_mailbox(line, literal)):
            return Step.MESSAGE
        if literal.size > self._limit or self._size + literal.size > self._command_limit:
            return Step.REFUSE
        return Step.LITERAL

    def take(self, octets: bytes) -> None:
        """Take the literal that was asked for."""
        self._parts += (b"\r\n", octets)
        self._size += len(octets) + 2

    def command(self) -> bytes:
        """The whole command, without its last CRLF."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    @staticmethod
    def _is_mailbox(line: bytes, literal: Literal) -> bool:
        # The first literal may be the mailbox name; whatever comes later is a message.
        found = _STORES_MESSAGE.match(line)
        return found is not None and found.end() == literal.start
