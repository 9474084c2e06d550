"""Matches texts with extended regular expressions, in time that grows with the text alone.

An expression becomes an automaton whose states are the bits of a number. All its ways are gone at the same time, a
character after the other, and no place of the text is looked at twice: there is nothing to go back to, whatever
expression and text are. Sets of states that were met before are remembered with where each character leads to. What
all this costs is counted (`charge`).

The match is the leftmost and of these the longest (IEEE 1003.1 §9.1); `ere_groups.py` finds what its groups are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from posthouse.limits import SIEVE_REGEX_STATES
from posthouse.sieve.ere_size import states_of
from posthouse.sieve.ere_syntax import (
    Alternatives,
    Anchor,
    Characters,
    EreError,
    Expression,
    Group,
    Node,
    Repeated,
    Sequence,
)

Charge = Callable[[int], None]
"""Counts work, in characters looked at."""
_SCANNED: Final = 40
"""What going one character on costs, counted in characters looked at."""
_NEW: Final = 150
"""What it costs where that character was not met before."""
_MET: Final = 400
"""What finding a set of states costs, for each of them."""
_BLOCK: Final = 256
"""Characters that are counted at once."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an expression, and the states that are its own: from its first to its last."""

    node: Node
    first: int
    last: int
    parts: tuple[Piece, ...] = ()
    has_groups: bool = False

    @property
    def states(self) -> int:
        """All of them, as bits."""
        return (1 << (self.last + 1)) - (1 << self.first)


def refuse_large(expression: Expression) -> None:
    """EreError when its automaton would be too large."""
    if states_of(expression.root) > SIEVE_REGEX_STATES:
        raise EreError("the regular expression is too large; what it repeats counts as often as it is")


