"""`ihave` and `error` (RFC 5463).

What `ihave` names and we have may be used by all that stands behind it, as if it was required. What a script that
requires `ihave` uses and we do not know is a fault only when it is reached (`validate.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine


def _ihave(call: Call, machine: Machine) -> bool:
    return machine.language.capabilities.issuperset(call.constants("capabilities"))


def _check_ihave(call: Call, checker: Checker) -> None:
    value = call.values["capabilities"]
    names = call.constants("capabilities")
    if isinstance(value, tuple) and len(names) < len(value):
        checker.fault(call.line, 'what "ihave" asks for must be constant')
    if checker.language.capabilities.issuperset(names):
        checker.requires.update(names)


def _error(call: Call, machine: Machine) -> None:
    raise Fault(call.line, machine.text(call, "message"))


EXTENSION: Final = Extension(
    capabilities=("ihave",),
    commands=(Spec(name="error", run=_error, arguments=(Argument("message"),)),),
    tests=(
        Spec(
            name="ihave",
            run=_ihave,
            arguments=(Argument("capabilities", Kind.STRINGS),),
            check=_check_ihave,
        ),
    ),
)
