"""ManageSieve's commands and states (RFC 5804 §2): arguments in, commands or refusals out.

Pure. The table below holds every command with the states it is legal in and the form of its arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from posthouse.managesieve.framing import Gathering, Malformed, TooLong, Value


class State(enum.Enum):
    """RFC 5804 §2."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    LOGOUT = "logout"


class Form(enum.Enum):
    """What an argument is."""

    TEXT = "text"
    """A string in UTF-8."""
    OCTETS = "octets"
    """A string of any octets."""
    SCRIPT = "script"
    """The same, and when it is too long, that is said in the words for scripts."""
    NUMBER = "number"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One command."""

    name: str
    states: frozenset[State]
    forms: tuple[Form, ...] = ()
    optional: int = 0
    """How many of the last arguments may be left out."""


class Refusal(Exception):
    """A command gets NO. `bad`: the client broke the protocol, which it may not do for ever."""

    def __init__(self, text: str, code: str = "", *, bad: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.bad = bad


class Command(msgspec.Struct, frozen=True):
    """A command that fits its rule."""

    rule: Rule
    values: tuple[bytes | int, ...] = ()

    def text(self, number: int) -> str:
        """An argument of form TEXT."""
        return self.octets(number).decode()

    def octets(self, number: int) -> bytes:
        """An argument that is a string; empty when it was left out."""
        value = self.values[number] if number < len(self.values) else b""
        assert isinstance(value, bytes)
        return value

    def number(self, number: int) -> int:
        """An argument of form NUMBER."""
        value = self.values[number]
        assert isinstance(value, int)
        return value


_BEFORE: Final = frozenset({State.NOT_AUTHENTICATED})
_INSIDE: Final = frozenset({State.AUTHENTICATED})
_BOTH: Final = _BEFORE | _INSIDE

RULES: Final[tuple[Rule, ...]] = (
    Rule(name="AUTHENTICATE", states=_BEFORE, forms=(Form.TEXT, Form.OCTETS), optional=1),
    Rule(name="STARTTLS", states=_BEFORE),
    Rule(name="LOGOUT", states=_BOTH),
    Rule(name="CAPABILITY", states=_BOTH),
    Rule(name="NOOP", states=_BOTH, forms=(Form.OCTETS,), optional=1),
    Rule(name="HAVESPACE", states=_INSIDE, forms=(Form.TEXT, Form.NUMBER)),
    Rule(name="PUTSCRIPT", states=_INSIDE, forms=(Form.TEXT, Form.SCRIPT)),
    Rule(name="LISTSCRIPTS", states=_INSIDE),
    Rule(name="SETACTIVE", states=_INSIDE, forms=(Form.TEXT,)),
    Rule(name="GETSCRIPT", states=_INSIDE, forms=(Form.TEXT,)),
    Rule(name="DELETESCRIPT", states=_INSIDE, forms=(Form.TEXT,)),
    Rule(name="RENAMESCRIPT", states=_INSIDE, forms=(Form.TEXT, Form.TEXT)),
    Rule(name="CHECKSCRIPT", states=_INSIDE, forms=(Form.SCRIPT,)),
    Rule(name="UNAUTHENTICATE", states=_INSIDE),
)
TABLE: Final[Mapping[bytes, Rule]] = {rule.name.encode(): rule for rule in RULES}


def parse(gathering: Gathering, state: State) -> Command:
    """Read a command that is wholly here. Raises Refusal for what is unknown, out of place or malformed."""
    try:
        name, values = gathering.command()
    except Malformed as error:
        raise Refusal(str(error), bad=True) from None
    rule = TABLE.get(name)
    if rule is None:
        raise Refusal("There is no such command", bad=True)
    if state not in rule.states:
        # RFC 5804 §2: refused with NO, whatever the arguments are
        wanted = "Log in first" if rule.states == _INSIDE else "You are logged in already"
        raise Refusal(wanted, bad=True)
    if not len(rule.forms) - rule.optional <= len(values) <= len(rule.forms):
        raise Refusal(f"{rule.name} needs other arguments", bad=True)
    return Command(rule, tuple(_fit(form, value) for form, value in zip(rule.forms, values, strict=False)))


def _fit(form: Form, value: Value) -> bytes | int:
    if isinstance(value, TooLong):
        if form is Form.SCRIPT:
            raise Refusal("The script is too large", "QUOTA/MAXSIZE")
        raise Refusal("The string is too long", bad=True)
    if isinstance(value, int) != (form is Form.NUMBER):
        raise Refusal("A string stands where a number must, or the other way round", bad=True)
    if form is Form.TEXT:
        assert isinstance(value, bytes)
        try:
            value.decode()
        except UnicodeDecodeError:
            raise Refusal("The string is not UTF-8", bad=True) from None
    return value
