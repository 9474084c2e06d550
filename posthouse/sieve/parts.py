"""The MIME parts of the message as it is now, for tests and commands that look into it. Found when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_BODY
from posthouse.message.mime import Part, below, scan
from posthouse.message.text import part_text

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_SCANNING: Final = 10
"""Octets whose parts are found in the time that it takes to compare one character."""
_READING: Final = 20
"""What reading an octet of their header sections costs, counted in characters looked at."""


class _Seen:
    """The parts that were found last, and of which message."""

    def __init__(self) -> None:
        self.content = b""
        self.root: Part | None = None


def root_part(machine: Machine) -> Part:
    """The part that is the whole message."""
    seen = machine.of(_Seen)
    if seen.root is None or seen.content is not machine.content:
        machine.charge(len(machine.content) // _SCANNING)
        root = scan(machine.content, machine.headers)
        seen.content, seen.root = machine.content, root
        machine.charge(_READING * sum(part.body_start - part.header_start for part in below(root)))
    return seen.root


def text_within(machine: Machine, part: Part, limit: int = SIEVE_BODY) -> str:
    """The text of a part that is not made of others, of its first octets at most, decoded and as lines with CRLF."""
    machine.charge(min(part.size, limit))
    return part_text(machine.content, part, limit)
