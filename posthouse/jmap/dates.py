"""Date and UTCDate (RFC 8620 §1.4): RFC 3339 text, to and from POSIX seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from posthouse.jmap.errors import invalid
from posthouse.message.date import utc_date

__all__ = ["date", "parse", "parse_bound", "parse_utc", "utc_date"]

_DATE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d*[1-9])?(Z|[+-]\d\d:\d\d)"
)  # RFC 8620 §1.4: letters in upper case, a fraction only when it is not zero


def date(seconds: int, offset: int) -> str:
    """A moment as Date, on a clock so many minutes east of UTC."""
    zone = timezone(timedelta(minutes=offset)) if offset else UTC
    moment = datetime.fromtimestamp(seconds, zone)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if not offset else moment.isoformat()


def parse_utc(text: object, name: str) -> int:
    """POSIX seconds of a UTCDate. Rejected invalidProperties."""
    seconds, _ = parse(text, name)
    if not str(text).endswith("Z"):
        raise invalid("a UTCDate ends with Z", name)
    return seconds


def parse_bound(text: object, name: str) -> int:
    """The first whole second that is not before a UTCDate: what whole seconds are compared with."""
    return parse_utc(text, name) + ("." in str(text))  # a fraction is never zero


def parse(text: object, name: str) -> tuple[int, int]:
    """(POSIX seconds, minutes east of UTC) of a Date. Rejected invalidProperties."""
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise invalid("this is no date", name)
    zone = match[8]
    offset = 0 if zone == "Z" else int(zone[1:3]) * 60 + int(zone[4:6])
    if zone.startswith("-"):
        offset = -offset
    try:
        moment = datetime(*map(int, match.groups()[:6]), tzinfo=timezone(timedelta(minutes=offset)))  # type: ignore[misc,arg-type]
    except ValueError:
        raise invalid("this is no date", name) from None
    return int(moment.timestamp()), offset
