"""`include`, `return`, `global` (RFC 6609): a script runs another one, which has variables of its own.

Recursion is known by the text of the scripts, so also that of the one that was begun with, whose name nobody tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_INCLUDE_DEPTH, SIEVE_INCLUDES, SIEVE_NAME
from posthouse.sieve.extensions.variables import check_name
from posthouse.sieve.faults import Fault
from posthouse.sieve.flow import Return
from posthouse.sieve.questions import Included
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Namespace, Script, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_INCLUDE: Final = frozenset({"include"})


class _Included:
    """The scripts that one run has included, and how often."""

    def __init__(self) -> None:
        self.texts: set[bytes] = set()
        self.count = 0


def _include(call: Call, machine: Machine) -> Asking:
    name = machine.text(call, "script")
    answer = yield Included(name, not call.has("global"))
    if not isinstance(answer, Script):
        if call.has("optional"):
            return None
        raise Fault(call.line, f'there is no script "{name}" to include')
    state = machine.of(_Included)
    running = [frame.script.text for frame in machine.frames]
    if call.has("once") and answer.text in {*state.texts, *running}:
        return None
    if answer.text in running:  # RFC 6609 §3.1
        raise Fault(call.line, f'"{name}" includes itself')
    state.texts.add(answer.text)
    state.count += 1
    if state.count > SIEVE_INCLUDES:
        raise Fault(call.line, f"one run may include {SIEVE_INCLUDES} scripts at most")
    if len(machine.frames) > SIEVE_INCLUDE_DEPTH:
        raise Fault(call.line, f"scripts may include one another {SIEVE_INCLUDE_DEPTH} deep at most")
    yield from machine.included(answer, name)
    return None


def _check_include(call: Call, checker: Checker) -> None:
    """RFC 6609 §3.2: the name is constant, and one that a script can have (RFC 5804 §1.6)."""
    name = call.constant("script")
    if name is None:
        checker.fault(call.line, "the name of a script to include must be constant")
    if not name or not name.isprintable() or len(name.encode("utf-8")) > SIEVE_NAME:
        checker.fault(call.line, f'"{name[:40]}" is not a name that a script can have')


def _return(call: Call, machine: Machine) -> None:
    raise Return


def _global(call: Call, machine: Machine) -> None:
    for name in machine.texts(call, "names"):
        name = name.lower()
        if name in machine.frame.variables:  # RFC 6609 §3.4.1
            raise Fault(call.line, f'the variable "{name}" was set before it was made global')
        machine.frame.shared.add(name)


def _check_global(call: Call, checker: Checker) -> None:
    if "variables" not in checker.requires:
        checker.fault(call.line, '"global" needs require "variables" too')
    value = call.values["names"]
    for name in value if isinstance(value, tuple) else ():
        check_name(name, call.line, checker, namespaces=False)


def _get(machine: Machine, name: str) -> str:
    return machine.global_variables.get(name, "")


def _variables(machine: Machine) -> dict[str, str]:
    return machine.global_variables


EXTENSION: Final = Extension(
    capabilities=("include",),
    commands=(
        # What an included script reads is not known beforehand.
        Spec(
            name="include",
            run=_include,
            arguments=(Argument("script"),),
            check=_check_include,
            reads_text=True,
        ),
        Spec(name="return", run=_return),
        Spec(name="global", run=_global, arguments=(Argument("names", Kind.STRINGS),), check=_check_global),
    ),
    tags=(
        Tag(name="personal", on=_INCLUDE, group="location"),
        Tag(name="global", on=_INCLUDE, group="location"),
        Tag(name="once", on=_INCLUDE),
        Tag(name="optional", on=_INCLUDE),
    ),
    namespaces={"global": Namespace(_get, _variables)},
)