class Program:
    """An expression made ready. EreError: it is too large."""

    def __init__(self, expression: Expression, *, fold: bool) -> None:
        self.groups = expression.groups
        self._fold = fold
        self._literals: dict[str, int] = {}
        """By character: the states that it alone leads on from, to the next."""
        self._sets: dict[Characters, int] = {}
        """The states that one of several characters leads on from."""
        self.onward: list[int] = []
        """For each state, those that nothing parts from it."""
        self.backward: list[int] = []
        self.anchored: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """Where the text begins, and where it ends, these are not parted either."""
        self._accepting: dict[str, int] = {}
        refuse_large(expression)
        self.root = self._built(expression.root)

    # --- how it is made -----------------------------------------------------------------------------------------

    def _state(self) -> int:
        self.onward.append(0)
        self.backward.append(0)
        return len(self.onward) - 1

    def _join(self, one: int, other: int) -> None:
        self.onward[one] |= 1 << other
        self.backward[other] |= 1 << one

    def _built(self, node: Node, first: int | None = None) -> Piece:
        match node:
            case Characters():
                return self._characters(node, self._state() if first is None else first)
            case Anchor(at_end=at_end):
                one, other = self._state(), self._state()
                self.anchored[at_end][one] = other
                return Piece(node=node, first=one, last=other)
            case Group(inner=inner):
                piece = self._built(inner)
                return Piece(node=node, first=piece.first, last=piece.last, parts=(piece,), has_groups=True)
            case Sequence(parts=parts):
                return self._sequence(node, parts)
            case Alternatives(parts=parts):
                return self._alternatives(node, parts)
            case Repeated():
                return self._repeated(node)

    def _characters(self, node: Characters, first: int) -> Piece:
        last = self._state()
        bit = 1 << first
        if len(node.singles) == 1 and not (node.negated or node.ranges or node.classes):
            (char,) = node.singles
            both = {char, char.swapcase()} if self._fold and char.isascii() else {char}
            for each in both:
                self._literals[each] = self._literals.get(each, 0) | bit
        else:
            self._sets[node] = self._sets.get(node, 0) | bit
        return Piece(node=node, first=first, last=last)

    def _sequence(self, node: Node, parts: tuple[Node, ...]) -> Piece:
        pieces: list[Piece] = []
        for part in parts:
            before = pieces[-1] if pieces else None
            if before is not None and isinstance(part, Characters) and isinstance(before.node, Characters):
                # Where one character ends the next may begin: nothing leads back to there.
                pieces.append(self._built(part, before.last))
                continue
            piece = self._built(part)
            if before is not None:
                self._join(before.last, piece.first)
            pieces.append(piece)
        if not pieces:
            one = self._state()
            return Piece(node=node, first=one, last=one)
        return _around(node, pieces, pieces[0].first, pieces[-1].last)

    def _alternatives(self, node: Node, parts: tuple[Node, ...]) -> Piece:
        first = self._state()
        pieces = [self._built(part) for part in parts]
        last = self._state()
        for piece in pieces:
            self._join(first, piece.first)
            self._join(piece.last, last)
        return _around(node, pieces, first, last)

    def _repeated(self, node: Repeated) -> Piece:
        """Only `*`, `+` and `?` are ways through the automaton; a number of times is so many copies."""
        inner, least, most = node.inner, node.least, node.most
        if most is None and least <= 1:
            return self._way(node, passes=least == 0, again=True)
        if (least, most) == (0, 1):
            return self._way(node, passes=True, again=False)
        if most is None:
            copies: list[Node] = [inner] * (least - 1) + [Repeated(inner, 1, None)]
        else:
            copies = [inner] * least + [Repeated(inner, 0, 1)] * (most - least)
        return self._sequence(Sequence(tuple(copies)), tuple(copies))

    def _way(self, node: Repeated, *, passes: bool, again: bool) -> Piece:
        first = self._state()
        piece = self._built(node.inner)
        last = self._state()
        self._join(first, piece.first)
        self._join(piece.last, last)
        if passes:
            self._join(first, last)
        if again:
            self._join(last, first)  # from outside, so that a walk through what is repeated goes once
        return _around(node, [piece], first, last)

    # --- what walks ask -----------------------------------------------------------------------------------------

    def accepting(self, char: str) -> int:
        """The states that a character leads on from."""
        found = self._accepting.get(char)
        if found is None:
            found = self._literals.get(char, 0)
            for characters, states in self._sets.items():
                if characters.has(char, fold=self._fold):
                    found |= states
            self._accepting[char] = found
        return found

    @property
    def cost_of_character(self) -> int:
        """What asking about a new one costs."""
        return _NEW * (1 + len(self._sets))


def _around(node: Node, pieces: list[Piece], first: int, last: int) -> Piece:
    has_groups = any(piece.has_groups for piece in pieces)
    return Piece(node=node, first=first, last=last, parts=tuple(pieces), has_groups=has_groups)


class Met:
    """A set of states that was met, and where each character leads to from it."""

    __slots__ = ("leads", "states")

    def __init__(self, states: int) -> None:
        self.states = states
        self.leads: dict[str, Met] = {}

    def has(self, state: int) -> bool:
        """Whether a state is in it."""
        return bool(self.states >> state & 1)


