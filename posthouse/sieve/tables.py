"""What rows the language is made of: commands, tests, tags, match types, comparators, address parts.

The base language (`base.py`, `base_tests.py`) and each extension (`extensions/`) give rows of these; `language.py`
puts them together; `validate.py` checks scripts against them; `machine.py` runs what was checked. How an extension is
written, the docstring of `extensions/__init__.py` tells.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from posthouse.sieve.actions import Action
from posthouse.sieve.questions import Question

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

Asking = Generator[Question, object, object]
"""Something that must ask before it is done (`answer = yield Question(…)`)."""
Step = Asking | bool | None
"""What running a command or a test gives: nothing, a test's result, or a generator that returns it."""


class Reference(msgspec.Struct, frozen=True):
    """`${name}` in a string (RFC 5229 §3); a number stands for a match variable."""

    name: str | int


class Template(msgspec.Struct, frozen=True):
    """A string that is not constant."""

    pieces: tuple[str | Reference, ...]


Text = str | Template
Value = Text | tuple[Text, ...] | int
"""A string, a list of strings, a number."""


class Kind(enum.Enum):
    """What an argument is; the value is how people are told of it."""

    STRING = "a string"
    STRINGS = "a string or a list of strings"
    NUMBER = "a number"


class Argument(msgspec.Struct, frozen=True):
    """A positional argument (RFC 5228 §2.6.1)."""

    name: str
    kind: Kind = Kind.STRING
    optional: bool = False
    """It may be left out; those behind it are bound first."""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A tagged argument (RFC 5228 §2.6.2) of some commands or tests, which may be another extension's."""

    name: str
    on: frozenset[str]
    """The commands and tests that take it."""
    kind: Kind | None = None
    """What follows it; None: nothing."""
    capability: str = ""
    group: str = ""
    """Of the tags of one group, one at most may be given."""
    keeps: bool = False
    """With it, the action does not cancel the implicit keep (`:copy`)."""
    reads_text: bool = False
    """The script needs the whole message, not only its header section."""
    order: int = 0
    """`select` and `amend` of several tags are called in this order."""
    select: Callable[[Call, Machine, str, list[bytes]], list[bytes]] | None = None
    """(call, machine, field name, the values of all such fields) → those that the test shall look at."""
    amend: Callable[[Call, Machine, Action], Action] | None = None
    """What the action becomes with it."""
    modify: Callable[[str], str] | None = None
    """Of `set`: what the value becomes with it (RFC 5229 §4.1); see `variables.modifier`."""
    check: Callable[[Call, Checker], None] | None = None


