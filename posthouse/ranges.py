"""A compact, ordered set of positive integers kept as disjoint ranges.

IMAP's UIDs, vanished sets and sequence sets are nearly always a few long runs, so a mailbox of 100,000 costs
a handful of numbers. Positions count from 1, as message sequence numbers do (RFC 9051 §2.3.1.2): `nth(1)` is
the smallest member and `rank(x)` is the inverse. Immutable: operations return new sets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain


class Ranges:
    """Disjoint ascending inclusive ranges. `len`, `in`, iteration and equality are those of the set."""

    __slots__ = ("_ends", "_ranks", "_starts")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        """Take any inclusive (first, last) pairs; they are ordered, swapped and merged as needed."""
        starts: list[int] = []
        ends: list[int] = []
        for first, last in sorted((a, b) if a <= b else (b, a) for a, b in pairs):
            if ends and first <= ends[-1] + 1:
                ends[-1] = max(ends[-1], last)
            else:
                starts.append(first)
                ends.append(last)
        self._starts = starts
        self._ends = ends
        # _ranks[i] = how many members stand before range i; the last item is the size of the set
        self._ranks = [0, *accumulate(e - s + 1 for s, e in zip(starts, ends, strict=True))]

    @classmethod
    def between(cls, first: int, last: int) -> Ranges:
        """One inclusive range, its ends in either order."""
        if first > last:
            first, last = last, first
        new = cls.__new__(cls)
        new._starts, new._ends, new._ranks = [first], [last], [0, last - first + 1]
        return new

    @classmethod
    def of(cls, members: Iterable[int]) -> Ranges:
        """The set of any integers, in any order."""
        return cls.of_sorted(sorted(set(members)))

    @classmethod
    def of_sorted(cls, members: Iterable[int]) -> Ranges:
        """The set of strictly ascending integers, in one pass."""
        return cls.of_array(members if isinstance(members, list | array) else list(members))

    @classmethod
    def of_array(cls, members: Sequence[int]) -> Ranges:
        """The set of a strictly ascending sequence, by looking for the end of each run: quick when runs are long."""
        pairs: list[tuple[int, int]] = []
        i, count = 0, len(members)
        while i < count:
            first = members[i]
            low, step = i, 1
            while low + step < count and members[low + step] - first == low + step - i:
                low += step
                step *= 2
            while step:  # the run goes on to `low` at least, and ends before `low + 2 * step`
                if low + step < count and members[low + step] - first == low + step - i:
                    low += step
                step //= 2
            pairs.append((first, first + low - i))
            i = low + 1
        return cls._trusted(pairs)

    @classmethod
    def _trusted(cls, pairs: list[tuple[int, int]]) -> Ranges:
        new = cls.__new__(cls)
        new._starts = [a for a, _ in pairs]
        new._ends = [b for _, b in pairs]
        new._ranks = [0, *accumulate(b - a + 1 for a, b in pairs)]
        return new

    @classmethod
    def parse(cls, text: str | bytes) -> Ranges:
        """Read back what `str()` wrote: `1:5,9`. Raises ValueError on anything else."""
        if isinstance(text, bytes):
            text = text.decode("ascii")
        pairs = []
        for item in text.split(",") if text else ():
            first, colon, last = item.partition(":")
            pairs.append((int(first), int(last if colon else first)))
        return cls(pairs)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The inclusive (first, last) runs, ascending."""
        return zip(self._starts, self._ends, strict=True)

    def run_count(self) -> int:
        """How many disjoint runs: what the set costs in memory and on the wire."""
        return len(self._starts)

    def __len__(self) -> int:
        return self._ranks[-1]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __contains__(self, member: int) -> bool:
        i = bisect_right(self._starts, member) - 1
        return i >= 0 and member <= self._ends[i]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(range(a, b + 1) for a, b in zip(self._starts, self._ends, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranges):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    def __hash__(self) -> int:
        return hash((tuple(self._starts), tuple(self._ends)))

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in self.pairs())

    def __repr__(self) -> str:
        return f"Ranges({str(self)!r})"

    @property
    def first(self) -> int:
        """The smallest member. Raises IndexError on the empty set."""
        return self._starts[0]

    @property
    def last(self) -> int:
        """The largest member. Raises IndexError on the empty set."""
        return self._ends[-1]

    def nth(self, position: int) -> int:
        """The member at a position counted from 1. Raises IndexError outside 1..len."""
        if not 1 <= position <= self._ranks[-1]:
            raise IndexError(position)
        i = bisect_left(self._ranks, position) - 1
        return self._starts[i] + position - self._ranks[i] - 1

    def rank(self, member: int) -> int | None:
        """The position of a member counted from 1, or None when it is not in the set."""
        i = bisect_right(self._starts, member) - 1
        if i < 0 or member > self._ends[i]:
            return None
        return self._ranks[i] + member - self._starts[i] + 1

    def union(self, other: Ranges) -> Ranges:
        """Members of either set."""
        if not other:
            return self
        if not self:
            return other
        if other.first > self.last:  # growing at the end, the common case
            return self._followed_by(other)
        return Ranges(chain(self.pairs(), other.pairs()))

    def _followed_by(self, other: Ranges) -> Ranges:
        """The union with a set that lies behind this one: new mail must not cost more the more gaps a mailbox has."""
        touching = other.first == self.last + 1
        size, kept = len(self), len(self._ends) - touching
        new = Ranges.__new__(Ranges)
        new._starts = self._starts + other._starts[touching:]
        new._ends = self._ends[:kept] + other._ends
        new._ranks = self._ranks[: kept + 1] + [size + rank for rank in other._ranks[1:]]
        return new

    def intersection(self, other: Ranges) -> Ranges:
        """Members of both sets."""
        few, many = (self, other) if len(self._starts) <= len(other._starts) else (other, self)
        found: list[tuple[int, int]] = []
        for first, last in few.pairs():
            j = bisect_left(many._ends, first)
            while j < len(many._starts) and many._starts[j] <= last:
                found.append((max(first, many._starts[j]), min(last, many._ends[j])))
                j += 1
        return Ranges._trusted(found)

    def difference(self, other: Ranges) -> Ranges:
        """Members of this set that are not in the other."""
        if not other or not self:
            return self
        kept: list[tuple[int, int]] = []
        j = 0
        for first, last in self.pairs():
            while j < len(other._starts) and other._ends[j] < first:
                j += 1
            k = j
            while k < len(other._starts) and other._starts[k] <= last:
                if other._starts[k] > first:
                    kept.append((first, other._starts[k] - 1))
                first = other._ends[k] + 1
                k += 1
            if first <= last:
                kept.append((first, last))
        return Ranges._trusted(kept)

    __or__ = union
    __and__ = intersection
    __sub__ = difference


EMPTY = Ranges()
