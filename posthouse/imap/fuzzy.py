"""FUZZY (RFC 6203): what is like a key is enough, and how relevant it is, from 1 to 100.

Texts are looked for word by word (of Chinese, Japanese and Korean by pairs of characters), in any order: a message has
to have all words, or words that look like them (`store.search.similar`); of three or more it may lack every third. A
phrase that stands there as it was asked for counts most, then all words as they were asked for; with TEXT, what is in
the subject counts more than what is elsewhere. Dates and sizes may lie a little outside (§5): the farther, the less.
Flags, sets and numbers of the store are matched exactly, and so is all within NOT.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse import limits
from posthouse.imap.refusal import No
from posthouse.imap.search_keys import DAY, And, Column, Fuzzy, Key, Number, Or, Saved, Sent, TextIn, cost
from posthouse.message.words import fold, words

if TYPE_CHECKING:
    from posthouse.imap.searching import Places, Search

_ALIKE: Final = 0.6
"""What a word that only looks like the one asked for counts."""
_SCATTERED: Final = 0.85
"""What words count that do not stand together as they were asked for."""
_ELSEWHERE: Final = 0.8
"""What words count that are not in the subject, when the whole text was searched."""
_DAYS: Final = ((1, 0.8), (3, 0.5), (7, 0.2))
"""Days outside a span of dates, and what a message counts that lies so far out."""
_SHARES: Final = ((0.05, 0.8), (0.1, 0.5), (0.2, 0.2))
"""The same of sizes, as a part of the size asked for."""

Scores = dict[int, float | None]
"""By place, from 0 to 1; None: it matches exactly what was to be matched so."""


class Fuzziness:
    """Asks one search about keys of which some are to be matched loosely."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._asked = 0

    async def scores(self, key: Key, places: Places) -> dict[int, int]:
        """The messages that match, with how relevant each is."""
        found = await self._weigh(key, places, loosely=False)
        return {
            place: 100 if score is None else min(max(round(100 * score), 1), 100)
            for place, score in found.items()
        }

    async def _weigh(self, key: Key, places: Places, *, loosely: bool) -> Scores:
        match key:
            case Fuzzy(key=inner):
                return await self._weigh(inner, places, loosely=True)
            case And(keys=keys) if loosely or _is_fuzzy(keys):
                return await self._all(keys, places, loosely)
            case Or(keys=keys) if loosely or _is_fuzzy(keys):
                return await self._any(keys, places, loosely)
            case TextIn() if loosely:
                return {**await self._text(key, places)}
            case Number(column=Column.SIZE | Column.RECEIVED) | Sent() | Saved() if loosely:
                return {**await self._near(key, places)}
        return dict.fromkeys(await self._search.matching(key, places))

    async def _all(self, keys: Iterable[Key], places: Places, loosely: bool) -> Scores:
        """The mean of what was matched loosely."""
        gathered: dict[int, list[float]] = {place: [] for place in places}
        for one in sorted(keys, key=cost):
            found = await self._weigh(one, list(gathered), loosely=loosely)
            gathered = {place: gathered[place] for place in gathered if place in found}
            for place, scores in gathered.items():
                score = found[place]
                if score is not None:
                    scores.append(score)
        return {place: sum(scores) / len(scores) if scores else None for place, scores in gathered.items()}

    async def _any(self, keys: Iterable[Key], places: Places, loosely: bool) -> Scores:
        """The best of all."""
        best: Scores = {}
        for one in sorted(keys, key=cost):
            for place, score in (await self._weigh(one, places, loosely=loosely)).items():
                known = best.get(place, 0.0)
                best[place] = None if score is None or known is None else max(score, known)
        return best

    # --- texts ---------------------------------------------------------------------------------------------------

    async def _text(self, key: TextIn, places: Places) -> dict[int, float]:
        phrase = set(await self._containing(key.field, key.needle, places))
        wanted = words(fold(key.needle))
        if not wanted:
            return dict.fromkeys(phrase, 1.0)
        alike = await self._search.similar_words(key.field, wanted)
        counted: dict[int, float] = dict.fromkeys(places, 0.0)
        lacking = dict.fromkeys(places, 0)
        for word, others in zip(wanted, alike, strict=True):
            found = phrase if [word] == wanted else await self._containing(key.field, word, places)
            open_ = set(places).difference(found)
            for place in found:
                counted[place] += 1
            for other in others:
                near = open_.intersection(await self._containing(key.field, other, sorted(open_)))
                open_ -= near
                for place in near:
                    counted[place] += _ALIKE
            for place in open_:
                lacking[place] += 1
        may_lack = len(wanted) // 3
        scores = {
            place: counted[place] / len(wanted) * (1 if place in phrase or len(wanted) == 1 else _SCATTERED)
            for place in places
            if place in phrase or (lacking[place] <= may_lack and counted[place])
        }
        if key.field == "text" and scores:
            every = [*wanted, *(other for others in alike for other in others)]
            await self._lower_what_is_elsewhere(scores, every)
        return scores

    async def _lower_what_is_elsewhere(self, scores: dict[int, float], wanted: list[str]) -> None:
        elsewhere = sorted(scores)
        for word in wanted:
            in_subject = set(await self._containing("header:subject", word, elsewhere))
            elsewhere = [place for place in elsewhere if place not in in_subject]
        for place in elsewhere:
            scores[place] *= _ELSEWHERE

    async def _containing(self, field: str, needle: str, places: Places) -> Places:
        if not places:
            return places
        self._asked += 1
        if self._asked > limits.IMAP_FUZZY_QUESTIONS:
            raise No(b"LIMIT", "Too many words in a fuzzy search")
        return await self._search.text(field, needle, places)

    # --- dates and sizes -------------------------------------------------------------------------------------------

    async def _near(self, key: Number | Sent | Saved, places: Places) -> dict[int, float]:
        found = dict.fromkeys(await self._search.matching(key, places), 1.0)
        is_size = isinstance(key, Number) and key.column is Column.SIZE
        for distance, score in _SHARES if is_size else _DAYS:
            left = [place for place in places if place not in found]
            low, high = (distance * key.least, distance * key.bound) if is_size else (distance * DAY,) * 2
            wider = msgspec.structs.replace(key, least=key.least - int(low), bound=key.bound + int(high))
            found.update(dict.fromkeys(await self._search.matching(wider, left), score))
        return found


def _is_fuzzy(keys: Iterable[Key]) -> bool:
    for key in keys:
        match key:
            case Fuzzy():
                return True
            case And(keys=inner) | Or(keys=inner):
                if _is_fuzzy(inner):
                    return True
    return False
