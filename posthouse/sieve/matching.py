"""The match types of the base language: `:is`, `:contains`, `:matches` (RFC 5228 §2.7.1).

A pattern of `:matches` is cut at its asterisks; each piece is looked for behind the one before, the last at the end.
Taking each piece where it is first found is what "as little as possible" means (RFC 5229 §3.2), and nothing is ever
tried twice. What a run compares is counted (`Machine.spend`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.tables import Match, MatchType

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_PATTERN: Final = re.compile(r"\\(.)|([*?])|([^\\*?]++|\\)", re.DOTALL)
CANDIDATE: Final = 100
"""What comparing one run of a pattern at one place costs, counted in characters looked at."""


def _is(match: Match, machine: Machine) -> bool:
    key = match.how.comparator.key
    machine.spend(match)
    keys = {key(text) for text in match.keys}
    return any(key(value) in keys for value in match.values)


def _contains(match: Match, machine: Machine) -> bool:
    machine.spend(match)
    values, keys = _folded(match)
    return any(key in value for value in values for key in keys)


def _matches(match: Match, machine: Machine) -> bool:
    machine.spend(match)
    values, keys = _folded(match)
    octets = match.how.comparator.octets and any("?" in key for key in keys)
    patterns = [glob(_octets(key) if octets else key) for key in keys]
    for value, folded in zip(match.values, values, strict=True):
        # A comparator that changes how many characters there are has only its own text to show.
        source = value if len(value) == len(folded) else folded
        if octets:
            source, folded = _octets(source), _octets(folded)
        for pattern in patterns:
            spans = pattern.match(folded, machine)
            if spans is not None:
                found = [source, *[source[start:end] for start, end in spans]]
                machine.matched([_characters(text) for text in found] if octets else found)
                return True
    return False


def _octets(text: str) -> str:
    """A text with a character for each of its octets in UTF-8, which is what `?` stands for (RFC 5228 §2.7.1)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def _characters(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _folded(match: Match) -> tuple[list[str], list[str]]:
    key = match.how.comparator.key
    return [str(key(value)) for value in match.values], [str(key(text)) for text in match.keys]


class Run(msgspec.Struct, frozen=True):
    """Characters of a piece between two `?`, and where in it they stand."""

    at: int
    text: str


class Piece(msgspec.Struct, frozen=True):
    """What stands between two asterisks: characters, and `?` for any one."""

    size: int
    wild: tuple[int, ...]
    """Where the `?` are."""
    runs: tuple[Run, ...]
    """What is between them, the longest first: it is looked for, the others are compared."""

    def find(self, value: str, start: int, end: int, machine: Machine) -> int:
        """Where it is first found from `start`, before `end`; -1: nowhere."""
        if start + self.size > end:
            return -1
        if not self.runs:
            return start
        anchor, *others = self.runs
        behind = end - self.size + anchor.at + len(anchor.text)
        found = value.find(anchor.text, start + anchor.at, behind)
        while found >= 0:
            at = found - anchor.at
            machine.charge(CANDIDATE * len(self.runs))
            if all(value.startswith(run.text, at + run.at) for run in others):
                return at
            found = value.find(anchor.text, found + 1, behind)
        return -1

    def stands(self, value: str, at: int, end: int, machine: Machine) -> bool:
        """Whether it is found just there, before `end`."""
        machine.charge(CANDIDATE * len(self.runs))
        return at + self.size <= end and all(value.startswith(run.text, at + run.at) for run in self.runs)


class Glob(msgspec.Struct, frozen=True):
    """A pattern of `:matches`: one piece more than it has asterisks."""

    pieces: tuple[Piece, ...]

    def match(self, value: str, machine: Machine) -> list[tuple[int, int]] | None:
        """Where in the value each wildcard stands for something, in their order; None: it does not match."""
        first, last, end = self.pieces[0], self.pieces[-1], len(value)
        if not first.stands(value, 0, end, machine):
            return None
        spans = [(at, at + 1) for at in first.wild]
        if len(self.pieces) == 1:
            return spans if first.size == end else None
        position, limit = first.size, end - last.size
        if limit < position or not last.stands(value, limit, end, machine):
            return None
        for piece in self.pieces[1:-1]:
            at = piece.find(value, position, limit, machine)
            if at < 0:
                return None
            spans.append((position, at))
            spans += [(at + wild, at + wild + 1) for wild in piece.wild]
            position = at + piece.size
        spans.append((position, limit))
        spans += [(limit + wild, limit + wild + 1) for wild in last.wild]
        return spans


def glob(pattern: str) -> Glob:
    """Read a pattern. A backslash takes away what `*` and `?` mean (RFC 5228 §2.7.1)."""
    pieces: list[list[str | None]] = [[]]
    for match in _PATTERN.finditer(pattern):
        escaped, wildcard, plain = match.groups()
        if wildcard == "*":
            pieces.append([])
        elif wildcard == "?":
            pieces[-1].append(None)
        else:
            pieces[-1].append(escaped if plain is None else plain)
    return Glob(tuple(_piece(parts) for parts in pieces))


def _piece(parts: Sequence[str | None]) -> Piece:
    wild: list[int] = []
    runs: list[Run] = []
    words: list[str] = []
    size = 0
    for part in [*parts, None]:
        if part is not None:
            words.append(part)
            continue
        text = "".join(words)
        if text:
            runs.append(Run(size, text))
        size += len(text)
        words = []
        wild.append(size)
        size += 1
    runs.sort(key=lambda run: -len(run.text))
    return Piece(size - 1, tuple(wild[:-1]), tuple(runs))


IS: Final = MatchType(name="is", find=_is)
CONTAINS: Final = MatchType(name="contains", find=_contains, substring=True)
MATCHES: Final = MatchType(name="matches", find=_matches, substring=True)
