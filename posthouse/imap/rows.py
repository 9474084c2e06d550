"""Messages of a selected mailbox in batches, ready to be rendered as columns.

A batch names its messages by position in the mailbox's arrays, and those move with every commit: so a batch
must be made and its columns taken without an `await` between, and only the columns are kept. Rendering is
one bytes template applied to the columns side by side, which is several times faster than building each
line.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

from posthouse.imap import acl, encode
from posthouse.ranges import Ranges
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import KEYWORD_SHIFT, SYSTEM_FLAGS

DAY: Final = 86_400
_FLAGS_LISTED: Final = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
LOWEST_OCTET: Final = 0 if sys.byteorder == "little" else 7
"""Where the system flags' octet stands in the eight of a message's bits."""


class Rows:
    """Some messages of the mailbox: their sequence numbers, and where they stand in its arrays now."""

    __slots__ = ("numbers", "positions")

    def __init__(self, numbers: Sequence[int], positions: range | list[int]) -> None:
        self.numbers = numbers
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def column(self, values: array[int]) -> Sequence[int]:
        """The messages' values of one array, as a copy."""
        positions = self.positions
        if isinstance(positions, range):
            return values[positions.start : positions.stop]
        return [values[position] for position in positions]

    def part(self, first: int, last: int) -> Rows:
        """The messages from `first` to before `last` (from 0)."""
        return Rows(self.numbers[first:last], self.positions[first:last])

    def only(self, wanted: Iterable[int]) -> Rows:
        """The messages at these places (from 0)."""
        places = list(wanted)
        return Rows([self.numbers[i] for i in places], [self.positions[i] for i in places])


def rows_of(index: MailboxIndex, known: Ranges, selected: Ranges, first: int, count: int) -> Rows:
    """Of the UIDs `selected` (all in `known`, which gives the numbers), those from the `first`-th (from 0) on.

    Messages that are gone from the mailbox are left out, so there may be fewer than `count`.
    """
    last = min(first + count, len(selected))
    low, high = selected.nth(first + 1), selected.nth(last)
    uids = index.uids
    start, stop = bisect_left(uids, low), bisect_right(uids, high)
    number = known.rank(low) or 0
    # As many in the mailbox, the client's knowledge and the selection between two UIDs: they are the same messages.
    if stop - start == last - first and (known.rank(high) or 0) - number + 1 == last - first:
        return Rows(range(number, number + last - first), range(start, stop))
    numbers: list[int] = []
    positions: list[int] = []
    for begin, end in selected.intersection(Ranges(((low, high),))).pairs():
        i = bisect_left(uids, begin, start, stop)
        j = bisect_right(uids, end, i, stop)
        if i < j:
            shift = (known.rank(begin) or 0) - begin
            positions.extend(range(i, j))
            numbers.extend([uid + shift for uid in uids[i:j]])
        start = j
    return Rows(numbers, positions)


def batches(index: MailboxIndex, known: Ranges, selected: Ranges, size: int) -> Iterator[Rows]:
    """All of `selected` that is still there, at most `size` at a time; each is made when it is asked for."""
    for first in range(0, len(selected), size):
        rows = rows_of(index, known, selected, first, size)
        if rows.positions:
            yield rows


def flags_response(keywords: Sequence[str], rights: acl.Rights) -> bytes:
    """`* FLAGS (…)` and PERMANENTFLAGS: what the rights allow (RFC 4314 §5.1.1); of none the mailbox is read-only."""
    listed = (*_FLAGS_LISTED, *keywords)
    names = " ".join(listed).encode("ascii", "replace")
    if rights >= acl.FLAGS:
        permanent = b"%b \\*" % names
    else:
        # a new keyword needs the right that the others need
        allowed = [flag for flag in (*listed, "\\*") if acl.right_for(flag) in rights]
        permanent = " ".join(allowed).encode("ascii", "replace")
    words = b"Flags permitted" if permanent else b"Read-only mailbox"
    return b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] %b\r\n" % (names, permanent, words)


class FlagTexts(dict[int, bytes]):
    """Flag bits → `\\Seen $Junk` (the inside of a flag list), filled as bits are met. At most 4,096 are kept."""

    def __init__(self, keywords: tuple[str, ...]) -> None:
        super().__init__()
        self.keywords = keywords
        self._names = [name.encode("ascii", "replace") for name in (*SYSTEM_FLAGS, *keywords)]

    def __missing__(self, bits: int) -> bytes:
        text = b" ".join(name for bit, name in enumerate(self._names) if bits >> bit & 1)
        if not bits >> len(self._names) and len(self) < 4096:  # an unknown keyword's name may still be learnt
            self[bits] = text
        return text

    def knows(self, bits: int) -> bool:
        """Whether every bit has a name."""
        return not bits >> len(self._names)


class DateTexts(dict[int, bytes]):
    """Days since 1970 → ` 1-Feb-1994`, for INTERNALDATE: one rendering a day met."""

    def __missing__(self, day: int) -> bytes:
        text = self[day] = encode.date_time(day * DAY)[1:12]
        return text

    def date_time(self, posix: int) -> bytes:
        """date-time with its quotes, in UTC."""
        day, second = divmod(posix, DAY)
        return b'"%b %02d:%02d:%02d +0000"' % (self[day], second // 3600, second // 60 % 60, second % 60)


def keyword_bit(keywords: tuple[str, ...], name: str) -> int | None:
    """The bit mask of a keyword, whatever its letters' case (RFC 9051 §2.3.2), or None when the account has it not."""
    lowered = name.lower()
    for i, keyword in enumerate(keywords):
        if keyword.lower() == lowered:
            return 1 << (KEYWORD_SHIFT + i)
    return None


def flag_lines(
    rows: Rows, index: MailboxIndex, texts: FlagTexts, *, uid: bool, modseq: bool, flags: bool = True
) -> bytes:
    """`* n FETCH (UID u FLAGS (…) MODSEQ (m))` for each message, with the items wanted."""
    columns: list[Iterable[object]] = [rows.numbers]
    items = []
    if uid:
        items.append(b"UID %d")
        columns.append(rows.column(index.uids))
    if flags:
        items.append(b"FLAGS (%b)")
        columns.append(map(texts.__getitem__, rows.column(index.flags)))
    if modseq:
        items.append(b"MODSEQ (%d)")
        columns.append(rows.column(index.modseqs))
    return render(b"* %d FETCH (" + b" ".join(items) + b")\r\n", columns)


def render(template: bytes, columns: Sequence[Iterable[object]]) -> bytes:
    """The template once for each row of the columns."""
    return b"".join(lines(template, columns))


def lines(template: bytes, columns: Sequence[Iterable[object]]) -> Iterator[bytes]:
    """The same one by one; without columns, the template again and again."""
    return map(template.__mod__, zip(*columns, strict=False)) if columns else repeat(template % ())
