"""`:notify` and `:ret` of `redirect` (RFC 6009): of what its sender is told, and how much of it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, Redirect
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Call, Extension, Kind, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_CONDITIONS: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_RET: Final = frozenset({"FULL", "HDRS"})
_ON: Final = frozenset({"redirect"})


def _wrong_notify(text: str) -> str:
    """RFC 3461 §4.1: NEVER alone, or some of the others, each once."""
    words = text.upper().split(",")
    if words == ["NEVER"] or (_CONDITIONS.issuperset(words) and len(set(words)) == len(words)):
        return ""
    return f'":notify" knows NEVER, or a list of SUCCESS, FAILURE, DELAY, not "{text[:40]}"'


def _wrong_ret(text: str) -> str:
    """RFC 3461 §4.3."""
    return "" if text.upper() in _RET else f'":ret" knows FULL and HDRS, not "{text[:40]}"'


def _check_notify(call: Call, checker: Checker) -> None:
    text = call.constant("notify")
    wrong = _wrong_notify(text) if text is not None else ""
    if wrong:
        checker.fault(call.line, wrong)


def _check_ret(call: Call, checker: Checker) -> None:
    text = call.constant("ret")
    wrong = _wrong_ret(text) if text is not None else ""
    if wrong:
        checker.fault(call.line, wrong)


def _notify(call: Call, machine: Machine, action: Action) -> Action:
    text = machine.text(call, "notify")
    if _wrong_notify(text):
        raise Fault(call.line, _wrong_notify(text))
    return msgspec.structs.replace(action, notify=text.upper()) if isinstance(action, Redirect) else action


def _ret(call: Call, machine: Machine, action: Action) -> Action:
    text = machine.text(call, "ret")
    if _wrong_ret(text):
        raise Fault(call.line, _wrong_ret(text))
    return msgspec.structs.replace(action, ret=text.upper()) if isinstance(action, Redirect) else action


EXTENSION: Final = Extension(
    capabilities=("redirect-dsn",),
    tags=(
        Tag(name="notify", on=_ON, kind=Kind.STRING, amend=_notify, check=_check_notify),
        Tag(name="ret", on=_ON, kind=Kind.STRING, amend=_ret, check=_check_ret),
    ),
)
