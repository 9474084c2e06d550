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
        ("我们在邮\r\n局门口见面", "邮局"),
        ("我们在邮\r\n局门口见面", "在邮局门口"),
        ("我们在邮\r\n\t 局门口见面", "邮 局"),
        ("我们在邮局门口见面", "邮\n局"),
        ("张\u3000三", "张三"),
        ("山田 太郎", "山田太郎"),
        ("カタ\nカナ", "カタカナ"),
        ("你 好 world", " 好 w"),
        ("你 好 world", "你 "),
        ("𠀀\n𠀁", "𠀀𠀁"),
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


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("한국어 문장", "어문"),  # Korean has spaces between words
        ("中 a", "中a"),
        ("a b", "ab"),
        ("苹果，\n香蕉", "果香"),
        ("你\0好", "你好"),  # texts that do not belong together
    ],
)
def test_white_space_between_words_still_parts_them(text: str, needle: str) -> None:
    assert fold_needle(needle) not in fold(text)


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.integers(0, 30), st.integers(0, 30))
def test_whatever_stands_in_a_text_is_found_in_it(text: str, start: int, length: int) -> None:
    """RFC 9051 §6.4.4: a substring, whatever else counts as one. But a character may be a part of one that is seen."""
    plain = "".join(c for c in text if c in "abcAB019_ .,-@\t\n中文字邮局がっこうカ漢한국어🎉𠀀").strip()
    needle = plain[start : start + length]
    assert fold_needle(needle) in fold(plain) or not needle.strip()


def test_endless_combining_marks_do_not_take_for_ever() -> None:
    began = time.perf_counter()
    fold("e" + "\u0301\u0316" * 100_000)
    assert time.perf_counter() - began < slowness()
