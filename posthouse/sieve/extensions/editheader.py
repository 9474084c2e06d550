"""`addheader` and `deleteheader` (RFC 5293). All that comes after sees the header as it is then.

What says where a message has been stays as it is: those fields are neither removed nor forged, without a word (§6).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_FIELD, SIEVE_HEADER_EDITS
from posthouse.message.compose import format_field
from posthouse.message.headers import unfold
from posthouse.sieve.extensions.index import check_index
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
_EMPTY_LINE: Final = re.compile(rb"(?:\A|(?<=\n))\r?\n\Z")
_STRAY: Final = re.compile(rb"\A(?:[ \t][^\n]*+(?:\n|\Z))++")
"""Lines at the beginning that would become a part of a field that is put before them."""
_COPYING: Final = 10
"""Octets that are put together in the time that it takes to compare one character."""
_TRACE: Final = frozenset(
    {
        "received",
        "return-path",
        "authentication-results",
        "arc-authentication-results",
        "arc-message-signature",
        "arc-seal",
        # RFC 5703 §5: what `replace` leaves of the message as it was.
        "original-subject",
        "original-from",
    }
)
"""Fields that a script neither adds nor removes."""
_KEPT: Final = _TRACE | {"auto-submitted"}
"""Those that it does not remove (RFC 5293 §6)."""


class _Edits:
    """How often the header of this message was edited."""

    def __init__(self) -> None:
        self.count = 0


def _addheader(call: Call, machine: Machine) -> None:
    name, value = _name(call, machine), machine.text(call, "value")
    if len(value) > SIEVE_FIELD:
        raise Fault(call.line, f"the value of a field may have {SIEVE_FIELD:,} characters")
    if name.lower() in _TRACE:
        return
    _count(call, machine)
    section = machine.content[: machine.headers.end]
    field = format_field(name, value)
    if b"\n" in section and b"\r\n" not in section:
        field = field.replace(b"\r\n", b"\n")
    at = len(section) - len(_STRAY.sub(b"", section, count=1))
    if call.has("last"):
        closing = _EMPTY_LINE.search(section, max(len(section) - 2, 0))
        at = len(section) if closing is None else closing.start()
    if section[:at] and not section[:at].endswith(b"\n"):  # a header that was cut off
        field = b"\r\n" + field
    machine.change(machine.content[:at] + field + machine.content[at:])


def _deleteheader(call: Call, machine: Machine) -> Asking:
    name = _name(call, machine)
    if name.lower() in _KEPT:
        return None
    _count(call, machine)
    spans = machine.headers.spans([name])
    if call.has("index"):
        number = call.number("index")
        at = len(spans) - number if call.has("last") else number - 1
        spans = spans[at : at + 1] if at >= 0 else []
    gone = []
    for start, end in spans:
        if not call.has("keys") or (yield from _found(call, machine, start, end)):
            gone.append((start, end))
    if gone:
        pieces, position = [], 0
        for start, end in gone:
            pieces.append(machine.content[position:start])
            position = end
        machine.change(b"".join([*pieces, machine.content[position:]]))
    return None


def _found(call: Call, machine: Machine, start: int, end: int) -> Asking:
    """RFC 5293 §5: compared as `header` does it; but it is no test, so match variables stay."""
    value = machine.decoded(unfold(machine.content[start:end].partition(b":")[2]))
    before = machine.frame.matched
    found = yield from machine.matching(call, [value])
    machine.frame.matched = before
    return found


def _name(call: Call, machine: Machine) -> str:
    name = machine.text(call, "name")
    if _FIELD_NAME.fullmatch(name) is None:
        raise Fault(call.line, _wrong(name))
    return name


def _count(call: Call, machine: Machine) -> None:
    edits = machine.of(_Edits)
    edits.count += 1
    machine.charge(len(machine.content) // _COPYING)
    if edits.count > SIEVE_HEADER_EDITS:
        raise Fault(call.line, f"the header may be edited {SIEVE_HEADER_EDITS} times at most")


def _check(call: Call, checker: Checker) -> None:
    name, value = call.constant("name"), call.constant("value")
    if name is not None and _FIELD_NAME.fullmatch(name) is None:
        checker.fault(call.line, _wrong(name))
    if value is not None and len(value) > SIEVE_FIELD:
        checker.fault(call.line, f"the value of a field may have {SIEVE_FIELD:,} characters")


def _wrong(name: str) -> str:
    return f'"{name[:80]}" cannot be the name of a field'


_ADD: Final = frozenset({"addheader"})
_DELETE: Final = frozenset({"deleteheader"})
_NAME: Final = Argument("name")

EXTENSION: Final = Extension(
    capabilities=("editheader",),
    commands=(
        Spec(name="addheader", run=_addheader, arguments=(_NAME, Argument("value")), check=_check),
        Spec(
            name="deleteheader",
            run=_deleteheader,
            arguments=(_NAME, Argument("keys", Kind.STRINGS, optional=True)),
            matches=True,
            check=_check,
        ),
    ),
    tags=(
        Tag(name="last", on=_ADD),
        Tag(name="index", on=_DELETE, kind=Kind.NUMBER, check=check_index),
        Tag(name="last", on=_DELETE, check=check_index),
    ),
)
