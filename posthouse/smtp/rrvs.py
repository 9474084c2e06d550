"""RRVS: a sender wants its message delivered only to whoever had the address at a time (RFC 7293). Only the grammar.

`RRVS=2014-04-03T23:01:00Z;R` behind RCPT, or the field `Require-Recipient-Valid-Since: a@b.example; date`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from posthouse.message.date import parse_date
from posthouse.smtp.replies import Reply

FIELD: Final = "require-recipient-valid-since"
CHANGED: Final = Reply(
    550, "5.7.17", "The mailbox has been somebody else's since the time that the sender names"
)
NOT_ASKED_THERE: Final = Reply(554, "5.7.19", "The server does not know RRVS, which the sender insists upon")
_VALUE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2}))(?:;([CR]))?")


def normal(value: str) -> str:
    """The parameter's value in upper case (RFC 7293 §3.1). Raises ValueError."""
    text = value.upper()
    valid_since(text)
    return text


def valid_since(value: str) -> float:
    """The time of such a value in POSIX seconds. Raises ValueError."""
    found = _VALUE.fullmatch(value)
    if found is None:
        raise ValueError(value)
    return datetime.fromisoformat(found[1].replace("Z", "+00:00")).timestamp()


def insists(value: str) -> bool:
    """Whether a message may not go on to a server that does not look (RFC 7293 §3.1: only "C" says that it may)."""
    return bool(value) and not value.endswith(";C")


def of_field(value: bytes) -> tuple[str, float] | None:
    """The address and the time (POSIX seconds) of a field (RFC 7293 §3.2); None: it says nothing."""
    address, semicolon, moment = value.partition(b";")
    date = parse_date(moment.strip()) if semicolon else None
    return None if date is None else (address.strip().decode("utf-8", "replace"), float(date.seconds))
