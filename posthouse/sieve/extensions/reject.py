"""`reject` and `ereject` (RFC 5429): refuse a message. In the protocol or by a message, delivery decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.actions import Action, FileInto, Keep, Redirect, Reject, Vacation
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Call, Extension, Spec

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_UNFIT: Final = (Keep, FileInto, Redirect, Vacation)
"""RFC 5429 §2.4: who is told that a message was refused must not get an answer, and nobody the message."""
_WORDS: Final = {Keep: "keep", FileInto: "fileinto", Redirect: "redirect", Vacation: "vacation"}


def _reject(call: Call, machine: Machine) -> None:
    reason = machine.text(call, "reason")
    machine.add(call, Reject(line=call.line, reason=reason, extended=call.spec.name == "ereject"))


def _guard(machine: Machine, action: Action) -> None:
    refused = [other for other in machine.actions if isinstance(other, Reject)]
    if isinstance(action, Reject):
        if refused:
            raise Fault(action.line, "a message can be refused once only")
        for other in machine.actions:
            _fitting(action, other)
    elif refused:
        _fitting(action, action)


def _fitting(at: Action, other: Action) -> None:
    if isinstance(other, _UNFIT):
        raise Fault(at.line, f"a message that is refused cannot go with {_WORDS[type(other)]}")


EXTENSION: Final = Extension(
    capabilities=("reject", "ereject"),
    commands=(
        Spec(name="reject", run=_reject, arguments=(Argument("reason"),)),
        Spec(name="ereject", run=_reject, arguments=(Argument("reason"),), capability="ereject"),
    ),
    guard=_guard,
)
