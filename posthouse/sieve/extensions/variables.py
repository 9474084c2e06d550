"""Variables (RFC 5229): `set`, its modifiers, and the test `string`. How strings hold them is in `sieve/strings.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_VARIABLE, SIEVE_VARIABLES
from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.comparators import ascii_casemap
from posthouse.sieve.faults import Fault
from posthouse.sieve.strings import StringFault, checked_name
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec, Step, Tag, Value

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_MODIFYING: Final = 15
"""What changing a character costs, counted in characters looked at."""
_SET: Final = frozenset({"set"})


def _lower(text: str) -> str:
    return text.translate(_LOWER)  # RFC 5229 §4.1.3: letters of ASCII alone


def _lower_first(text: str) -> str:
    return _lower(text[:1]) + text[1:]


def _upper_first(text: str) -> str:
    return ascii_casemap(text[:1]) + text[1:]


def _quote_wildcard(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _length(text: str) -> str:
    return str(len(text))


def modifier(name: str, precedence: int, modify: Callable[[str], str], capability: str = "") -> Tag:
    """A modifier of `set`: the highest precedence is applied first, and of each one at most (RFC 5229 §4.1)."""
    return Tag(
        name=name,
        on=_SET,
        group=f"precedence {precedence}",
        order=-precedence,
        modify=modify,
        capability=capability,
    )


def _set(call: Call, machine: Machine) -> None:
    text = machine.text(call, "value")
    for tag in call.tags:  # by their precedence
        if tag.modify is not None:
            machine.charge(_MODIFYING * len(text))
            text = tag.modify(text)
    store(call, machine, machine.text(call, "name"), text)


def store(call: Call, machine: Machine, name: str, text: str) -> None:
    """Give a variable a value, cut off where it gets too long (RFC 5229 §6)."""
    name = name.lower()
    namespace, dot, rest = name.partition(".")
    if dot:
        get = machine.namespaces[namespace].variables
        assert get is not None  # `check_name` has seen to it
        name, variables = rest, get(machine)
    else:
        variables = machine.global_variables if name in machine.frame.shared else machine.frame.variables
    if name not in variables and len(variables) >= SIEVE_VARIABLES:
        raise Fault(call.line, f"a script may have {SIEVE_VARIABLES} variables at most")
    variables[name] = text[:SIEVE_VARIABLE]


def _check_set(call: Call, checker: Checker) -> None:
    check_name(call.values["name"], call.line, checker)
    value = call.constant("value")
    if value is not None and len(value) > SIEVE_VARIABLE:
        checker.fault(call.line, f"a variable holds {SIEVE_VARIABLE:,} characters at most")


def check_name(name: Value, line: int, checker: Checker, *, namespaces: bool = True) -> None:
    """Refuse what cannot be the name of a variable that a script sets (RFC 5229 §4)."""
    if not isinstance(name, str):
        checker.fault(line, "the name of a variable must be constant")
    namespace, dot, rest = name.lower().partition(".")
    if dot and not (namespaces and namespace in checker.settable):
        checker.fault(line, f'"{name[:40]}" cannot be set; names of variables have no dots')
    try:
        checked_name(rest if dot else name)
    except StringFault as error:
        checker.fault(line, str(error))


def _string(call: Call, machine: Machine) -> Step:
    """RFC 5229 §5: nothing is stripped; empty strings do not count."""
    texts = machine.texts(call, "source")
    return machine.match(call, [text for text in texts if text] if call.counts else texts)


EXTENSION: Final = Extension(
    capabilities=("variables",),
    commands=(Spec(name="set", run=_set, arguments=(Argument("name"), Argument("value")), check=_check_set),),
    tests=(
        Spec(name="string", run=_string, arguments=(Argument("source", Kind.STRINGS), KEYS), matches=True),
    ),
    tags=(
        modifier("lower", 40, _lower),
        modifier("upper", 40, ascii_casemap),
        modifier("lowerfirst", 30, _lower_first),
        modifier("upperfirst", 30, _upper_first),
        modifier("quotewildcard", 20, _quote_wildcard),
        modifier("length", 10, _length),
    ),
)
