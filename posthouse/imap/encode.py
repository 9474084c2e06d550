"""IMAP values as octets for the wire (RFC 9051 §9, the response side).

The shortest safe form is chosen: an atom or quoted string where the rules allow, else a literal. Input is
octets; whoever has text encodes it first, so that nothing here guesses a charset. Nothing here adds CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from posthouse import limits
from posthouse.imap import mailbox_name

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7e]*")
_NEEDS_LITERAL = re.compile(rb"[\x00\r\n\x80-\xff]")
_NEEDS_LITERAL_UTF8 = re.compile(rb"[\x00\r\n]")
_MONTHS: Final = (b"", *b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_TEXT = re.compile(r"[^\x20-\x7e]+")


def string(raw: bytes, *, utf8: bool = False) -> bytes:
    """string: quoted where possible, else a literal. `utf8`: valid UTF-8 may be quoted (RFC 9051 §4.3)."""
    if len(raw) <= limits.IMAP_QUOTED and _QUOTABLE.fullmatch(raw):
        return b'"%b"' % raw
    return _quoted_or_literal(raw, utf8=utf8)


def _quoted_or_literal(raw: bytes, *, utf8: bool) -> bytes:
    if len(raw) > limits.IMAP_QUOTED or (_NEEDS_LITERAL_UTF8 if utf8 else _NEEDS_LITERAL).search(raw):
        return literal(raw)
    if utf8 and not raw.isascii():
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return literal(raw)
    return b'"%b"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def nstring(raw: bytes | None, *, utf8: bool = False) -> bytes:
    """nstring: a string or NIL."""
    return b"NIL" if raw is None else string(raw, utf8=utf8)


def astring(raw: bytes, *, utf8: bool = False) -> bytes:
    """astring: bare where possible. `NIL` is quoted, since some clients take it for nothing."""
    if _ATOM.fullmatch(raw) and raw.upper() != b"NIL":
        return raw
    return string(raw, utf8=utf8)


def literal(raw: bytes) -> bytes:
    """literal, or literal8 when it holds NUL (RFC 9051 §4.3)."""
    return b"%b{%d}\r\n%b" % (b"~" if b"\0" in raw else b"", len(raw), raw)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """mailbox: modified UTF-7, or UTF-8 once the client asked for it."""
    raw = mailbox_name.encode(name, utf8=utf8)
    return raw if _ATOM.fullmatch(raw) and raw.upper() != b"NIL" else string(raw, utf8=utf8)


def parenthesized(items: Iterable[bytes]) -> bytes:
    """`(item item …)`."""
    return b"(%b)" % b" ".join(items)


def flag_list(flags: Iterable[str]) -> bytes:
    """flag-list, in the order given."""
    return b"(%b)" % " ".join(flags).encode("ascii")


def date_time(posix: int) -> bytes:
    """date-time with its quotes, in UTC: the store keeps an instant, not the sender's zone."""
    at = datetime.fromtimestamp(posix, UTC)
    return b'"%2d-%b-%04d %02d:%02d:%02d +0000"' % (
        at.day,
        _MONTHS[at.month],
        at.year,
        at.hour,
        at.minute,
        at.second,
    )


def mailbox_id(number: int) -> bytes:
    """MAILBOXID's objectid (RFC 8474 §4): it stays through renames, and is JMAP's id of the mailbox."""
    return b"F%d" % number


def text(words: str) -> bytes:
    """resp-text: printable ASCII only, whatever went into the words."""
    return _TEXT.sub("?", words).encode("ascii") or b"."