class Walk:
    """Ways through some states of a program, in one direction."""

    def __init__(
        self, program: Program, charge: Charge, within: int, *, onward: bool, everywhere: int = 0
    ) -> None:
        self._program = program
        self._charge = charge
        self._within = within
        self._onward = onward
        self._everywhere = everywhere
        """The states that a way may begin with, at any place."""
        self._met: dict[int, Met] = {}
        self._led: dict[int, Met] = {}
        """By the states that a character led to, in the middle of the text."""
        self._chars: set[str] = set()

    def states(self, text: str, at: int, to: int, begin: int) -> Iterator[Met]:
        """The states that can be reached, at each place from one to another; it ends where there are none."""
        size = len(text)
        met = self._closed(begin, at, size)
        yield met
        span = text[at:to] if self._onward else text[to:at][::-1]
        if not span:
            return
        outermost = to == (size if self._onward else 0)
        middle = span[:-1] if outermost else span
        for block in range(0, len(middle), _BLOCK):
            chars = middle[block : block + _BLOCK]
            self._charge(_SCANNED * len(chars))
            for char in chars:
                found = met.leads.get(char)
                if found is None:
                    found = met.leads[char] = self._lead(met, char)
                met = found
                yield met
                if not met.states:
                    return
        if outermost:
            yield self._closed(self._moved(met, span[-1]), to, size)

    def _lead(self, met: Met, char: str) -> Met:
        self._charge(_NEW)
        moved = self._moved(met, char)
        found = self._led.get(moved)
        if found is None:
            found = self._led[moved] = self._closed(moved, -1, 0)
        return found

    def _moved(self, met: Met, char: str) -> int:
        if char not in self._chars:
            self._chars.add(char)
            self._charge(self._program.cost_of_character)
        accepting = self._program.accepting(char)
        if self._onward:
            return (met.states & accepting) << 1
        return met.states >> 1 & accepting

    def _closed(self, begin: int, at: int, size: int) -> Met:
        """These states and all that nothing parts from them at a place of the text; -1: in its middle."""
        program = self._program
        edges = program.onward if self._onward else program.backward
        at_ends = [program.anchored[0]] if at == 0 else []
        at_ends += [program.anchored[1]] if at == size else []
        found = waiting = (begin | self._everywhere) & self._within
        seen = 0
        while waiting:
            state = waiting.bit_length() - 1
            waiting ^= 1 << state
            seen += 1
            reached = edges[state]
            for joined in at_ends:
                reached |= _joined(joined, state, onward=self._onward)
            reached &= self._within & ~found
            found |= reached
            waiting |= reached
        self._charge(_MET * (2 + seen))
        met = self._met.get(found)
        if met is None:
            met = self._met[found] = Met(found)
        return met


def _joined(joined: dict[int, int], state: int, *, onward: bool) -> int:
    """The state behind an anchor, or before it: the two have numbers in a row."""
    if onward:
        return 1 << joined[state] if state in joined else 0
    return 1 << (state - 1) if joined.get(state - 1) == state else 0


class Matcher:
    """A program at work in one run."""

    def __init__(self, program: Program, charge: Charge) -> None:
        self.program = program
        self._charge = charge
        self._walks: dict[tuple[int, int, bool], Walk] = {}
        root = program.root
        self._search = Walk(program, charge, root.states, onward=True, everywhere=1 << root.first)
        self._starts = Walk(program, charge, root.states, onward=False, everywhere=1 << root.last)

    def found(self, text: str) -> bool:
        """Whether it matches somewhere."""
        last = self.program.root.last
        return any(met.has(last) for met in self._search.states(text, 0, len(text), 0))

    def span(self, text: str) -> tuple[int, int] | None:
        """Where the leftmost, longest match is."""
        if not self.found(text):
            return None
        root, size = self.program.root, len(text)
        start = size
        for distance, met in enumerate(self._starts.states(text, size, 0, 0)):
            if met.has(root.first):
                start = size - distance
        end = start
        for distance, met in enumerate(self.onward(root, text, start, size)):
            if met.has(root.last):
                end = start + distance
        return start, end

    def onward(self, piece: Piece, text: str, at: int, to: int) -> Iterator[Met]:
        """The states of a piece that are reached when it begins at a place, for each place from there."""
        return self._walk(piece, onward=True).states(text, at, to, 1 << piece.first)

    def backward(self, piece: Piece, text: str, at: int, to: int) -> list[Met]:
        """The states of a piece from which it can end at `at`, for each place from there back to `to`."""
        return list(self._walk(piece, onward=False).states(text, at, to, 1 << piece.last))

    def _walk(self, piece: Piece, *, onward: bool) -> Walk:
        key = (piece.first, piece.last, onward)
        if key not in self._walks:
            self._walks[key] = Walk(self.program, self._charge, piece.states, onward=onward)
        return self._walks[key]
