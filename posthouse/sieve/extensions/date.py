"""`date` and `currentdate` (RFC 5260 §4, §5): parts of a moment, as text that can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.message.date import Date, format_date, parse_date
from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec, Step, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ZONE: Final = re.compile(r"([+-])([01][0-9]|2[0-3])([0-5][0-9])")
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MODIFIED_JULIAN: Final = date(1858, 11, 17).toordinal()
_DAY: Final = 86_400


class _Moment(msgspec.Struct, frozen=True):
    """A moment on a clock."""

    seconds: int
    """POSIX seconds in UTC."""
    offset: int
    """Minutes that the clock is east of UTC."""
    day: date
    hour: int
    minute: int
    second: int

    @property
    def time(self) -> str:
        """`09:06:31`."""
        return f"{self.hour:02}:{self.minute:02}:{self.second:02}"

    @property
    def zone(self) -> str:
        """`+0100`; nothing east of UTC is `+0000` (RFC 5260 §4.2)."""
        hours, minutes = divmod(abs(self.offset), 60)
        return f"{'-' if self.offset < 0 else '+'}{hours:02}{minutes:02}"


def _iso8601(moment: _Moment) -> str:
    zone = f"{moment.zone[:3]}:{moment.zone[3:]}" if moment.offset else "Z"
    return f"{moment.day.isoformat()}T{moment.time}{zone}"


_PARTS: Final[dict[str, Callable[[_Moment], str]]] = {
    "year": lambda moment: f"{moment.day.year:04}",
    "month": lambda moment: f"{moment.day.month:02}",
    "day": lambda moment: f"{moment.day.day:02}",
    "date": lambda moment: moment.day.isoformat(),
    "julian": lambda moment: str(moment.day.toordinal() - _MODIFIED_JULIAN),
    "hour": lambda moment: f"{moment.hour:02}",
    "minute": lambda moment: f"{moment.minute:02}",
    "second": lambda moment: f"{moment.second:02}",
    "time": lambda moment: moment.time,
    "iso8601": _iso8601,
    "std11": lambda moment: format_date(moment.seconds, moment.offset),
    "zone": lambda moment: moment.zone,
    "weekday": lambda moment: str(moment.day.isoweekday() % 7),
}
"""RFC 5260 §4.2: names in lower case."""


def _date(call: Call, machine: Machine) -> Step:
    fields = machine.fields(call, machine.text(call, "header"))
    found = _dated(fields[0]) if fields else None  # RFC 5260 §4: only the first
    if found is None:
        return machine.match(call, [])
    offset = found.offset if call.has("originalzone") else _offset(call, machine)
    return _compare(call, machine, found.seconds, offset)


def _dated(raw: bytes) -> Date | None:
    """RFC 5260 §4: the whole field, or what follows its last semicolon, as in Received."""
    return parse_date(raw.rpartition(b";")[2].strip()) or parse_date(raw)


def _currentdate(call: Call, machine: Machine) -> Step:
    return _compare(call, machine, int(machine.facts.now), _offset(call, machine))


def _compare(call: Call, machine: Machine, seconds: int, offset: int) -> Step:
    name = machine.text(call, "part").lower()
    part = _PARTS.get(name)
    if part is None:
        raise Fault(call.line, _unknown(name))
    moment = _moment(seconds, offset)
    return machine.match(call, [] if moment is None else [part(moment)])


def _moment(seconds: int, offset: int) -> _Moment | None:
    """What a clock shows then; None: its year has not four digits."""
    days, rest = divmod(seconds + offset * 60, _DAY)
    try:
        day = date.fromordinal(days + _EPOCH)
    except (ValueError, OverflowError):
        return None
    return _Moment(seconds, offset, day, rest // 3600, rest // 60 % 60, rest % 60)


def _offset(call: Call, machine: Machine) -> int:
    if not call.has("zone"):
        return machine.facts.offset
    text = machine.text(call, "zone")
    match = _ZONE.fullmatch(text)
    if match is None:
        raise Fault(call.line, _wrong_zone(text))
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def _check(call: Call, checker: Checker) -> None:
    zone, part = call.constant("zone"), call.constant("part")
    if zone is not None and _ZONE.fullmatch(zone) is None:
        checker.fault(call.line, _wrong_zone(zone))
    if part is not None and part.lower() not in _PARTS:
        checker.fault(call.line, _unknown(part))


def _wrong_zone(text: str) -> str:
    return f'"{text[:40]}" is not a time zone such as "+0100"'


def _unknown(part: str) -> str:
    return f'"{part[:40]}" is not a part of a date; those are {", ".join(_PARTS)}'


_PART: Final = Argument("part")

EXTENSION: Final = Extension(
    capabilities=("date",),
    tests=(
        Spec(name="date", run=_date, arguments=(Argument("header"), _PART, KEYS), matches=True, check=_check),
        Spec(name="currentdate", run=_currentdate, arguments=(_PART, KEYS), matches=True, check=_check),
    ),
    tags=(
        Tag(name="zone", on=frozenset({"date", "currentdate"}), kind=Kind.STRING, group="zone"),
        Tag(name="originalzone", on=frozenset({"date"}), group="zone"),
    ),
)
