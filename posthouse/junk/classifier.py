"""The statistical filter: what tokens say about a message, from the messages that were learnt.

Robinson's measure of each token, combined by Fisher's method (the sums of logarithms follow a chi-square
distribution when nothing is known), as bogofilter and SpamBayes have shown to err little on wanted mail. A model is
bounded in tokens and in age. It also keeps the likeness of the messages learnt last: one move into Junk is enough to
know the same letter again, long before words can say anything. Everything here is pure.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from posthouse.limits import (
    LIKENESS_TOKENS,
    LIKENESSES,
    MODEL_LESSONS,
    MODEL_OCTETS,
    MODEL_TOKENS,
    TOKENS_WEIGHED,
)

_STRENGTH: Final = 0.3
"""How many messages the assumption about an unknown token weighs."""
_TELLING: Final = 0.1
"""Tokens nearer to even than that are not weighed."""
READY: Final = 8
"""Messages of each sort that must have been learnt before words are believed."""
_ALIKE: Final = 0.6
"""Share of the tokens that stand for two messages above which they are alike."""


class Likeness(msgspec.Struct, frozen=True, array_like=True):
    """A message that was learnt, by the smallest hashes of its tokens (a sample that like messages share)."""

    hashes: tuple[int, ...]
    junk: bool


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a model thinks of a message."""

    junk: float
    """0: surely wanted; 1: surely junk; 0.5: no idea."""
    ready: bool
    """Enough was learnt to believe it."""
    telling: tuple[tuple[str, float], ...] = ()
    """The tokens that weighed most, with their own measure."""


class _Kept(msgspec.Struct, array_like=True):
    version: int
    junk: int
    good: int
    tokens: dict[str, int]
    likenesses: list[Likeness]


_COUNT: Final = 1 << 16
"""Counts of a token are kept in one number: junk * _COUNT + good."""


