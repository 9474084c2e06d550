"""SEARCH's arguments (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 7162 §3.1.5, RFC 9394), as a tree.

Some keys are decided by the mailbox's arrays (flags, sizes, dates of receipt, mod-sequences, message sets),
some need a column of the email (the Date header, EMAILID), and some look into its text. `cost` orders them,
so that the runner asks the dear ones only about messages that the cheap ones left over.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from posthouse.imap.fetch_args import Item
from posthouse.imap.partial_range import PartialRange
from posthouse.imap.sequence import SequenceSet

DAY: Final = 86_400


class Column(enum.Enum):
    """A number that the mailbox's arrays hold for each message."""

    SIZE = "size"
    RECEIVED = "received"
    MODSEQ = "modseq"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all keys."""


class Flags(Key, frozen=True, kw_only=True):
    """System flags: `bits` all set, or none of them."""

    bits: int
    present: bool


class Keyword(Key, frozen=True, kw_only=True):
    """A keyword by name; its bit depends on the account."""

    name: str
    present: bool


class Number(Key, frozen=True, kw_only=True):
    """least ≤ column < bound."""

    column: Column
    least: int
    bound: int


class Age(Key, frozen=True, kw_only=True):
    """RFC 5032: received at least (OLDER) or at most (YOUNGER) so many seconds ago."""

    seconds: int
    older: bool


class Messages(Key, frozen=True, kw_only=True):
    """A message set, of numbers or UIDs."""

    messages: SequenceSet
    uid: bool


class ObjectId(Key, frozen=True, kw_only=True):
    """RFC 8474 §6: EMAILID or THREADID, as FETCH shows it."""

    number: int
    thread: bool = False


class Sent(Key, frozen=True, kw_only=True):
    """The Date header's day: least ≤ day < bound, as POSIX seconds of a day's beginning."""

    least: int
    bound: int


class Saved(Key, frozen=True, kw_only=True):
    """RFC 8514 §4.3: least ≤ the day on which it came into the mailbox < bound, as Sent's."""

    least: int
    bound: int


class TextIn(Key, frozen=True, kw_only=True):
    """A substring of the text; `field` as Store.search_text takes it."""

    field: str
    needle: str


class Filter(Key, frozen=True, kw_only=True):
    """RFC 5466: what is kept under a name; it is put in this key's place before anything is searched."""

    name: str


class Fuzzy(Key, frozen=True, kw_only=True):
    """RFC 6203: what is like the key is enough."""

    key: Key


class Not(Key, frozen=True, kw_only=True):
    """Messages that do not match."""

    key: Key


class Or(Key, frozen=True, kw_only=True):
    """Messages that match one of the keys (a chain of ORs is one of these)."""

    keys: tuple[Key, ...]


class And(Key, frozen=True, kw_only=True):
    """Messages that match all keys; without any: all messages."""

    keys: tuple[Key, ...] = ()


EVERY: Final = And()
NONE: Final = Not(key=EVERY)


class Return(enum.Enum):
    """search-return-opt."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"
    PARTIAL = b"PARTIAL"
    RELEVANCY = b"RELEVANCY"


class Update(msgspec.Struct, frozen=True):
    """modifier-update (RFC 5267 §5, RFC 5465 §7)."""

    items: tuple[Item, ...] = ()
    """What is to be told of new messages in the result."""
    sets_seen: bool = False


class SearchArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a SEARCH or UID SEARCH asks for."""

    key: Key
    uid: bool
    returns: frozenset[Return] | None
    """None: no RETURN was given."""
    relevancy: bool = False
    """The result is told or sorted by how relevant it is (RFC 6203)."""
    update: Update | None = None
    """Changes of the result are to be told (RFC 5267 §4.3)."""
    partial: PartialRange | None = None
    """Which part PARTIAL asks for (RFC 9394 §3.1)."""
    modseq: bool
    """A MODSEQ key occurs, so the answer carries the highest mod-sequence found (RFC 7162 §3.1.5)."""
    numbers: bool
    """Message numbers occur."""
    fuzzy: bool = False
    """A FUZZY key occurs."""
    filters: bool = False
    """A FILTER key occurs."""
    count: int = 0
    """How many keys there are, nested ones too."""
    texts: int = 0
    """How many of them look into texts."""
    charset: str = "utf-8"
    unknown_charset: bool = False
    """The charset is none that we know: the answer is NO [BADCHARSET]."""


class SortKey(enum.Enum):
    """sort-key (RFC 5256 §5; the two of what is shown RFC 5957; relevancy RFC 6203 §6)."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"
    FROM = b"FROM"
    RELEVANCY = b"RELEVANCY"
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"


class SortBy(msgspec.Struct, frozen=True, kw_only=True):
    """sort-criterion."""

    key: SortKey
    reverse: bool


class SortArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a SORT or UID SORT asks for."""

    criteria: tuple[SortBy, ...]
    """The most important first."""
    search: SearchArgs


class Threading(enum.Enum):
    """thread-alg."""

    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"


class ThreadArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a THREAD or UID THREAD asks for."""

    algorithm: Threading
    search: SearchArgs


def cost(key: Key) -> int:
    """0: arrays decide; 1: a column is read; 2: a header is searched; 3: bodies are."""
    match key:
        case TextIn(field=field):
            return 2 if field.startswith("header:") else 3
        case Sent() | Saved() | ObjectId():
            return 1
        case Not(key=inner) | Fuzzy(key=inner):
            return cost(inner)
        case Or(keys=keys) | And(keys=keys):
            return max(map(cost, keys), default=0)
    return 0
