"""What the groups of a regular expression stand for in a match, as POSIX says (IEEE 1003.1 §9.1).

Of what stands in a row, the first is as long as it can be, then the next; of alternatives the first that fits is
taken; of what is repeated the last time counts. A part's length is found by going through it from its beginning and
through what follows from the end, so here too nothing is tried twice.
"""

from __future__ import annotations

from posthouse.sieve.ere import Matcher, Met, Piece
from posthouse.sieve.ere_syntax import Alternatives, Group, Repeated


def groups(matcher: Matcher, text: str, most: int) -> list[str] | None:
    """The match and its groups up to a number; None: there is no match. A group that takes no part is empty."""
    span = matcher.span(text)
    if span is None:
        return None
    count = min(matcher.program.groups, most)
    found = [text[slice(*span)], *[""] * count]
    _Finder(matcher, text, found).find(matcher.program.root, *span)
    return found


class _Finder:
    def __init__(self, matcher: Matcher, text: str, found: list[str]) -> None:
        self._matcher = matcher
        self._text = text
        self._found = found

    def find(self, piece: Piece, start: int, end: int) -> None:
        """The groups in a piece that matches from a place to another."""
        if not piece.has_groups or start == end:
            return
        match piece.node:
            case Group(number=number):
                if number < len(self._found):
                    self._found[number] = self._text[start:end]
                self.find(piece.parts[0], start, end)
            case Alternatives():
                self._alternatives(piece, start, end)
            case Repeated():
                self._repeated(piece, start, end)
            case _:
                self._sequence(piece, start, end)

    def _alternatives(self, piece: Piece, start: int, end: int) -> None:
        for part in piece.parts:
            reached = list(self._matcher.onward(part, self._text, start, end))
            if len(reached) == end - start + 1 and reached[-1].has(part.last):
                self.find(part, start, end)
                return

    def _sequence(self, piece: Piece, start: int, end: int) -> None:
        ways = self._matcher.backward(piece, self._text, end, start)
        for part in piece.parts:
            after = end if part is piece.parts[-1] else self._longest(part, start, end, ways)
            self.find(part, start, after)
            start = after

    def _repeated(self, piece: Piece, start: int, end: int) -> None:
        (part,) = piece.parts
        ways = self._matcher.backward(piece, self._text, end, start)
        while (after := self._longest(part, start, end, ways)) not in {start, end}:
            start = after
        self.find(part, start, end)

    def _longest(self, part: Piece, start: int, end: int, ways: list[Met]) -> int:
        """The last place where a part can end so that what follows it ends at the end of all."""
        last = start
        for at, met in enumerate(self._matcher.onward(part, self._text, start, end), start):
            if met.has(part.last) and end - at < len(ways) and ways[end - at].has(part.last):
                last = at
        return last
