"""SEARCH's arguments become a tree; what is too deep or too much is refused."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.search_keys import (
    EVERY,
    NONE,
    And,
    Column,
    Flags,
    Key,
    Keyword,
    Messages,
    Not,
    Number,
    Or,
    Return,
    SearchArgs,
    Sent,
    TextIn,
    cost,
)  # fmt: skip
from posthouse.imap.search_parser import parse_search
from posthouse.store.model import DELETED, SEEN

FEB_1 = 760_060_800  # 1 February 1994, 00:00 UTC
DAY = 86_400
FAR = 2**63


def parse(text: str | bytes) -> SearchArgs:
    return parse_search(Reader(b" " + (text.encode() if isinstance(text, str) else text)), False)


SEEN_KEY = Flags(bits=SEEN, present=True)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ALL", EVERY),
        ("unseen", Flags(bits=SEEN, present=False)),
        ("NEW", NONE),
        ("OLD", EVERY),
        ("KEYWORD $Work", Keyword(name="$Work", present=True)),
        ("SINCE 1-Feb-1994", Number(column=Column.RECEIVED, least=FEB_1, bound=FAR)),
        ("BEFORE 1-Feb-1994", Number(column=Column.RECEIVED, least=-FAR, bound=FEB_1)),
        ('ON "1-feb-1994"', Number(column=Column.RECEIVED, least=FEB_1, bound=FEB_1 + DAY)),
        ("SENTON 1-Feb-1994", Sent(least=FEB_1, bound=FEB_1 + DAY)),
        ("LARGER 10", Number(column=Column.SIZE, least=11, bound=FAR)),
        ("SMALLER 10", Number(column=Column.SIZE, least=0, bound=10)),
        ("FROM Smith", TextIn(field="header:from", needle="Smith")),
        ('HEADER Message-ID ""', TextIn(field="header:message-id", needle="")),
        ('TEXT ""', EVERY),
        ("NOT SEEN", Not(key=SEEN_KEY)),
        ("NOT NOT SEEN", SEEN_KEY),
        ("OR SEEN DELETED", Or(keys=(SEEN_KEY, Flags(bits=DELETED, present=True)))),
        (
            "SEEN (DELETED SEEN)",
            And(keys=(SEEN_KEY, And(keys=(Flags(bits=DELETED, present=True), SEEN_KEY)))),
        ),
        ("((SEEN))", SEEN_KEY),
        ('MODSEQ "/flags/\\\\draft" all 620162338', Number(column=Column.MODSEQ, least=620162338, bound=FAR)),
    ],
)
def test_keys(text: str, key: Key) -> None:
    assert parse(text).key == key


def test_message_sets_are_told_from_words() -> None:
    args = parse("2,4:* UID 5 $")
    assert isinstance(args.key, And)
    assert [(type(one), getattr(one, "uid", None)) for one in args.key.keys] == [
        (Messages, False), (Messages, True), (Messages, False),
    ]  # fmt: skip
    assert args.numbers
    assert not parse("UID 5").numbers


@pytest.mark.parametrize(
    ("text", "returns"),
    [
        ("ALL", None),
        ("RETURN () ALL", {Return.ALL}),
        ("RETURN (min COUNT) ALL", {Return.MIN, Return.COUNT}),
        ("RETURN (SAVE) ALL", {Return.SAVE}),
    ],
)
def test_return_options(text: str, returns: set[Return] | None) -> None:
    assert parse(text).returns == returns


def test_words_are_read_in_the_charset_named() -> None:
    key = parse(b"CHARSET GB2312 SUBJECT {4}\r\n\xc4\xfa\xba\xc3").key
    assert key == TextIn(field="header:subject", needle="您好")
    assert parse("SUBJECT 您好").key == key
    assert parse("CHARSET no-such-thing SUBJECT a").unknown_charset
    assert parse("CHARSET base64 SUBJECT a").unknown_charset  # a codec of Python's, and no charset


@pytest.mark.parametrize(
    "text",
    [
        "", "NONSENSE", "NOT", "OR SEEN", "(SEEN", "()", "KEYWORD \\Odd", "ON 31-Feb-2020", "LARGER x", "OLDER 0",
        "RETURN (NONSENSE) ALL", "RETURN (ALL)", "MODSEQ", 'MODSEQ "/flags/x" some 1', "SEEN,", "UID x", "0",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)


def test_octets_that_are_not_in_the_charset_are_refused() -> None:
    with pytest.raises(BadSyntax):
        parse(b"SUBJECT \xff\xfe")


def test_a_long_chain_of_ors_is_one_key() -> None:
    count = 200
    key = parse("OR SEEN " * count + "SEEN").key
    assert isinstance(key, Or)
    assert len(key.keys) == count + 1


@pytest.mark.parametrize(
    "text",
    [
        "NOT " * (limits.IMAP_NESTING + 1) + "SEEN",
        "(" * (limits.IMAP_NESTING + 1) + "SEEN" + ")" * (limits.IMAP_NESTING + 1),
        "OR " * (limits.IMAP_NESTING + 1) + "SEEN" + " SEEN" * (limits.IMAP_NESTING + 1),
        "SEEN " * limits.IMAP_SEARCH_KEYS + "SEEN",
        "SUBJECT a " * limits.IMAP_SEARCH_TEXTS + "SUBJECT a",
        "OR SEEN " * limits.IMAP_SEARCH_KEYS + "SEEN",
    ],
    ids=["not", "parentheses", "or", "keys", "texts", "chain"],
)
def test_limits(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)


def test_costs_put_arrays_before_columns_before_texts() -> None:
    ranked = ["SEEN", "SENTON 1-Feb-1994", "SUBJECT a", "BODY a"]
    assert [cost(parse(text).key) for text in ranked] == [0, 1, 2, 3]
    assert cost(parse("OR SEEN (NOT BODY a)").key) == 3
