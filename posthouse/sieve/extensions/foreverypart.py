"""`foreverypart` and `break` (RFC 5703 §3): commands for each MIME part of the message, the whole of it first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.limits import SIEVE_LOOPS
from posthouse.message.mime import Part, below
from posthouse.sieve.faults import Fault
from posthouse.sieve.parts import root_part
from posthouse.sieve.tables import Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_PASS: Final = 1_000
"""What going on to the next part costs, counted in characters looked at."""


_TOO_DEEP: Final = f'"foreverypart" can be nested {SIEVE_LOOPS} deep'


class At(msgspec.Struct, frozen=True):
    """A part, and the message that it is found in: what changes the message changes it for the next loop."""

    content: bytes
    part: Part


class _Loops:
    """The parts that the loops at work are at, the innermost last."""

    def __init__(self) -> None:
        self.at: list[At] = []


class _Break(Exception):
    """RFC 5703 §3: a loop is over, the one of that name, or the innermost."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.name = name


def current(machine: Machine) -> At | None:
    """Where the innermost loop is; None: there is none."""
    loops = machine.of(_Loops).at
    return loops[-1] if loops else None


def in_loop(checker: Checker) -> bool:
    """Whether a command stands in a loop."""
    return any(call.spec.name == "foreverypart" for call in checker.enclosing)


def _parts(machine: Machine) -> Iterator[At]:
    around = current(machine)
    if around is None:
        content = machine.content
        for part in below(root_part(machine)):
            yield At(content, part)
        return
    # RFC 5703 §3: a loop in a loop is for what is within the part at hand.
    for part in below(around.part):
        if part is not around.part:
            yield At(around.content, part)


def _foreverypart(call: Call, machine: Machine) -> Asking:
    loops = machine.of(_Loops).at
    if len(loops) >= SIEVE_LOOPS:
        raise Fault(call.line, _TOO_DEEP)
    for at in _parts(machine):
        machine.charge(_PASS)
        loops.append(at)
        try:
            yield from machine.block(call.block)
        except _Break as ended:
            if ended.name is not None and ended.name != call.constant("name"):
                raise
            break
        finally:
            loops.pop()
    return None


def _break(call: Call, machine: Machine) -> None:
    raise _Break(call.constant("name"))


def _check_loop(call: Call, checker: Checker) -> None:
    _check_name(call, checker)
    if sum(other.spec.name == "foreverypart" for other in checker.enclosing) >= SIEVE_LOOPS:
        checker.fault(call.line, _TOO_DEEP)


def _check_name(call: Call, checker: Checker) -> None:
    if call.has("name") and call.constant("name") is None:
        checker.fault(call.line, "the name of a loop must be constant")


def _check_break(call: Call, checker: Checker) -> None:
    _check_name(call, checker)
    name = call.constant("name")
    loops = [other for other in checker.enclosing if other.spec.name == "foreverypart"]
    if not loops:
        checker.fault(call.line, '"break" must stand in a "foreverypart"')
    if name is not None and name not in {loop.constant("name") for loop in loops}:
        checker.fault(call.line, f'there is no "foreverypart" around it whose name is "{name[:40]}"')


EXTENSION: Final = Extension(
    capabilities=("foreverypart",),
    commands=(
        Spec(name="foreverypart", run=_foreverypart, block=True, reads_text=True, check=_check_loop),
        Spec(name="break", run=_break, check=_check_break),
    ),
    tags=(Tag(name="name", on=frozenset({"foreverypart", "break"}), kind=Kind.STRING),),
)
