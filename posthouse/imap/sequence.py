"""A message set as the client wrote it (RFC 9051 §9 sequence-set), and what it means in a mailbox.

A set is kept unresolved, because `*` and `$` depend on the mailbox at the moment the command runs: `*` is
the highest message number or UID, `$` the result of the last SEARCH with SAVE. Resolving gives `Ranges`;
numbers never become a list, so `1:4294967295` costs what `1` costs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.ranges import EMPTY, Ranges

STAR: Final = 0
"""Stands for `*` in a pair; 0 is no nz-number."""
_MOST: Final = 2**32 - 1


class SequenceSet(msgspec.Struct, frozen=True):
    """Pairs of ends in any order, `*` as STAR; or `$`."""

    pairs: tuple[tuple[int, int], ...]
    saved: bool = False
    """`$`: the saved search result (RFC 9051 §6.4.4.1)."""

    def resolve(self, highest: int) -> Ranges:
        """The numbers meant when `*` is `highest`. In an empty mailbox the caller passes what §9 says `*` is then."""
        if self.saved:
            return EMPTY
        if len(self.pairs) == 1:
            first, last = self.pairs[0]
            return Ranges.between(first or highest, last or highest)
        # RFC 9051 §9: the order of the two ends does not matter; `559:*` always includes the last message.
        return Ranges((first or highest, last or highest) for first, last in self.pairs)

    @property
    def has_star(self) -> bool:
        """Whether `*` occurs."""
        return any(STAR in pair for pair in self.pairs)


SAVED: Final = SequenceSet((), saved=True)
EVERYTHING: Final = SequenceSet(((1, STAR),))


def parse_sequence_set(raw: bytes) -> SequenceSet:
    """The set that a token denotes (see grammar.Reader.sequence_set). ValueError: a number over 32 bits."""
    if raw == b"$":
        return SAVED
    if raw == b"1:*":
        return EVERYTHING
    pairs = []
    for item in raw.split(b","):
        first, _, last = item.partition(b":")
        start = STAR if first == b"*" else int(first)
        end = start if not last else STAR if last == b"*" else int(last)
        if start > _MOST or end > _MOST:
            raise ValueError("a number in the message set is out of range")
        pairs.append((start, end))
    return SequenceSet(tuple(pairs))


def uid_set(raw: bytes) -> Ranges:
    """A set of UIDs in which neither `*` nor `$` may stand (RFC 7162 §7 known-uids). ValueError otherwise."""
    parsed = parse_sequence_set(raw)
    if parsed.saved or parsed.has_star:
        raise ValueError("'*' and '$' are not allowed here")
    return parsed.resolve(STAR)
