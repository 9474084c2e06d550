"""The statistical filter: what tokens say about a message, from the messages that were learnt.

Robinson's measure of each token, combined by Fisher's method (the sums of logarithms follow a chi-square
distribution when nothing is known), as bogofilter and SpamBayes have shown to err little on wanted mail. A model is
bounded in tokens and in age. It also keeps the likeness of the messages learnt last: one move into Junk is enough to
know the same letter again, long before words can say anything. Everything here is pure.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Final

import msgspec

from posthouse.limits import (
    LIKENESS_NAMES,
    LIKENESS_TOKENS,
    LIKENESSES,
    MODEL_LESSONS,
    MODEL_OCTETS,
    MODEL_TOKENS,
    TOKENS,
    TOKENS_WEIGHED,
)

_STRENGTH: Final = 0.3
"""How many messages the assumption about an unknown token weighs."""
_TELLING: Final = 0.1
"""Tokens nearer to even than that are not weighed."""
READY: Final = 8
"""Messages of each sort that must have been learnt before words are believed."""
_MATURE: Final = 400
"""Messages of each sort after which an account needs nobody else's opinion."""
_LATEST: Final = 4
"""Messages that a token shared by many leads to."""
_HINTS: Final = 3
"""Tokens that must lead to a message before it is compared: one or two lead everywhere."""
_ALIKE: Final = 0.6
"""Share of the tokens that stand for two messages above which they are alike."""


class Likeness(msgspec.Struct, frozen=True, array_like=True):
    """A message that was learnt, by the smallest hashes of its tokens (a sample that like messages share)."""

    hashes: frozenset[int]
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


_LEAST: Final = 0.001
"""The measure of a token that was only seen in good mail, however often; 1 less it is that of one of junk."""
_STEPS: Final = 254
"""Measures are kept as whole steps of their logarithmic odds: numbers so small that Python has one of each, and a score
touches no memory but the dictionary of the tokens."""
_LOG_ODDS: Final = math.log((1 - _LEAST) / _LEAST)
_MEASURES: Final = tuple(
    1 / (1 + math.exp(-(step / _STEPS * 2 - 1) * _LOG_ODDS)) for step in range(_STEPS + 1)
)
_LOG_JUNK: Final = tuple(map(math.log, _MEASURES))
_LOG_GOOD: Final = tuple(reversed(_LOG_JUNK))
_RANKS: Final = tuple(
    _STEPS // 2 - abs(step - _STEPS // 2) if abs(measure - 0.5) >= _TELLING else -1
    for step, measure in enumerate(_MEASURES)
)
"""0: nothing is more telling; -1: it is not weighed."""

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
        self._steps: dict[str, int] = {}
        """Of tokens that were asked for since the last change."""
        self._alike: dict[int, list[int]] = {}
        """Hash → places in `_likenesses`; empty: not made since the last change."""

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
        self._forget()

    def _forget(self) -> None:
        """What was computed holds no longer."""
        self._steps = {}
        self._alike = {}

    def _bound(self) -> None:
        self._forget()
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

    def score(self, names: tuple[str, ...]) -> Score:
        """Judge a message."""
        if not (self.junk and self.good):
            return Score(junk=0.5, ready=False)
        steps = self._steps_of(names)
        # Sorted as numbers: the most telling first, of equal ones those that stand in front.
        told = sorted(
            _RANKS[step] * TOKENS + place
            for place, step in enumerate(steps)
            if step is not None and _RANKS[step] >= 0
        )[:TOKENS_WEIGHED]
        if not told:
            return Score(junk=0.5, ready=self.ready)
        places = [one % TOKENS for one in told]
        weighed = [steps[place] or 0 for place in places]
        for_junk = _chi_square(-2 * sum([_LOG_GOOD[step] for step in weighed]), len(told))
        for_good = _chi_square(-2 * sum([_LOG_JUNK[step] for step in weighed]), len(told))
        telling = tuple(
            (names[place], _MEASURES[step]) for place, step in zip(places[:10], weighed, strict=False)
        )
        return Score(junk=(1 + for_good - for_junk) / 2, ready=self.ready, telling=telling)

    def _steps_of(self, names: tuple[str, ...]) -> list[int | None]:
        """How much each token speaks for junk, in steps; None: it was never learnt."""
        steps = list(map(self._steps.get, names))
        tokens = self._tokens
        for place in [place for place, step in enumerate(steps) if step is None and names[place] in tokens]:
            name = names[place]
            steps[place] = self._steps[name] = self._step(name)
        return steps

    def _step(self, name: str) -> int:
        packed = self._tokens[name]
        in_junk, in_good = packed // _COUNT / self.junk, packed % _COUNT / self.good
        seen = packed // _COUNT + packed % _COUNT
        share = in_junk / (in_junk + in_good) if in_junk + in_good else 0.5
        measure = min(
            max((_STRENGTH * 0.5 + seen * min(share, 1.0)) / (_STRENGTH + seen), _LEAST), 1 - _LEAST
        )
        return round((math.log(measure / (1 - measure)) / _LOG_ODDS + 1) / 2 * _STEPS)

    def like(self, names: tuple[str, ...]) -> bool | None:
        """Whether it is like a message learnt as junk (True) or as good (False); None: like none. The latest counts."""
        if not self._likenesses:
            return None
        if not self._alike:
            self._alike = _by_hash(self._likenesses)
        hashes = likeness_of(names)
        places = Counter(chain.from_iterable(self._alike.get(one, ()) for one in hashes))
        for place in sorted([place for place, shared in places.items() if shared >= _HINTS], reverse=True):
            one = self._likenesses[place]
            shared = len(one.hashes & hashes)
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


def share_of_own(lessons: int) -> float:
    """How much an account's own opinion counts beside that of the house; 1: it needs no other."""
    return lessons / (lessons + 20) if lessons < _MATURE else 1.0


def blend(own: Score | None, house: Score | None, own_lessons: int) -> Score | None:
    """The account's own opinion counts more the more it has learnt; None: nobody knows enough."""
    if own is None or not own.ready:
        return house if house is not None and house.ready else None
    if house is None or not house.ready:
        return own
    share = share_of_own(own_lessons)
    return Score(junk=share * own.junk + (1 - share) * house.junk, ready=True, telling=own.telling)


def likeness_of(names: tuple[str, ...]) -> frozenset[int]:
    """The smallest hashes of a message's tokens: of two messages they agree as far as the tokens do."""
    if not names:
        return frozenset()
    beginning = "\0".join(names[:LIKENESS_NAMES]).encode("utf-8", "replace")
    hashes = list(map(zlib.crc32, beginning.split(b"\0")))
    # Hashes lie evenly, so that three times as many as are wanted are nearly surely enough to look among.
    bound = (LIKENESS_TOKENS * 3 << 32) // len(hashes)
    few = [one for one in hashes if one < bound]
    return frozenset(sorted(few if len(few) >= LIKENESS_TOKENS else hashes)[:LIKENESS_TOKENS])


def _by_hash(likenesses: Sequence[Likeness]) -> dict[int, list[int]]:
    """Where each hash is; of those that many messages share only the latest places."""
    found: dict[int, list[int]] = {}
    for place in reversed(range(len(likenesses))):
        for each in likenesses[place].hashes:
            places = found.setdefault(each, [])
            if len(places) < _LATEST:
                places.append(place)
    return found


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
