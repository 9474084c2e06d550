"""Reads extended regular expressions as POSIX defines them (IEEE 1003.1 §9.4), which `:regex` matches with.

What POSIX leaves undefined is refused, so that nobody believes that it works: back references, `\\w`, `\\b`, several
repetitions in a row (`a+?`). Only an alternative that is empty is taken for what it looks like, since many write it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from posthouse.limits import SIEVE_REGEX, SIEVE_REGEX_NESTING, SIEVE_REGEX_REPEATS

_SPECIAL: Final = frozenset("^.[$()|*+?{\\")
_REPEATS: Final[Mapping[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_INTERVAL: Final = re.compile(r"\{([0-9]{1,6})(?:(,)([0-9]{0,6}))?\}")
_NO_ESCAPE: Final = frozenset("<>`'")


class EreError(ValueError):
    """Not an extended regular expression; the text is for people."""


def _category(first: str) -> Callable[[str], bool]:
    return lambda char: unicodedata.category(char).startswith(first)


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def _is_graphic(char: str) -> bool:
    return char.isprintable() and not char.isspace()


CLASSES: Final[Mapping[str, Callable[[str], bool]]] = {
    "alnum": str.isalnum,
    "alpha": str.isalpha,
    "blank": lambda char: char == "\t" or unicodedata.category(char) == "Zs",
    "cntrl": _category("Cc"),
    "digit": lambda char: "0" <= char <= "9",
    "graph": _is_graphic,
    "lower": str.islower,
    "print": str.isprintable,
    "punct": _is_punctuation,
    "space": str.isspace,
    "upper": str.isupper,
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}
"""IEEE 1003.1 §9.3.5: the character classes, for all of Unicode."""


class Characters(msgspec.Struct, frozen=True):
    """Those that an expression for one character matches."""

    singles: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False
    """All but these; `.` is all but none."""

    def has(self, char: str, *, fold: bool) -> bool:
        """Whether a character is one of them; `fold`: letters of ASCII in any case."""
        variants = (char, char.swapcase()) if fold and char.isascii() else (char,)
        return any(self._names(one) for one in variants) is not self.negated

    def _names(self, char: str) -> bool:
        return (
            char in self.singles
            or any(first <= char <= last for first, last in self.ranges)
            or any(CLASSES[name](char) for name in self.classes)
        )


class Anchor(msgspec.Struct, frozen=True):
    """`^` or `$`: the beginning or the end of the text."""

    at_end: bool


class Group(msgspec.Struct, frozen=True):
    """What is in parentheses."""

    number: int
    inner: Node


class Sequence(msgspec.Struct, frozen=True):
    """One behind the other; none is the empty text."""

    parts: tuple[Node, ...]


class Alternatives(msgspec.Struct, frozen=True):
    """One of them."""

    parts: tuple[Node, ...]


class Repeated(msgspec.Struct, frozen=True):
    """As often as is said."""

    inner: Node
    least: int
    most: int | None
    """None: without an end."""


Node = Characters | Anchor | Group | Sequence | Alternatives | Repeated


class Expression(msgspec.Struct, frozen=True):
    """An expression that was read."""

    root: Node
    groups: int
    """How many there are."""


def read_expression(text: str) -> Expression:
    """What an expression means. EreError says why it is none."""
    if len(text) > SIEVE_REGEX:
        raise EreError(f"a regular expression may have {SIEVE_REGEX:,} characters")
    reader = _Reader(text)
    root = reader.alternatives(0)
    if reader.at < len(text):
        raise EreError('"(" is missing before ")"')
    return Expression(root, reader.groups)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.groups = 0

    def _next(self) -> str:
        return self._text[self.at : self.at + 1]

    def alternatives(self, depth: int) -> Node:
        parts = [self._sequence(depth)]
        while self._next() == "|":
            self.at += 1
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else Alternatives(tuple(parts))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while (char := self._next()) and char not in "|)":
            parts.append(self._repeated(self._atom(char, depth)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, atom: Node) -> Node:
        char = self._next()
        if not char or char not in "*+?{":
            return atom
        if isinstance(atom, Anchor):
            raise EreError(f'"{char}" cannot stand behind "{"$" if atom.at_end else "^"}"')
        least, most = _REPEATS[char] if char != "{" else self._interval()
        self.at += 1
        again = self._next()
        if again and again in "*+?{":
            raise EreError(f'"{again}" cannot repeat what is repeated; use parentheses')
        return Repeated(atom, least, most)

    def _interval(self) -> tuple[int, int | None]:
        """Up to its brace."""
        found = _INTERVAL.match(self._text, self.at)
        if found is None:
            raise EreError('"{" must be followed by numbers and "}"; "\\{" is a brace')
        self.at = found.end() - 1
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if most is not None and most < least:
            raise EreError(f'"{found[0]}": the second number is lower than the first')
        if max(least, most or 0) > SIEVE_REGEX_REPEATS:
            raise EreError(f'"{found[0]}": nothing can be repeated more than {SIEVE_REGEX_REPEATS} times')
        return least, most

    def _atom(self, char: str, depth: int) -> Node:
        self.at += 1
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._bracket()
        if char == "\\":
            return self._escaped()
        if char in "^$":
            return Anchor(char == "$")
        if char == ".":
            return Characters(negated=True)
        if char in "*+?{":
            raise EreError(f'"{char}" has nothing before it that it could repeat')
        return Characters(frozenset(char))

    def _group(self, depth: int) -> Node:
        if depth >= SIEVE_REGEX_NESTING:
            raise EreError(f"parentheses are nested more than {SIEVE_REGEX_NESTING} deep")
        self.groups += 1
        number = self.groups
        inner = self.alternatives(depth + 1)
        if self._next() != ")":
            raise EreError('")" is missing')
        self.at += 1
        return Group(number, inner)

    def _escaped(self) -> Node:
        char = self._next()
        self.at += 1
        if not char:
            raise EreError("a backslash stands at the end")
        if char.isalnum() or char in _NO_ESCAPE:
            raise EreError(f'"\\{char}" means nothing in an extended regular expression')
        return Characters(frozenset(char))

    # --- IEEE 1003.1 §9.3.5: bracket expressions -----------------------------------------------------------------

    def _bracket(self) -> Node:
        negated = self._next() == "^"
        self.at += negated
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes: list[str] = []
        begun = self.at
        while (char := self._next()) != "]" or self.at == begun:
            if not char:
                raise EreError('"]" is missing')
            if self._text.startswith("[:", self.at):
                classes.append(self._class())
                continue
            first = self._element()
            if self._next() == "-" and self._text[self.at + 1 : self.at + 2] not in {"]", ""}:
                self.at += 1
                last = self._element()
                if last < first:
                    raise EreError(f'"{first}-{last}" is no range')
                ranges.append((first, last))
            else:
                singles.add(first)
        self.at += 1
        return Characters(frozenset(singles), tuple(ranges), tuple(classes), negated)

    def _element(self) -> str:
        """A character, also as `[.x.]` or `[=x=]`."""
        char = self._next()
        mark = self._text[self.at + 1 : self.at + 2]
        if char != "[" or mark not in {".", "="}:
            self.at += 1
            return char
        inner = self._named(mark)
        if len(inner) != 1:
            raise EreError(f'"[{mark}{inner[:20]}{mark}]" is not known; it can hold one character')
        return inner

    def _class(self) -> str:
        name = self._named(":")
        if name not in CLASSES:
            raise EreError(f'"[:{name[:20]}:]" is not a class of characters; there are {", ".join(CLASSES)}')
        return name

    def _named(self, mark: str) -> str:
        end = self._text.find(f"{mark}]", self.at + 3)
        if end < 0:
            raise EreError(f'"[{mark}" must be followed by "{mark}]"')
        inner = self._text[self.at + 2 : end]
        self.at = end + 2
        return inner


def quoted(text: str) -> str:
    """An expression that matches just this text."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
