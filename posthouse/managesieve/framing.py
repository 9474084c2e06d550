"""ManageSieve's framing (RFC 5804 §1.2, §4): lines and counted octets in, the arguments of one command out.

Pure. A line that ends with `{n+}` is followed by n octets and goes on behind them; the client waits for nobody there,
so what is refused must still be passed over. Until a command is wholly here nothing of it is looked at.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from posthouse.limits import SIEVE_LITERALS, SIEVE_SKIP

# RFC 5804 §4: literal-c2s. The digits are bounded before they are made a number.
_LITERAL: Final = re.compile(rb"\{(\d{1,10})\+\}\Z")
_ENDLESS: Final = re.compile(rb"\{\d{11,}\+\}\Z")
_ATOM: Final = re.compile(rb"[!#-'*-\[\]-z|~}]+")
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*+)"')
_NUMBER: Final = re.compile(rb"\d{1,10}(?![^ ])")
_SPECIAL: Final = re.compile(rb'\\(["\\])')
_NUMBER_END: Final = 2**32


class Malformed(Exception):
    """What came is no command. The text says it to the client."""


class Unbearable(Exception):
    """The client announces more than will be passed over: the connection must end."""


class Literal(msgspec.Struct, frozen=True):
    """Octets that come next; not `kept`: they are too many, and are passed over."""

    octets: int
    kept: bool


class TooLong(msgspec.Struct, frozen=True):
    """In place of a string that was passed over."""

    octets: int


Value = bytes | int | TooLong
"""A string (its octets), a number, or what was too long to be kept."""


class Gathering:
    """One command as it comes. Give it lines and literals until `line` asks for nothing more."""

    __slots__ = ("_lines", "_literals", "_room", "_skipped")

    def __init__(self, room: int) -> None:
        """`room`: octets of the largest literal that is kept."""
        self._room = room
        self._lines: list[bytes] = []
        self._literals: list[bytes | TooLong] = []
        self._skipped = 0

    def line(self, text: bytes) -> Literal | None:
        """A line without its end; the literal that follows, or None when the command is whole. Unbearable."""
        self._lines.append(text)
        found = _LITERAL.search(text)
        if found is None:
            if _ENDLESS.search(text):
                raise Unbearable("The literal is too long")
            return None
        octets = int(found[1])
        kept = octets <= self._room
        if not kept:
            self._skipped += octets
        if self._skipped > SIEVE_SKIP or len(self._literals) >= SIEVE_LITERALS:
            raise Unbearable("The command is too long")
        if not kept:
            self._literals.append(TooLong(octets))
        return Literal(octets, kept)

    def literal(self, octets: bytes) -> None:
        """The octets of a literal that is kept."""
        self._literals.append(octets)

    def command(self) -> tuple[bytes, tuple[Value, ...]]:
        """The command's name in upper case, and its arguments. Malformed."""
        name = _ATOM.match(self._lines[0])
        if name is None:
            raise Malformed("A command begins with its name")
        return name[0].upper(), self._values(name.end())

    def string(self) -> bytes:
        """The only string of what is no command: an answer to a challenge. Malformed."""
        # as if a name stood in front
        self._lines[0] = b" " + self._lines[0]
        values = self._values(0)
        if len(values) != 1 or not isinstance(values[0], bytes):
            raise Malformed("A response is one string")
        return values[0]

    def _values(self, start: int) -> tuple[Value, ...]:
        found: list[Value] = []
        literals = iter(self._literals)
        last = len(self._lines) - 1
        for number, line in enumerate(self._lines):
            end = len(line)
            if number < last:
                end = line.rindex(b"{")
            position = self._between(line, start if number == 0 else 0, end, found)
            if number < last:
                if line[position - 1 : position] != b" ":
                    raise Malformed("A space is missing before a string")
                found.append(next(literals))
        return tuple(found)

    def _between(self, line: bytes, position: int, end: int, found: list[Value]) -> int:
        """Read what stands in a line, each argument behind a space, up to `end`; where that is."""
        while position < end:
            if line[position : position + 1] != b" ":
                raise Malformed("A space is missing between arguments")
            while position < end and line[position : position + 1] == b" ":
                position += 1
            if position == end:
                break
            match = _QUOTED.match(line, position, end)
            if match is not None:
                found.append(_SPECIAL.sub(rb"\1", match[1]))
            else:
                match = _NUMBER.match(line, position, end)
                if match is None or int(match[0]) >= _NUMBER_END:
                    raise Malformed("An argument is a string or a number")
                found.append(int(match[0]))
            position = match.end()
        return position
