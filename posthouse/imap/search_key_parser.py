"""A search's keys read into a tree (RFC 9051 §9, 5032, 5466, 6203, 7162 §7, 8474 §6, 8514 §4.3). Pure.

One method for each kind of argument and one table row for each key. Nesting, the number of keys and the number of text
keys are bounded. A long chain of ORs, as offline clients build it, is read in a loop and becomes one key.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from typing import Final

from posthouse import limits
from posthouse.imap.grammar import Reader
from posthouse.imap.search_keys import (
    DAY,
    EVERY,
    NONE,
    Age,
    And,
    Column,
    Filter,
    Flags,
    Fuzzy,
    Key,
    Keyword,
    Messages,
    Not,
    Number,
    ObjectId,
    Or,
    Saved,
    Sent,
    TextIn,
)
from posthouse.imap.sequence import SequenceSet, parse_sequence_set
from posthouse.store.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

_ID_DIGITS: Final = 18
"""Digits of the largest object id that can be."""
_FAR: Final = 2**63
FILTER_NAME: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]/]+')
"""filter-name (RFC 5466 §4)."""


class KeyParser:
    """search-key; counts what it meets against the limits."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.codec = "utf-8"
        self.modseq = False
        """A MODSEQ key was met."""
        self.numbers = False
        """Message numbers were met."""
        self.fuzzy = False
        """FUZZY was met."""
        self.filters = False
        """FILTER was met."""
        self.count = 0
        self.texts = 0

    def keys(self) -> list[Key]:
        """`1*(SP search-key)`."""
        reader = self.reader
        reader.sp()
        keys = [self.key()]
        while reader.accept_sp():
            keys.append(self.key())
        return keys

    def key(self) -> Key:
        """search-key."""
        reader = self.reader
        self._one_more()
        if reader.peek(b"("):
            inner = reader.parenthesized(self.key)
            return inner[0] if len(inner) == 1 else And(keys=tuple(inner))
        if reader.raw[reader.pos : reader.pos + 1] in _SET_STARTS:
            self.numbers = True
            return Messages(messages=self._messages(), uid=False)
        start = reader.pos
        parse = _KEYS.get(reader.keyword())
        if parse is None:
            reader.pos = start
            raise reader.fail("Unknown search key")
        return parse(self)

    # --- the arguments of keys ---------------------------------------------------------------------------

    def _one_more(self) -> None:
        self.count += 1
        if self.count > limits.IMAP_SEARCH_KEYS:
            raise self.reader.fail("Too many search keys")

    def _messages(self) -> SequenceSet:
        try:
            return parse_sequence_set(self.reader.sequence_set())
        except ValueError as error:
            raise self.reader.fail(str(error)) from None

    def _words(self) -> str:
        """An astring in the search's charset. Octets that do not fit it are a syntax error."""
        raw = self.reader.astring()
        try:
            text = raw.decode(self.codec)
            text.encode("utf-8")  # UTF-7 can say what is no text: half a surrogate pair
            return text
        except ValueError:
            raise self.reader.fail("The string is not in the charset of the search") from None

    def _text(self, field: str, needle: str) -> Key:
        self.texts += 1
        if self.texts > limits.IMAP_SEARCH_TEXTS:
            raise self.reader.fail("Too many text keys")
        return TextIn(field=field, needle=needle)

    def _day(self) -> int:
        """A date as the POSIX second at which it begins in UTC."""
        return calendar.timegm(self.reader.date().timetuple())

    def text_key(self, field: str) -> Key:
        """BODY, TEXT and the named headers. Every message contains the empty string (RFC 9051 §6.4.4)."""
        self.reader.sp()
        needle = self._words()
        if not needle and not field.startswith("header:"):
            return EVERY
        return self._text(field, needle)

    def header_key(self) -> Key:
        """HEADER field string."""
        self.reader.sp()
        name = self.reader.astring()
        self.reader.sp()
        return self._text("header:" + name.decode("utf-8", "replace").lower(), self._words())

    def keyword_key(self, present: bool) -> Key:
        """KEYWORD, UNKEYWORD."""
        self.reader.sp()
        return Keyword(name=self.reader.flag(), present=present)

    def size_key(self, larger: bool) -> Key:
        """LARGER, SMALLER."""
        self.reader.sp()
        size = self.reader.number64()
        if larger:
            return Number(column=Column.SIZE, least=size + 1, bound=_FAR)
        return Number(column=Column.SIZE, least=0, bound=size)

    def day_key(self, make: Callable[[int, int], Key], before: bool, after: bool) -> Key:
        """The six date keys: days before, days from, or the day itself."""
        self.reader.sp()
        day = self._day()
        return make(-_FAR if before else day, day if before else _FAR if after else day + DAY)

    def age_key(self, older: bool) -> Key:
        """OLDER, YOUNGER (RFC 5032)."""
        self.reader.sp()
        return Age(seconds=self.reader.nz_number(), older=older)

    def uid_key(self) -> Key:
        """UID sequence-set."""
        self.reader.sp()
        return Messages(messages=self._messages(), uid=True)

    def modseq_key(self) -> Key:
        """MODSEQ (RFC 7162 §3.1.5)."""
        reader = self.reader
        reader.sp()
        if reader.peek(b'"'):
            # RFC 7162 §3.1.5: we keep one mod-sequence a message, so the entry's name and type are ignored.
            reader.quoted()
            reader.sp()
            if reader.keyword() not in (b"PRIV", b"SHARED", b"ALL"):
                raise reader.fail("Unknown entry type")
            reader.sp()
        self.modseq = True
        return Number(column=Column.MODSEQ, least=reader.mod_sequence_valzer(), bound=_FAR)

    def email_id_key(self) -> Key:
        """EMAILID (RFC 8474 §6)."""
        return self._object_id(b"M", thread=False)

    def thread_id_key(self) -> Key:
        """THREADID (RFC 8474 §6)."""
        return self._object_id(b"T", thread=True)

    def _object_id(self, letter: bytes, *, thread: bool) -> Key:
        self.reader.sp()
        given = self.reader.astring()
        number = given[1:]
        if given[:1] != letter or not number.isdigit() or len(number) > _ID_DIGITS or number[:1] == b"0":
            return NONE  # an id of nobody's
        return ObjectId(number=int(number), thread=thread)

    def filter_key(self) -> Key:
        """FILTER filter-name (RFC 5466 §3.1)."""
        self.reader.sp()
        name = self.reader.match(FILTER_NAME, "The name of a filter").group()
        self.filters = True
        return Filter(name=name.decode("ascii"))

    def not_key(self) -> Key:
        """NOT search-key."""
        self.reader.sp()
        self.reader.enter()
        inner = self.key()
        self.reader.leave()
        return inner.key if isinstance(inner, Not) else Not(key=inner)

    def fuzzy_key(self) -> Key:
        """FUZZY search-key (RFC 6203 §3)."""
        self.reader.sp()
        self.reader.enter()
        inner = self.key()
        self.reader.leave()
        self.fuzzy = True
        return Fuzzy(key=inner)

    def or_key(self) -> Key:
        """OR search-key search-key; a chain `OR a OR b OR c d`, as clients build it, becomes one key."""
        reader = self.reader
        reader.enter()
        keys = []
        while True:
            reader.sp()
            keys.append(self.key())
            reader.sp()
            if not reader.peek(b"OR "):
                break
            reader.expect(b"OR")
            self._one_more()
        keys.append(self.key())
        reader.leave()
        return Or(keys=tuple(keys))


