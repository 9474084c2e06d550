"""When what `redirect` sends on is to be delivered, and what else (RFC 6009 §4): `:bytimerelative`, `:bymode`, …"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, Redirect
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Call, Extension, Kind, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_MODES: Final = {"notify": "N", "return": "R"}
_ON: Final = frozenset({"redirect"})
_TIMES: Final = ("bytimerelative", "bytimeabsolute")
_MOST: Final = 999_999_999
"""RFC 2852 §4: nine digits."""


def _moment(text: str) -> float | None:
    """POSIX seconds of a date as RFC 3339 writes it; None: it is none."""
    try:
        found = datetime.fromisoformat(text.upper().replace("Z", "+00:00")) if "T" in text.upper() else None
        return found.timestamp() if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _wrong_moment(text: str) -> str:
    wrong = _moment(text) is None
    return (
        f'":bytimeabsolute" needs a date such as "2026-12-24T18:00:00Z", not "{text[:40]}"' if wrong else ""
    )


def _wrong_mode(text: str) -> str:
    return "" if text.lower() in _MODES else f'":bymode" knows "notify" and "return", not "{text[:40]}"'


def _check_relative(call: Call, checker: Checker) -> None:
    if call.number("bytimerelative") > _MOST:
        checker.fault(call.line, f'":bytimerelative" has at most {_MOST} seconds')


def _check_absolute(call: Call, checker: Checker) -> None:
    text = call.constant("bytimeabsolute")
    if text is not None and _wrong_moment(text):
        checker.fault(call.line, _wrong_moment(text))


def _check_beside(call: Call, checker: Checker) -> None:
    if not any(call.has(name) for name in _TIMES):
        checker.fault(call.line, '":bymode" and ":bytrace" need ":bytimerelative" or ":bytimeabsolute"')


def _check_mode(call: Call, checker: Checker) -> None:
    _check_beside(call, checker)
    text = call.constant("bymode")
    if text is not None and _wrong_mode(text):
        checker.fault(call.line, _wrong_mode(text))


def _relative(call: Call, machine: Machine, action: Action) -> Action:
    return _timed(action, within=call.number("bytimerelative"))


def _absolute(call: Call, machine: Machine, action: Action) -> Action:
    text = machine.text(call, "bytimeabsolute")
    if _wrong_moment(text):
        raise Fault(call.line, _wrong_moment(text))
    return _timed(action, until=_moment(text))


def _timed(action: Action, **when: float | None) -> Action:
    # RFC 6009 §4: without ":bymode" the sender is told.
    return msgspec.structs.replace(action, by_mode="N", **when) if isinstance(action, Redirect) else action


def _mode(call: Call, machine: Machine, action: Action) -> Action:
    text = machine.text(call, "bymode")
    if _wrong_mode(text):
        raise Fault(call.line, _wrong_mode(text))
    mode = _MODES[text.lower()]
    return msgspec.structs.replace(action, by_mode=mode) if isinstance(action, Redirect) else action


def _trace(call: Call, machine: Machine, action: Action) -> Action:
    if not isinstance(action, Redirect):
        return action
    return msgspec.structs.replace(action, by_mode=f"{action.by_mode}T")


EXTENSION: Final = Extension(
    capabilities=("redirect-deliverby",),
    tags=(
        Tag(
            name=_TIMES[0],
            on=_ON,
            kind=Kind.NUMBER,
            group="time",
            amend=_relative,
            check=_check_relative,
        ),
        Tag(name=_TIMES[1], on=_ON, kind=Kind.STRING, group="time", amend=_absolute, check=_check_absolute),
        Tag(name="bymode", on=_ON, kind=Kind.STRING, order=1, amend=_mode, check=_check_mode),
        Tag(name="bytrace", on=_ON, order=2, amend=_trace, check=_check_beside),
    ),
)
