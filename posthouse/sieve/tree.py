"""A script as it is written, before anybody asks what it means (RFC 5228 §8.2)."""

from __future__ import annotations

import msgspec


class TagWord(msgspec.Struct, frozen=True):
    """`:contains`, without its colon, in lower case."""

    name: str
    line: int


class Number(msgspec.Struct, frozen=True):
    """`100K`, as the number that it is."""

    value: int
    line: int


class Strings(msgspec.Struct, frozen=True):
    """`"a"` or `["a", "b"]`."""

    values: tuple[str, ...]
    listed: bool
    """It has brackets."""
    line: int


class Node(msgspec.Struct, frozen=True):
    """A command or a test: its name, in lower case, and all that follows it."""

    name: str
    line: int
    arguments: tuple[TagWord | Number | Strings, ...] = ()
    tests: tuple[Node, ...] = ()
    test_list: bool = False
    """The tests stand in parentheses."""
    block: tuple[Node, ...] | None = None
    """None: it ends with a semicolon."""
