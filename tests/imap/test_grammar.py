"""The reader: one rule of RFC 9051 §9 at a time, and that nothing makes it raise anything but its own error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.grammar import BadSyntax, Reader

CASES: list[tuple[str, bytes, Any]] = [
    ("tag", b"A1.b", b"A1.b"),
    ("atom", b"abc]", b"abc"),
    ("keyword", b"Uid", b"UID"),
    ("astring", b"INBOX", b"INBOX"),
    ("astring", b"a]b", b"a]b"),
    ("astring", b"~b", b"~b"),
    ("astring", b'"a b"', b"a b"),
    ("astring", b"{3}\r\na b", b"a b"),
    ("astring", b"{3+}\r\na\rb", b"a\rb"),
    ("astring", b"~{3}\r\na\0b", b"a\0b"),
    ("astring", b'""', b""),
    ("string", rb'"a\"b\\c"', rb'a"b\c'),
    ("string", rb'"\\\\"', b"\\\\"),
    ("string", b'"caf\xc3\xa9"', "café".encode()),
    ("string", b"{0}\r\n", b""),
    ("nstring", b"nil", None),
    ("nstring", b'"NIL"', b"NIL"),
    ("number", b"4294967295", 2**32 - 1),
    ("number", b"0", 0),
    ("nz_number", b"1", 1),
    ("number64", b"9223372036854775807", 2**63 - 1),
    ("mod_sequence_valzer", b"0", 0),
    ("sequence_set", b"1:*,5,*:3", b"1:*,5,*:3"),
    ("sequence_set", b"$", b"$"),
    ("mailbox", b"inBox", "INBOX"),
    ("mailbox", b"inbox/Work", "INBOX/Work"),
    ("mailbox", b"&U,BTFw-/x", "台北/x"),
    ("mailbox", b'"a&-b"', "a&b"),
    ("list_mailbox", b"%/*", "%/*"),
    ("list_mailbox", b'"Sent %"', "Sent %"),
    ("flag", rb"\sEEN", "\\Seen"),
    ("flag", b"$Junk", "$Junk"),
    ("flag_list", rb"(\Seen $x \answered)", frozenset({"\\Seen", "$x", "\\Answered"})),
    ("flag_list", b"()", frozenset()),
    ("date", b"1-Feb-1994", date(1994, 2, 1)),
    ("date", b'"29-FEB-2000"', date(2000, 2, 29)),
    (
        "date_time",
        b'" 7-Feb-1994 21:52:25 -0800"',
        int(datetime(1994, 2, 8, 5, 52, 25, tzinfo=UTC).timestamp()),
    ),
    ("date_time", b'"01-Jan-1950 00:00:00 +0000"', 0),
]


@pytest.mark.parametrize(("rule", "raw", "value"), CASES, ids=[f"{rule}-{raw!r}" for rule, raw, _ in CASES])
def test_a_rule_gives_its_value_and_stops_behind_it(rule: str, raw: bytes, value: Any) -> None:
    reader = Reader(raw + b")")
    assert getattr(reader, rule)() == value
    assert reader.raw[reader.pos :].endswith(b")")


WRONG: list[tuple[str, bytes, int]] = [
    ("tag", b"+", 0),
    ("atom", b"(", 0),
    ("astring", b"", 0),
    ("astring", b'"open', 0),
    ("astring", b'"a\nb"', 0),
    ("astring", rb'"a\b"', 0),
    ("astring", b"{5}\r\nabc", 0),
    ("astring", b"{1}\r\n\0", 0),
    ("astring", b"{999999999999999999999}\r\n", 0),
    ("nstring", b"NULL", 0),
    ("number", b"4294967296", 0),
    ("number", b"-1", 0),
    ("nz_number", b"0", 0),
    ("number64", b"9223372036854775808", 0),
    ("sequence_set", b"0", 0),
    ("sequence_set", b":5", 0),
    ("flag", rb"\Recent", 0),
    ("flag", rb"\Nonsense", 0),
    ("flag", b"k" * (limits.KEYWORD_LENGTH + 1), 0),
    ("flag_list", rb"(\Seen", 6),
    ("date", b"31-Feb-2001", 0),
    ("date", b"1-Foo-2001", 0),
    ("date_time", b'"32-Jan-2001 00:00:00 +0000"', 0),
    ("date_time", b'"01-Jan-2001 24:00:00 +0000"', 0),
]


@pytest.mark.parametrize(
    ("rule", "raw", "offset"), WRONG, ids=[f"{rule}-{raw[:30]!r}" for rule, raw, _ in WRONG]
)
def test_what_breaks_a_rule_is_refused_where_it_stands(rule: str, raw: bytes, offset: int) -> None:
    with pytest.raises(BadSyntax) as caught:
        getattr(Reader(raw), rule)()
    assert caught.value.offset == offset


def test_a_number_may_follow_a_long_set_only_within_the_limit() -> None:
    assert Reader(b"1," * (limits.IMAP_SEQUENCE_SET // 2 - 1) + b"1").sequence_set()
    with pytest.raises(BadSyntax):
        Reader(b"1," * (limits.IMAP_SEQUENCE_SET // 2) + b"1").sequence_set()


def test_nesting_is_bounded() -> None:
    def nested(depth: int) -> None:
        reader = Reader(b"(" * depth + b"a" + b")" * depth)

        def item() -> Any:
            return reader.parenthesized(item) if reader.peek(b"(") else reader.atom()

        item()

    nested(limits.IMAP_NESTING)
    with pytest.raises(BadSyntax):
        nested(limits.IMAP_NESTING + 1)


def test_names_are_utf8_once_enabled() -> None:
    assert Reader('"台北"'.encode(), utf8=True).mailbox() == "台北"
    assert Reader(b"R&D", utf8=True).mailbox() == "R&D"
    assert Reader("café".encode(), utf8=True).mailbox() == "café"


RULES: list[Callable[[Reader], Any]] = [
    Reader.tag,
    Reader.astring,
    Reader.string,
    Reader.nstring,
    Reader.number,
    Reader.number64,
    Reader.sequence_set,
    Reader.mailbox,
    Reader.list_mailbox,
    Reader.flag_list,
    Reader.date,
    Reader.date_time,
    Reader.end,
]
TOKENS = st.lists(
    st.sampled_from(
        [
            b"(",
            b")",
            b'"',
            b"\\",
            b"{",
            b"}",
            b"{3}\r\n",
            b"{9+}\r\n",
            b"~{1}\r\n",
            b" ",
            b"*",
            b":",
            b",",
            b"1",
            *(b"4294967296", b"&", b"-", b"&AGE-", b"Jan", b"\0", b"\xff", b"\r\n", b"NIL", b"\\Seen", b"$"),
        ]
    )
    | st.binary(max_size=4)
).map(b"".join)


@given(raw=TOKENS, rule=st.sampled_from(RULES), utf8=st.booleans())
@example(raw=b'"&' + b"\xd8" * 3 + b'-"', rule=Reader.mailbox, utf8=False)
def test_any_octets_give_a_value_or_the_readers_own_error(
    raw: bytes, rule: Callable[[Reader], Any], utf8: bool
) -> None:
    reader = Reader(raw, utf8=utf8)
    try:
        rule(reader)
    except BadSyntax as error:
        assert 0 <= error.offset <= len(raw)
    else:
        assert 0 <= reader.pos <= len(raw)


@given(raw=st.binary(), utf8=st.booleans())
def test_a_string_written_is_read_back(raw: bytes, utf8: bool) -> None:
    assert Reader(encode.string(raw, utf8=utf8)).string() == raw
    assert Reader(encode.astring(raw, utf8=utf8)).astring() == raw
    assert Reader(encode.nstring(raw)).nstring() == raw


@given(posix=st.integers(0, 2**32 - 1))
def test_a_date_and_time_written_is_read_back(posix: int) -> None:
    assert Reader(encode.date_time(posix)).date_time() == posix
