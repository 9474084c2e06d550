"""LIST patterns: `*` matches anything, `%` anything within one level (RFC 9051 §6.3.9).

A pattern becomes one regular expression whose pieces are atomic, so that no pattern can make the matching
blow up: for either wildcard the earliest place of what follows is always as good as a later one, save for
the last piece, which must reach the end of the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from posthouse import limits
from posthouse.imap.mailbox_name import SEPARATOR

_RUN = re.compile(r"[*%]*\*[*%]*")
_PERCENTS = re.compile(r"%+")
_WITHIN = f"[^{SEPARATOR}]*"

Matcher = Callable[[str], bool]


def matcher(pattern: str) -> Matcher:
    """A function that tells whether a name matches. A pattern beyond the limits matches nothing."""
    if "*" not in pattern and "%" not in pattern:
        return pattern.__eq__
    if pattern == "*":
        return _anything
    source = _translate(pattern)
    if source is None:
        return _nothing
    matches = re.compile(source, re.DOTALL).fullmatch
    # RFC 9051 §5.1: INBOX is the same in any case of letters
    inbox = re.compile(source, re.DOTALL | re.IGNORECASE).fullmatch("INBOX") is not None
    return lambda name: inbox if name == "INBOX" else matches(name) is not None


def _anything(name: str) -> bool:
    return True


def _nothing(name: str) -> bool:
    # RFC 9051 §6.3.9: a pattern that is not accepted is silently ignored
    return False


def _translate(pattern: str) -> str | None:
    if pattern.count("*") + pattern.count("%") > limits.LIST_WILDCARDS or len(pattern) > limits.MAILBOX_NAME:
        return None
    segments = [_PERCENTS.split(segment) for segment in _RUN.split(pattern)]
    first, *middle = segments
    if not middle:
        return _last(first)
    *middle, last = middle
    between = "".join(f"(?>.*?{_inner(segment)})" for segment in middle)
    return f"{_inner(first)}{between}.*?{_last(last)}"


def _inner(pieces: list[str]) -> str:
    return re.escape(pieces[0]) + "".join(f"(?>{_WITHIN}?{re.escape(piece)})" for piece in pieces[1:])


def _last(pieces: list[str]) -> str:
    if len(pieces) == 1:
        return re.escape(pieces[0])
    return f"{_inner(pieces[:-1])}{_WITHIN}{re.escape(pieces[-1])}"
