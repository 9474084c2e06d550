"""Dates: RFC 5322 §3.3 with the obsolete forms of §4.3, and the IMAP date-time of RFC 9051 §9.

Reading is tolerant (missing weekday, two-digit years, comments, zone names, single-digit fields) and never
raises; writing is exact. Times are POSIX seconds in UTC; offsets are minutes east of UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

import msgspec

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH: Final = date(1970, 1, 1).toordinal()

_TIME: Final = r"(\d{1,2})(?:\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2})(?:[.,]\d{1,9})?)?)?"
_ZONE: Final = r"(?:\s*([+-]\s?\d{1,2}:?\d{2}|[A-Za-z]{1,5}))?"
# RFC 5322 §3.3: 21 Nov 1997 09:55:06 -0600
_RFC5322: Final = re.compile(
    rf"(?:[^\W\d]+\.?\s*,?\s*)?(\d{{1,2}})[\s-]+([A-Za-z]{{3}})[a-z]*\.?[\s,-]+(\d{{2,5}})(?:,?\s+{_TIME}{_ZONE})?"
)
# asctime, as old programs write it: Fri Nov 21 09:55:06 1997
_ASCTIME: Final = re.compile(
    rf"(?:[A-Za-z]+\.?,?\s+)?([A-Za-z]{{3}})[a-z]*\.?\s+(\d{{1,2}}),?\s+{_TIME}{_ZONE}\s+(\d{{4}}){_ZONE}"
)
_ISO: Final = re.compile(rf"(\d{{4}})-(\d{{1,2}})-(\d{{1,2}})(?:[T\s]+{_TIME}{_ZONE})?")
_COMMENT: Final = re.compile(r"\([^()]*+\)")
# RFC 5322 §4.3: the zones of the United States; every other name means no known offset.
_ZONES: Final = {
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
}
_INTERNAL: Final = re.compile(r"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_LONGEST: Final = 200
"""Characters of a date that are read: over four times the longest that the grammar makes without comments."""


class Date(msgspec.Struct, frozen=True):
    """A moment and the clock that it was read from."""

    seconds: int
    """POSIX seconds in UTC."""
    offset: int
    """Minutes that the clock was east of UTC."""

    @property
    def day(self) -> int:
        """The calendar day on that clock, days since 1970-01-01: what SENTON compares (RFC 9051 §6.4.4)."""
        return (self.seconds + self.offset * 60) // 86_400


def parse_date(value: bytes | str) -> Date | None:
    """The moment that a Date header's value names, or None when it names none."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text[:_LONGEST]
    if "(" in text:
        text = _COMMENT.sub(" ", _COMMENT.sub(" ", text))
    text = text.strip()
    match = _RFC5322.match(text)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
        return _moment(
            (_year(year), _MONTH_NUMBERS.get(month.lower(), 0), int(day)), (hour, minute, second), zone
        )
    match = _ASCTIME.match(text)
    if match is not None:
        month, day, hour, minute, second, before, year, after = match.groups()
        zone = after or before
        return _moment(
            (int(year), _MONTH_NUMBERS.get(month.lower(), 0), int(day)), (hour, minute, second), zone
        )
    match = _ISO.match(text)
    if match is not None:
        year, month, day, hour, minute, second, zone = match.groups()
        return _moment((int(year), int(month), int(day)), (hour, minute, second), zone)
    return None


def _year(text: str) -> int:
    year = int(text)
    if len(text) == 2:  # RFC 5322 §4.3: 00 to 49 mean 2000 to 2049, 50 to 99 mean 1950 to 1999.
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _moment(
    ymd: tuple[int, int, int], hms: tuple[str | None, str | None, str | None], zone: str | None
) -> Date | None:
    try:
        days = date(*ymd).toordinal() - _EPOCH
    except ValueError:
        return None
    hour, minute, second = (int(part or 0) for part in hms)
    if hour > 24 or minute > 59 or second > 60:  # RFC 5322 §3.3 knows leap seconds
        return None
    offset = _offset(zone)
    return Date(days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60, offset)


def _offset(zone: str | None) -> int:
    if not zone:
        return 0
    if zone[0] not in "+-":
        return _ZONES.get(zone.lower(), 0)
    digits = zone[1:].strip().replace(":", "")
    minutes = int(digits[:-2]) * 60 + int(digits[-2:])
    if minutes > 24 * 60:
        return 0
    return -minutes if zone[0] == "-" else minutes


def _local(seconds: int, offset: int) -> tuple[date, int, int, int]:
    days, rest = divmod(seconds + offset * 60, 86_400)
    return (
        date.fromordinal(min(max(days + _EPOCH, 1), date.max.toordinal())),
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )


def _zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}{minutes:02}"


def format_date(seconds: int, offset: int = 0) -> str:
    """RFC 5322 §3.3 date-time: `Fri, 21 Nov 1997 09:55:06 -0600`."""
    day, hour, minute, second = _local(seconds, offset)
    weekday, month = _WEEKDAYS[day.weekday()], _MONTHS[day.month - 1]
    return f"{weekday}, {day.day:02} {month} {day.year:04} {hour:02}:{minute:02}:{second:02} {_zone(offset)}"


def format_internal_date(seconds: int, offset: int = 0) -> str:
    """RFC 9051 §9 date-time without its quotes: `17-Jul-1996 02:44:25 -0700`, a short day behind a space."""
    day, hour, minute, second = _local(seconds, offset)
    clock = f"{hour:02}:{minute:02}:{second:02}"
    return f"{day.day:2}-{_MONTHS[day.month - 1]}-{day.year:04} {clock} {_zone(offset)}"


def parse_internal_date(text: str) -> Date | None:
    """RFC 9051 §9 date-time without its quotes, as APPEND gives it; None when it breaks the grammar."""
    match = _INTERNAL.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    return _moment((int(year), _MONTH_NUMBERS.get(month.lower(), 0), int(day)), (hour, minute, second), zone)


def utc_date(seconds: float) -> str:
    """A moment as RFC 3339 has it in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
