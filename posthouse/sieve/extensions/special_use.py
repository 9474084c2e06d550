"""`specialuse_exists` and `:specialuse` (RFC 8579)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, FileInto
from posthouse.sieve.questions import SpecialUseExists
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def _specialuse_exists(call: Call, machine: Machine) -> Asking:
    """RFC 8579 §3.1: true if there is a mailbox for each of the uses, or the one that is named has them all."""
    mailbox = machine.text(call, "mailbox")
    for use in machine.texts(call, "uses"):
        if not (yield SpecialUseExists(mailbox, use)):
            return False
    return True


def _special_use(call: Call, machine: Machine, action: Action) -> Action:
    """RFC 8579 §4: a use that there is no mailbox for is no error, so neither is one that nobody knows."""
    if not isinstance(action, FileInto):
        return action
    return msgspec.structs.replace(action, special_use=machine.text(call, "specialuse"))


EXTENSION: Final = Extension(
    capabilities=("special-use",),
    tests=(
        Spec(
            name="specialuse_exists",
            run=_specialuse_exists,
            arguments=(Argument("mailbox", optional=True), Argument("uses", Kind.STRINGS)),
        ),
    ),
    tags=(
        Tag(
            name="specialuse",
            on=frozenset({"fileinto"}),
            kind=Kind.STRING,
            group="rather",
            amend=_special_use,
        ),
    ),
)