class Tests(enum.Enum):
    """How many tests follow; the value is how people are told of it."""

    NONE = "no test"
    ONE = "one test"
    SOME = "a list of tests in parentheses"


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A command or a test."""

    name: str
    run: Callable[[Call, Machine], Step]
    arguments: tuple[Argument, ...] = ()
    capability: str = ""
    """The extension that must be required; empty: none."""
    tests: Tests = Tests.NONE
    block: bool = False
    matches: bool = False
    """It takes MATCH-TYPE and COMPARATOR (RFC 5228 §2.7); its keys are the argument `keys`."""
    address_part: bool = False
    """It takes ADDRESS-PART (RFC 5228 §2.7.4)."""
    reads_text: bool = False
    keeps: bool = False
    """What it wants has nothing to do with the implicit keep (`vacation`, `notify`)."""
    check: Callable[[Call, Checker], None] | None = None
    """Further checks, of constant arguments for example; `checker.fault(line, text)` refuses."""
    after: frozenset[str] = frozenset()
    """The commands that it must directly follow; empty: any."""


class AddressPart(msgspec.Struct, frozen=True):
    """A part of an address that can be compared (RFC 5228 §2.7.4)."""

    name: str
    get: Callable[[str, str], str | None]
    """(local part, domain) → the part; None: there is none, which matches nothing."""
    capability: str = ""


class Comparator(msgspec.Struct, frozen=True, kw_only=True):
    """A collation (RFC 4790)."""

    name: str
    key: Callable[[str], str | float]
    """What is compared instead of the text."""
    capability: str = ""
    substring: bool = True
    """It can tell whether one text is in another; then `key` gives text."""
    octets: bool = False
    """What it calls a character is an octet of UTF-8 (RFC 5228 §2.7.1), which `?` stands for."""
    cost: int = 1
    """What `key` costs for a character, counted in characters looked at."""


class MatchType(msgspec.Struct, frozen=True, kw_only=True):
    """A way of matching values with keys (RFC 5228 §2.7.1)."""

    name: str
    find: Callable[[Match, Machine], Step]
    capability: str = ""
    relation: bool = False
    """A relation follows it (RFC 5231 §4)."""
    counts: bool = False
    """It asks only how many values there are."""
    substring: bool = False
    """It needs a comparator that knows substrings."""
    comparators: frozenset[str] = frozenset()
    """Those that it goes with; empty: any."""
    check_key: Callable[[str], str] | None = None
    """What is wrong with a constant key; empty: nothing."""


class Matching(msgspec.Struct, frozen=True):
    """How a test compares."""

    type: MatchType
    comparator: Comparator
    relation: str = ""


class Match(msgspec.Struct, frozen=True):
    """What is compared: whether any value matches any key."""

    how: Matching
    values: Sequence[str]
    keys: Sequence[str]
    line: int


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A command or a test of a script, checked."""

    spec: Spec
    line: int
    values: Mapping[str, Value] = {}
    """Arguments and tags that were given, by name; a tag that nothing follows is 1."""
    tags: tuple[Tag, ...] = ()
    """Those that were given, by their order."""
    matching: Matching | None = None
    address_part: AddressPart | None = None
    tests: tuple[Call, ...] = ()
    block: tuple[Call, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether its match type asks only how many values there are (RFC 5231 §4.2)."""
        return self.matching is not None and self.matching.type.counts

    def has(self, name: str) -> bool:
        """Whether a tag or an optional argument was given."""
        return name in self.values

    def number(self, name: str, otherwise: int = 0) -> int:
        """The number that was given."""
        value = self.values.get(name, otherwise)
        return value if isinstance(value, int) else otherwise

    def constant(self, name: str) -> str | None:
        """A string that has no variables in it; None: it has, or none was given."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def constants(self, name: str) -> list[str]:
        """Those strings of a string or a list that have no variables in them."""
        value = self.values.get(name, ())
        found = value if isinstance(value, tuple) else (value,)
        return [text for text in found if isinstance(text, str)]


class Namespace(msgspec.Struct, frozen=True):
    """Variables `${namespace.name}` that an extension has made (RFC 5229 §3); names come in lower case."""

    get: Callable[[Machine, str], str]
    """The value; empty: there is none."""
    variables: Callable[[Machine], dict[str, str]] | None = None
    """Where `set` puts values; None: it cannot."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """All that one RFC (or one capability of it) adds to the language."""

    capabilities: tuple[str, ...]
    """What `require` calls it. Empty `capability` of a row means: the first of these."""
    commands: tuple[Spec, ...] = ()
    tests: tuple[Spec, ...] = ()
    tags: tuple[Tag, ...] = ()
    match_types: tuple[MatchType, ...] = ()
    comparators: tuple[Comparator, ...] = ()
    address_parts: tuple[AddressPart, ...] = ()
    envelope_parts: Mapping[str, Callable[[Machine], list[str]]] = {}
    """What `envelope` knows of the transaction, by name; the values as text."""
    namespaces: Mapping[str, Namespace] = {}
    """RFC 5229 §3: by the first word, in lower case."""
    amend: Callable[[Machine, Action], Action] | None = None
    """What any action of a script that requires it becomes, the implicit keep included, before its tags' `amend`."""
    guard: Callable[[Machine, Action], None] | None = None
    """Called with each action before it is noted, of any script: raises `Fault` if it goes not with those before."""
    check: Callable[[frozenset[str]], str] | None = None
    """What is wrong with the extensions that a script requires together; empty: nothing."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A script that was checked and can be run."""

    commands: tuple[Call, ...]
    requires: frozenset[str]
    """The extensions that it uses."""
    reads_text: bool
    """It needs the whole message: `Facts.content` with the header section alone is not enough."""
    text: bytes = b""
    """As it is written."""
