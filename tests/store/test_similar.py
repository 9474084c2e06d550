"""Which words are taken for another, and that both engines' conditions find them all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.limits import SIMILAR_WORDS
from posthouse.message.words import Kind, Requirement, words
from posthouse.store.search.similar import is_one_apart, nearest, similar, without_marks

LETTERS = st.text(st.sampled_from("abc\u00e9"), min_size=1, max_size=7)
CONDITIONS = {
    Kind.BEGINS: str.startswith,
    Kind.ENDS: str.endswith,
    Kind.SPELT: fnmatchcase,
}


class Listed:
    """An account whose terms are these, whatever the class."""

    def __init__(self, terms: Sequence[str], spelt: object = fnmatchcase) -> None:
        self.terms = terms
        self.asked = 0

    def vocabularies(self, asked: Sequence[tuple[str, Requirement]]) -> list[list[str]]:
        self.asked += len(asked)
        return [[t for t in self.terms if CONDITIONS[each.kind](t, each.text)] for _, each in asked]

    def with_all(self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()) -> list[int]:
        raise AssertionError

    def with_any(self, class_: str, terms: Sequence[str]) -> list[int]:
        raise AssertionError


def distance(one: str, other: str) -> int:
    """Letters changed, missing, added, or neighbours exchanged (restricted Damerau-Levenshtein)."""
    rows = [list(range(len(other) + 1))]
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


@given(LETTERS, LETTERS)
def test_one_letter(one: str, other: str) -> None:
    if one != other:
        assert is_one_apart(one, other) == (distance(one, other) == 1)


@given(LETTERS, st.lists(LETTERS, unique=True, max_size=SIMILAR_WORDS))
def test_the_conditions_find_what_looks_alike(word: str, terms: list[str]) -> None:
    (found,) = similar(Listed(terms), "body", [word])
    half = len(word) // 2
    missed = set(nearest(word, terms)) - set(found)
    # Only where the letters around the middle have changed places is one passed over.
    assert all(t[:half] != word[:half] and t[half:] != word[half:] and len(t) == len(word) for t in missed)
    assert set(found) <= set(nearest(word, terms))


@pytest.mark.parametrize(
    ("word", "other", "alike"),
    [
        ("cafe", "caf\u00e9", True),
        ("caf\u00e9", "cafe", True),
        ("resume", "r\u00e9sum\u00e9", True),
        ("\u0451\u043b\u043a\u0430", "\u0435\u043b\u043a\u0430", True),
        ("helo", "hello", True),
        ("cat", "cut", False),
        ("2023", "2024", False),
        ("room12", "room13", False),
        ("hello", "hallo", True),
        ("hello", "hallu", False),
        ("\u5317\u4eac", "\u5317\u6771", False),
    ],
)
def test_pairs(word: str, other: str, alike: bool) -> None:
    assert similar(Listed([other]), "text", [word]) == [[other] if alike else []]


def test_only_a_few_the_most_alike_first() -> None:
    terms = ["hellos", "h\u00e9llo", "hello", "hell", "jello", "cello", "yello"]
    (found,) = similar(Listed(terms), "body", ["hello"])
    assert found[0] == "h\u00e9llo" and len(found) == SIMILAR_WORDS and "hello" not in found


def test_long_and_strange_words_ask_nothing() -> None:
    listed = Listed([])
    assert similar(listed, "text", ["x" * 41, "\u90ae\u5c40", "12", "\U0001f600"]) == [[], [], [], []]
    assert listed.asked == 0


@given(st.text(max_size=30))
def test_without_marks_of_anything(text: str) -> None:
    assert len(without_marks(text)) <= len(text) * 3
    re.compile(f"[{re.escape(without_marks(text))}x]")


def test_words() -> None:
    assert words("the cat, the \u5317\u4eac\u5927 \U0001f600") == [
        "the", "cat", "\u5317\u4eac", "\u4eac\u5927", "\U0001f600",
    ]  # fmt: skip
