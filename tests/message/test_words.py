"""Terms and requirements: nothing that matches is left out, and what is called exact is exact."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthouse.message.words import (
    TERM_SIZE,
    Kind,
    Requirement,
    fold,
    fold_needle,
    requirements,
    terms,
)
from tests.machine import slowness


def satisfied(wanted: Requirement, found: set[str]) -> bool:
    tests = {
        Kind.EQUALS: lambda term: term == wanted.text,
        Kind.BEGINS: lambda term: term.startswith(wanted.text),
        Kind.ENDS: lambda term: term.endswith(wanted.text),
        Kind.CONTAINS: lambda term: wanted.text in term,
    }
    return any(map(tests[wanted.kind], found))


LETTERS = st.sampled_from(
    [
        *"abcAB019_ .,-@\t\nßİééﬁＡ中文字邮局がっこうカ漢한국어😀🎉—“”ａ1²𠀀ั กำ",
        "\u0301",
        "\u0307",
        "ı",
        "\u00ad",
        "\u200c",
        "xyz" * 20,
        "中" * 9,
    ]
)
TEXTS = st.lists(LETTERS, max_size=30).map("".join)


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.integers(0, 60), st.integers(0, 60))
@example("x" * 200 + "needle" + "y" * 200, 0, 400)
def test_what_contains_the_needle_satisfies_it(text: str, start: int, length: int) -> None:
    folded = fold(text)
    needle = folded[start : start + length]
    found = terms(folded)
    for wanted in requirements(needle).all_of:
        assert satisfied(wanted, found)


@settings(max_examples=600, deadline=None)
@given(TEXTS, TEXTS)
def test_exact_requirements_are_enough(text: str, needle: str) -> None:
    folded, sought = fold(text), fold_needle(needle)
    wanted = requirements(sought)
    found = terms(folded)
    assert all(term in folded and len(term) <= TERM_SIZE for term in found)
    if wanted.exact:
        assert all(satisfied(one, found) for one in wanted.all_of) == (sought in folded)


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("我们在邮局门口见面", "邮局"),
        ("我们在邮局门口见面", "局"),
        ("東京都に行きました", "東京"),
        ("カタカナ", "ｶﾀ"),
        ("한국어 문장입니다", "문장"),
        ("Straße", "STRASSE"),
        ("ＦＵＬＬ width", "full"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("swimming", "wimm"),
        ("a line\r\n  break", "line break"),
        ("🎉 party", "🎉"),
        ("Donau\u00addampf\u00adschiff", "dampfschiff"),
        ("Donaudampfschiff", "Donau\u00addampf"),
        ("می\u200cخواهم", "میخواهم"),
        ("\u200fשלום\u200e עולם", "שלום עולם"),
        ("❤\ufe0f you", "❤ you"),
        ("İSTANBUL DIŞ", "istanbul dış"),
        ("ısı", "ISI"),
    ],
)
def test_found(text: str, needle: str) -> None:
    folded, sought = fold(text), fold_needle(needle)
    assert sought in folded
    assert all(satisfied(one, terms(folded)) for one in requirements(sought).all_of)


def test_two_chinese_characters_are_decided_by_the_index_alone() -> None:
    assert requirements("邮局").exact
    assert requirements("邮").exact
    assert not requirements("邮局门").exact


def test_blanks_at_the_ends_of_a_needle_count() -> None:
    assert fold_needle(" cat ") == " cat "
    assert fold_needle(" \t ") == " "
    assert fold_needle("") == ""
    assert fold_needle("\u200b") == "", "nothing to see"
    assert " cat " not in fold("concatenate")


def test_endless_combining_marks_do_not_take_for_ever() -> None:
    began = time.perf_counter()
    fold("e" + "\u0301\u0316" * 100_000)
    assert time.perf_counter() - began < slowness()