class Model:
    """What was learnt, for one account or for the house."""

    def __init__(self) -> None:
        self.junk = 0
        """Messages learnt as junk."""
        self.good = 0
        self._tokens: dict[str, int] = {}
        self._likenesses: list[Likeness] = []
        self._measures: dict[str, float] = {}

    @property
    def ready(self) -> bool:
        """Whether words are believed."""
        return min(self.junk, self.good) >= READY

    @property
    def empty(self) -> bool:
        """Whether nothing was learnt yet."""
        return not (self.junk or self.good)

    # --- learning -----------------------------------------------------------------------------------

    def learn(self, names: Iterable[str], *, junk: bool) -> None:
        """Learn a message."""
        names = tuple(names)
        step = _COUNT if junk else 1
        tokens = self._tokens
        for name in names:
            tokens[name] = tokens.get(name, 0) + step
        if junk:
            self.junk += 1
        else:
            self.good += 1
        hashes = likeness_of(names)
        self._likenesses = [one for one in self._likenesses if one.hashes != hashes][-LIKENESSES + 1 :]
        self._likenesses.append(Likeness(hashes, junk))
        self._bound()

    def unlearn(self, names: Iterable[str], *, junk: bool) -> None:
        """Take back what `learn` did, as far as it is still known."""
        names = tuple(names)
        tokens = self._tokens
        for name in names:
            count = tokens.get(name, 0)
            if count // _COUNT if junk else count % _COUNT:
                tokens[name] = count - (_COUNT if junk else 1)
                if not tokens[name]:
                    del tokens[name]
        if junk:
            self.junk = max(0, self.junk - 1)
        else:
            self.good = max(0, self.good - 1)
        gone = Likeness(likeness_of(names), junk)
        self._likenesses = [one for one in self._likenesses if one != gone]
        self._measures.clear()

    def _bound(self) -> None:
        self._measures.clear()
        if self.junk + self.good > MODEL_LESSONS:
            self._halve()
        if len(self._tokens) > MODEL_TOKENS:
            # Seen once and long ago: the dictionary's order is that of first sight.
            excess = len(self._tokens) - MODEL_TOKENS * 3 // 4
            rare = [name for name, count in self._tokens.items() if count in (1, _COUNT)]
            for name in islice(rare, excess):
                del self._tokens[name]
            if len(self._tokens) > MODEL_TOKENS:
                self._halve()
            for name in tuple(islice(self._tokens, max(0, len(self._tokens) - MODEL_TOKENS))):
                del self._tokens[name]

    def _halve(self) -> None:
        self.junk //= 2
        self.good //= 2
        halved = {
            name: (count // _COUNT // 2) * _COUNT + count % _COUNT // 2
            for name, count in self._tokens.items()
        }
        self._tokens = {name: count for name, count in halved.items() if count}

    # --- judging ------------------------------------------------------------------------------------

    def score(self, names: Iterable[str]) -> Score:
        """Judge a message."""
        if not (self.junk and self.good):
            return Score(junk=0.5, ready=False)
        measures = self._measures
        told = []
        for name in names:
            measure = measures.get(name)
            if measure is None:
                measure = self._measure(name)
                if len(measures) < MODEL_TOKENS:
                    measures[name] = measure
            if abs(measure - 0.5) >= _TELLING:
                told.append((name, measure))
        if len(told) > TOKENS_WEIGHED:
            told = heapq.nlargest(TOKENS_WEIGHED, told, key=lambda pair: abs(pair[1] - 0.5))
        else:
            told.sort(key=lambda pair: -abs(pair[1] - 0.5))
        count = len(told)
        if not count:
            return Score(junk=0.5, ready=self.ready)
        for_junk = _chi_square(-2 * sum(math.log(1 - measure) for _, measure in told), count)
        for_good = _chi_square(-2 * sum(math.log(measure) for _, measure in told), count)
        return Score(junk=(1 + for_good - for_junk) / 2, ready=self.ready, telling=tuple(told[:10]))

    def _measure(self, name: str) -> float:
        packed = self._tokens.get(name)
        if packed is None:
            return 0.5
        in_junk, in_good = packed // _COUNT / self.junk, packed % _COUNT / self.good
        seen = packed // _COUNT + packed % _COUNT
        share = in_junk / (in_junk + in_good) if in_junk + in_good else 0.5
        return min(max((_STRENGTH * 0.5 + seen * min(share, 1.0)) / (_STRENGTH + seen), 0.001), 0.999)

    def like(self, names: Iterable[str]) -> bool | None:
        """Whether it is like a message learnt as junk (True) or as good (False); None: like none. The latest counts."""
        if not self._likenesses:
            return None
        hashes = frozenset(likeness_of(names))
        for one in reversed(self._likenesses):
            shared = len(hashes.intersection(one.hashes))
            if shared >= _ALIKE * max(len(one.hashes), len(hashes)) and shared >= LIKENESS_TOKENS // 3:
                return one.junk
        return None

    # --- keeping ------------------------------------------------------------------------------------

    def pack(self) -> bytes:
        """Octets to keep."""
        kept = _Kept(1, self.junk, self.good, self._tokens, self._likenesses)
        return zlib.compress(msgspec.msgpack.encode(kept), 3)

    @classmethod
    def unpack(cls, packed: bytes) -> Model:
        """From what `pack` gave. What is damaged is an empty model: learning begins anew."""
        model = cls()
        try:
            plain = zlib.decompressobj().decompress(packed, MODEL_OCTETS)
            kept = msgspec.msgpack.decode(plain, type=_Kept)
        except (zlib.error, msgspec.MsgspecError):
            return model
        model.junk, model.good = kept.junk, kept.good
        model._tokens = dict(islice(kept.tokens.items(), MODEL_TOKENS))
        model._likenesses = kept.likenesses[-LIKENESSES:]
        return model


def blend(own: Score | None, house: Score | None, own_lessons: int) -> Score | None:
    """The account's own opinion counts more the more it has learnt; None: nobody knows enough."""
    if own is None or not own.ready:
        return house if house is not None and house.ready else None
    if house is None or not house.ready:
        return own
    share = own_lessons / (own_lessons + 20)
    return Score(junk=share * own.junk + (1 - share) * house.junk, ready=True, telling=own.telling)


def likeness_of(names: Iterable[str]) -> tuple[int, ...]:
    """The smallest hashes of a message's tokens: of two messages they agree as far as the tokens do."""
    return tuple(
        heapq.nsmallest(LIKENESS_TOKENS, [zlib.crc32(name.encode("utf-8", "replace")) for name in names])
    )


def _chi_square(value: float, degrees: int) -> float:
    """The chance of a chi-square value this large or larger, with 2 * `degrees` degrees of freedom."""
    half = value / 2
    if half > 700:
        return 0.0
    term = total = math.exp(-half)
    for i in range(1, degrees):
        term *= half / i
        total += term
    return min(total, 1.0)
