"""A reader over one complete IMAP command, with a method for each grammar rule of RFC 9051 §9.

The command is one `bytes` with its literals inside (`framing` collected them); only the message literals of
APPEND are handed to the runner apart, as a stream. Every method either returns the value and moves on, or
raises BadSyntax with the offset. Values stay octets, save where a rule has a better meaning (numbers,
dates, mailbox names, flags). Nothing here knows a command; the parsers beside the runners do.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date
from typing import Final, TypeVar

from posthouse import limits
from posthouse.errors import RemoteProtocolError
from posthouse.imap import mailbox_name

T = TypeVar("T")

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f(){%*"\\]+')
"""ASTRING-CHAR, and 8-bit octets, which clients send bare in mailbox names and search words."""
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_LIST = re.compile(rb'[^\x00-\x20\x7f(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,20})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_SEQUENCE_SET = re.compile(
    rb"\$|(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?(?:,(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?)*"
)
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_SYSTEM_FLAGS: Final = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}
_NUMBER_MAX: Final = 2**32 - 1
_NUMBER64_MAX: Final = 2**63 - 1


class BadSyntax(RemoteProtocolError):
    """The command does not follow the grammar: the answer is BAD. `offset` counts octets of the command."""

    def __init__(self, public: str, offset: int) -> None:
        super().__init__(public)
        self.offset = offset


class Reader:
    """Reads one command from left to right."""

    __slots__ = ("depth", "pos", "raw", "utf8")

    def __init__(self, raw: bytes, *, utf8: bool = False) -> None:
        """`raw` is the command without its last CRLF; `utf8`: mailbox names are UTF-8, not modified UTF-7."""
        self.raw = raw
        self.pos = 0
        self.utf8 = utf8
        self.depth = 0

    # --- looking ahead and simple steps ---------------------------------------------------------------

    def fail(self, text: str) -> BadSyntax:
        """The error to raise at this place."""
        return BadSyntax(text, self.pos)

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.pos >= len(self.raw)

    def end(self) -> None:
        """Nothing may be left; a trailing space is forgiven, as every server does."""
        if self.pos < len(self.raw) and self.raw[self.pos :].strip(b" "):
            raise self.fail("Unexpected text at the end of the command")

    def peek(self, token: bytes) -> bool:
        """Whether the token (in capitals) is next, in any case of letters. It may go on as a longer word."""
        return self.raw[self.pos : self.pos + len(token)].upper() == token

    def accept(self, token: bytes) -> bool:
        """Step over the token if it is next."""
        if self.raw[self.pos : self.pos + len(token)].upper() == token:
            self.pos += len(token)
            return True
        return False

    def expect(self, token: bytes) -> None:
        """Step over the token, which must be next."""
        if not self.accept(token):
            raise self.fail(f"{token.decode('ascii')!r} expected")

    def sp(self) -> None:
        """SP."""
        if self.raw[self.pos : self.pos + 1] != b" ":
            raise self.fail("A space expected")
        self.pos += 1

    def accept_sp(self) -> bool:
        """Step over a space if it is next and something follows it."""
        if self.raw[self.pos : self.pos + 1] == b" " and self.pos + 1 < len(self.raw):
            self.pos += 1
            return True
        return False

    def match(self, pattern: re.Pattern[bytes], expected: str) -> re.Match[bytes]:
        """Step over a pattern, which must be next; `expected` names it in the error."""
        found = pattern.match(self.raw, self.pos)
        if found is None:
            raise self.fail(f"{expected} expected")
        self.pos = found.end()
        return found

    def parenthesized(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """`"(" item *(SP item) ")"`. Nesting is bounded by limits.IMAP_NESTING."""
        self.expect(b"(")
        self.enter()
        items: list[T] = []
        if not (empty and self.peek(b")")):
            items.append(item())
            while self.accept(b" "):
                items.append(item())
        self.expect(b")")
        self.leave()
        return items

    def enter(self) -> None:
        """Note one level of nesting."""
        self.depth += 1
        if self.depth > limits.IMAP_NESTING:
            raise self.fail("Too deeply nested")

    def leave(self) -> None:
        """Note the end of a level."""
        self.depth -= 1

    # --- words and strings --------------------------------------------------------------------------------

    def tag(self) -> bytes:
        """tag."""
        return self.match(_TAG, "A tag").group()

    def atom(self) -> bytes:
        """atom."""
        return self.match(_ATOM, "An atom").group()

    def keyword(self) -> bytes:
        """An atom that is a word of the protocol, in capitals."""
        return self.match(_ATOM, "A keyword").group().upper()

    def astring(self) -> bytes:
        """astring: bare, quoted or literal."""
        found = _ASTRING.match(self.raw, self.pos)
        if found is not None and not self.peek(b"~{"):  # that begins a literal8
            self.pos = found.end()
            return found.group()
        return self.string()

    def string(self) -> bytes:
        """string: quoted or literal."""
        if self.peek(b'"'):
            return self.quoted()
        return self.literal()

    def nstring(self) -> bytes | None:
        """nstring: string or NIL."""
        if self.peek(b'"') or self.peek(b"{") or self.peek(b"~{"):
            return self.string()
        self.expect(b"NIL")
        return None

    def quoted(self) -> bytes:
        """quoted, without its quotes and backslashes."""
        found = self.match(_QUOTED, "A string")
        text = found.group(1)
        if b"\\" in text:
            text = text.replace(b'\\"', b'"') if b"\\\\" not in text else re.sub(rb"\\(.)", rb"\1", text)
        return text

    def literal(self) -> bytes:
        """literal (synchronising or not) or literal8; NUL is only for the latter (RFC 9051 §4.3)."""
        start = self.pos
        found = self.match(_LITERAL, "A string")
        end = found.end() + int(found.group(2))
        data = self.raw[found.end() : end]
        if end > len(self.raw):
            self.pos = start
            raise self.fail("The literal is incomplete")
        if not found.group(1) and b"\0" in data:
            self.pos = start
            raise self.fail("NUL is not allowed in a literal")
        self.pos = end
        return data

    def text(self) -> bytes:
        """All that is left."""
        rest = self.raw[self.pos :]
        self.pos = len(self.raw)
        return rest

    # --- numbers ------------------------------------------------------------------------------------------

    def _number(self, least: int, most: int) -> int:
        start = self.pos
        value = int(self.match(_NUMBER, "A number").group())
        if not least <= value <= most:
            self.pos = start
            raise self.fail("The number is out of range")
        return value

    def number(self) -> int:
        """number: 32 bits."""
        return self._number(0, _NUMBER_MAX)

    def nz_number(self) -> int:
        """nz-number: 32 bits, not 0."""
        return self._number(1, _NUMBER_MAX)

    def number64(self) -> int:
        """number64: 63 bits."""
        return self._number(0, _NUMBER64_MAX)

    def mod_sequence_valzer(self) -> int:
        """mod-sequence-valzer (RFC 7162 §7): 63 bits."""
        return self._number(0, _NUMBER64_MAX)

    def sequence_set(self) -> bytes:
        """sequence-set as written (checked, not yet resolved), or `$`, the saved search result."""
        start = self.pos
        found = self.match(_SEQUENCE_SET, "A message set").group()
        if len(found) > limits.IMAP_SEQUENCE_SET:
            self.pos = start
            raise self.fail("The message set is too long")
        return found

    # --- mailbox names, flags, dates ------------------------------------------------------------------------

    def mailbox(self) -> str:
        """mailbox, as text inside: decoded, NFC, INBOX in capitals."""
        return mailbox_name.decode(self.astring(), utf8=self.utf8)

    def mailbox_as_given(self) -> str:
        """mailbox, decoded but not made canonical: for OLDNAME (RFC 9051 §6.3.9.7)."""
        return mailbox_name.decode_as_given(self.astring(), utf8=self.utf8)

    def list_mailbox(self) -> str:
        """list-mailbox: a pattern with the wildcards `%` and `*`, decoded."""
        found = _LIST.match(self.raw, self.pos)
        if found is not None and not self.peek(b"~{"):
            self.pos = found.end()
            return mailbox_name.decode(found.group(), utf8=self.utf8)
        return mailbox_name.decode(self.string(), utf8=self.utf8)

    def flag(self) -> str:
        r"""flag: a system flag in its usual spelling, or a keyword as given. `\Recent` is refused."""
        start = self.pos
        raw = self.match(_FLAG, "A flag").group()
        flag = raw.decode("ascii")
        if flag[0] != "\\":
            if len(raw) > limits.KEYWORD_LENGTH:
                self.pos = start
                raise self.fail("The keyword is too long")
            return flag
        known = _SYSTEM_FLAGS.get(flag.lower())
        if known is None:
            self.pos = start
            raise self.fail("No such system flag")
        return known

    def flag_list(self) -> frozenset[str]:
        """flag-list: `(…)`, perhaps empty."""
        return frozenset(self.parenthesized(self.flag, empty=True))

    def date(self) -> date:
        """date, quoted or bare: `1-Feb-1994`."""
        start = self.pos
        found = self.match(_DATE, "A date")
        try:
            return date(int(found.group(4)), _MONTHS[found.group(3).lower()], int(found.group(2)))
        except (KeyError, ValueError):
            self.pos = start
            raise self.fail("No such date") from None

    def date_time(self) -> int:
        """date-time as POSIX seconds; from 1970 to 2106, the span that the store keeps."""
        start = self.pos
        day, month, year, hour, minute, second, sign, zone_hour, zone_minute = self.match(
            _DATE_TIME, "A date and time"
        ).groups()
        try:
            date(int(year), _MONTHS[month.lower()], int(day))
            if int(hour) > 23 or int(minute) > 59 or int(second) > 60 or int(zone_minute) > 59:
                raise ValueError
        except (KeyError, ValueError):
            self.pos = start
            raise self.fail("No such date and time") from None
        local = calendar.timegm(
            (int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second))
        )
        offset = int(zone_hour) * 3600 + int(zone_minute) * 60
        return min(max(local - offset if sign == b"+" else local + offset, 0), _NUMBER_MAX)
