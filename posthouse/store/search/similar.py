"""Words that look like another, for searches that need not be exact (RFC 6203): among the terms of an account's mail.

Two words look alike when they are the same without marks (accents), or when one letter is another, missing, added, or
changed places with its neighbour. Numbers look like no other number, and of short words one letter is too much.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from posthouse.limits import SIMILAR_WORDS
from posthouse.message.words import TERM_SIZE, Kind, Requirement, is_paired
from posthouse.store.search.document import BODY, HEADER, HEADS
from posthouse.store.search.query import Terms

_SHORT: Final = 3
"""Letters of a word of which none may be another."""
_MARKED: Final = ((0xC0, 0x250), (0x370, 0x500), (0x1E00, 0x2000))
"""Where letters with marks stand: Latin, Greek, Cyrillic."""
_LETTERS: Final = re.compile(r"[^\W\d_]+")


def similar(index: Terms, field: str, words: Sequence[str]) -> list[list[str]]:
    """`Store.similar_words`, of an account's terms."""
    classes = _classes(field)
    wanted = [_requirements(word) for word in words]
    asked = [(class_, one) for each in wanted for one in each for class_ in classes]
    answers = iter(index.vocabularies(asked) if asked else [])
    found = []
    for word, each in zip(words, wanted, strict=True):
        terms = {term for _ in each for _ in classes for term in next(answers)}
        found.append(nearest(word, terms))
    return found


def nearest(word: str, terms: Iterable[str]) -> list[str]:
    """Those of the terms that look like the word: first those that differ in marks alone."""
    bare = without_marks(word)
    ranked = []
    for term in terms:
        if term != word:
            other = without_marks(term)
            if other == bare:
                ranked.append((0, term))
            elif _may_differ(bare) and _may_differ(other) and is_one_apart(bare, other):
                ranked.append((1, term))
    return [term for _, term in sorted(ranked)[:SIMILAR_WORDS]]


def _classes(field: str) -> tuple[str, ...]:
    if not field.startswith("header:"):
        return (HEADER, BODY) if field == "text" else (BODY,)
    return (HEADS.get(field.removeprefix("header:"), HEADER),)


def _requirements(word: str) -> tuple[Requirement, ...]:
    """What finds candidates: whatever is one letter away has one half of the word, or its marks apart is the word."""
    if len(word) > TERM_SIZE or is_paired(word[0]) or not _LETTERS.fullmatch(word):
        return ()
    bare = without_marks(word)
    found = [Requirement(Kind.SPELT, "".join(map(_spelt, bare)))]
    if _may_differ(bare):
        half = len(word) // 2
        found += [Requirement(Kind.BEGINS, word[:half]), Requirement(Kind.ENDS, word[half:])]
    return tuple(found)


def _may_differ(word: str) -> bool:
    return len(word) > _SHORT and _LETTERS.fullmatch(word) is not None


def without_marks(word: str) -> str:
    """The letters alone."""
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", "".join(each for each in apart if not unicodedata.combining(each)))


def is_one_apart(one: str, other: str) -> bool:
    """Whether one letter differs, is missing, or two neighbours have changed places."""
    if abs(len(one) - len(other)) > 1:
        return False
    same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same += 1
    one, other = one[same:], other[same:]
    if len(one) != len(other):
        return one[1:] == other or one == other[1:]
    return one[1:] == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])


def _spelt(letter: str) -> str:
    """A letter with whatever marks, as a class of characters."""
    others = _with_marks().get(letter)
    return f"[{letter}{others}]" if others else letter


@cache
def _with_marks() -> dict[str, str]:
    found: dict[str, str] = {}
    for first, last in _MARKED:
        for character in map(chr, range(first, last)):
            bare = without_marks(character)
            if bare != character and len(bare) == 1 and character == character.casefold():
                found[bare] = found.get(bare, "") + character
    return found
