"""A part of a list of messages, counted from its beginning or its end: `1:500`, `-1:-100` (RFC 9394 §3.1, §4). Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from posthouse.imap.grammar import Reader

_RANGE: Final = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})(?![0-9])")
_MOST: Final = 2**32 - 1


class PartialRange(msgspec.Struct, frozen=True):
    """partial-range."""

    least: int
    most: int
    """Places from 1, in ascending order (RFC 9394 §4: 500:400 is the same as 400:500)."""
    from_end: bool
    """Counted from the last result: -1 is that one itself."""
    raw: bytes
    """As the client wrote it, for the answer."""

    def among(self, count: int) -> slice:
        """Which of `count` results are meant, as they stand from the first to the last; perhaps none."""
        if self.from_end:
            return slice(max(count - self.most, 0), max(count - self.least + 1, 0))
        return slice(min(self.least - 1, count), min(self.most, count))


def parse_partial_range(reader: Reader) -> PartialRange:
    """`SP partial-range`. Raises BadSyntax: 0, a mixture of both kinds, more than 32 bits."""
    reader.sp()
    found = reader.match(_RANGE, "A range of results")
    first, last = int(found.group(2)), int(found.group(4))
    if found.group(1) != found.group(3) or not 0 < first <= _MOST or not 0 < last <= _MOST:
        raise reader.fail("A range of results has two ends of the same kind")
    return PartialRange(min(first, last), max(first, last), bool(found.group(1)), found.group())