_SET_STARTS: Final = frozenset(bytes([octet]) for octet in b"0123456789*$")


def _received(least: int, bound: int) -> Key:
    return Number(column=Column.RECEIVED, least=least, bound=bound)


def _sent(least: int, bound: int) -> Key:
    return Sent(least=least, bound=bound)


def _saved(least: int, bound: int) -> Key:
    return Saved(least=least, bound=bound)


def _constant(key: Key) -> Callable[[KeyParser], Key]:
    return lambda _: key


def _header(name: str) -> Callable[[KeyParser], Key]:
    return lambda parser: parser.text_key(f"header:{name}")


def _flag(bits: int, present: bool = True) -> Callable[[KeyParser], Key]:
    return _constant(Flags(bits=bits, present=present))


_KEYS: Final[dict[bytes, Callable[[KeyParser], Key]]] = {
    b"ALL": _constant(EVERY),
    b"ANSWERED": _flag(ANSWERED),
    b"UNANSWERED": _flag(ANSWERED, False),
    b"DELETED": _flag(DELETED),
    b"UNDELETED": _flag(DELETED, False),
    b"DRAFT": _flag(DRAFT),
    b"UNDRAFT": _flag(DRAFT, False),
    b"FLAGGED": _flag(FLAGGED),
    b"UNFLAGGED": _flag(FLAGGED, False),
    b"SEEN": _flag(SEEN),
    b"UNSEEN": _flag(SEEN, False),
    # RFC 3501 §6.4.4: no message is ever \Recent here (RFC 9051 dropped the flag).
    b"NEW": _constant(NONE),
    b"RECENT": _constant(NONE),
    b"OLD": _constant(EVERY),
    b"KEYWORD": lambda parser: parser.keyword_key(True),
    b"UNKEYWORD": lambda parser: parser.keyword_key(False),
    b"BCC": _header("bcc"),
    b"CC": _header("cc"),
    b"FROM": _header("from"),
    b"TO": _header("to"),
    b"SUBJECT": _header("subject"),
    b"BODY": lambda parser: parser.text_key("body"),
    b"TEXT": lambda parser: parser.text_key("text"),
    b"HEADER": KeyParser.header_key,
    b"BEFORE": lambda parser: parser.day_key(_received, before=True, after=False),
    b"ON": lambda parser: parser.day_key(_received, before=False, after=False),
    b"SINCE": lambda parser: parser.day_key(_received, before=False, after=True),
    b"SENTBEFORE": lambda parser: parser.day_key(_sent, before=True, after=False),
    b"SENTON": lambda parser: parser.day_key(_sent, before=False, after=False),
    b"SENTSINCE": lambda parser: parser.day_key(_sent, before=False, after=True),
    b"SAVEDBEFORE": lambda parser: parser.day_key(_saved, before=True, after=False),
    b"SAVEDON": lambda parser: parser.day_key(_saved, before=False, after=False),
    b"SAVEDSINCE": lambda parser: parser.day_key(_saved, before=False, after=True),
    b"SAVEDATESUPPORTED": _constant(EVERY),  # RFC 8514 §4.3: in every mailbox
    b"LARGER": lambda parser: parser.size_key(True),
    b"SMALLER": lambda parser: parser.size_key(False),
    b"OLDER": lambda parser: parser.age_key(True),
    b"YOUNGER": lambda parser: parser.age_key(False),
    b"UID": KeyParser.uid_key,
    b"MODSEQ": KeyParser.modseq_key,
    b"EMAILID": KeyParser.email_id_key,
    b"THREADID": KeyParser.thread_id_key,
    b"FILTER": KeyParser.filter_key,
    b"FUZZY": KeyParser.fuzzy_key,
    b"NOT": KeyParser.not_key,
    b"OR": KeyParser.or_key,
}
