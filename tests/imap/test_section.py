"""Sections of messages: what part numbers and header names select."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.imap.fetch_args import Section, Text, parse_fetch
from posthouse.imap.grammar import Reader
from posthouse.imap.section import cutter, field_filter, find_span
from posthouse.message.mime import scan

INNER = b"Subject: inner\r\n\r\n"
MESSAGE = (
    b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nfirst\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"inside\r\n"
    b"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    b"--c\r\nContent-Type: text/html\r\n\r\n<p>\r\n--c--\r\n"
    b"--b--\r\n"
)
ROOT = scan(MESSAGE)
HEADER = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]


def section(text: str) -> Section:
    (item,) = parse_fetch(Reader(f" 1 BODY[{text}]".encode()), False).items
    assert isinstance(item, Section)
    return item


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("", MESSAGE),
        ("HEADER", HEADER),
        ("TEXT", MESSAGE[len(HEADER) :]),
        ("1", b"first"),
        ("1.MIME", b"\r\n"),
        ("2", INNER + b"inside"),
        ("2.HEADER", INNER),
        ("2.TEXT", b"inside"),
        ("2.1", b"inside"),
        ("2.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ("3.1", b"<p>"),
        ("3.1.MIME", b"Content-Type: text/html\r\n\r\n"),
        ("4", None),
        ("1.1", None),
        ("1.HEADER", None),
        ("3.2", None),
        ("3.HEADER", None),
    ],
)
def test_what_a_section_is(text: str, octets: bytes | None) -> None:
    span = find_span(section(text), ROOT, len(MESSAGE))
    assert (None if span is None else MESSAGE[span.start : span.end]) == octets


@pytest.mark.parametrize(
    "text", ["", "HEADER", "TEXT", "HEADER.FIELDS (Subject)", "HEADER.FIELDS.NOT (Subject)"]
)
def test_a_cut_of_the_raw_message_is_what_the_tree_says(text: str) -> None:
    wanted = section(text)
    cut = cutter(wanted)
    span = find_span(wanted, ROOT, len(MESSAGE))
    assert cut is not None
    assert span is not None
    octets = MESSAGE[span.start : span.end]
    assert cut(MESSAGE) == (field_filter(wanted.text, wanted.fields)(octets) if wanted.fields else octets)


FOLDED = b"From: a\r\nTO: b,\r\n\tc\r\nSubject : d\r\nto: e\r\nX-To: f\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "not_", "octets"),
    [
        ([b"to"], False, b"TO: b,\r\n\tc\r\nto: e\r\n\r\n"),
        ([b"subject", b"from"], False, b"From: a\r\nSubject : d\r\n\r\n"),
        ([b"absent"], False, b"\r\n"),
        ([b""], False, b"\r\n"),
        ([b"t.", b"x+"], False, b"\r\n"),
        ([b"to", b"x-to"], True, b"From: a\r\nSubject : d\r\n\r\n"),
        ([b"from", b"to", b"subject", b"x-to"], True, b"\r\n"),
    ],
)
def test_header_fields(fields: list[bytes], not_: bool, octets: bytes) -> None:
    assert field_filter(Text.FIELDS_NOT if not_ else Text.FIELDS, fields)(FOLDED) == octets


@pytest.mark.parametrize(
    ("header", "octets"),
    [
        (b"To: a\r\n", b"To: a\r\n"),  # no body and no empty line: none is made up (RFC 9051 §6.4.5)
        (b"To: a", b"To: a"),
        (b"To: a\n\n", b"To: a\n\n"),
        (b"\r\n", b"\r\n"),
        (b"", b""),
    ],
)
def test_the_empty_line_is_there_when_the_message_has_one(header: bytes, octets: bytes) -> None:
    assert field_filter(Text.FIELDS, [b"to"])(header) == octets


NAMES = st.sampled_from([b"To", b"to", b"From", b"X-T", b"T"])
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b" a", b" a\r\n b", b"", b" x: y\r\n\tz"])), max_size=6)


@given(LINES, st.sets(st.sampled_from([b"to", b"from", b"t", b"z"]), min_size=1))
def test_fields_and_not_fields_part_the_header(lines: list[tuple[bytes, bytes]], wanted: set[bytes]) -> None:
    header = b"".join(name + b":" + value + b"\r\n" for name, value in lines) + b"\r\n"
    chosen = [name + b":" + value + b"\r\n" for name, value in lines if name.lower() in wanted]
    others = [name + b":" + value + b"\r\n" for name, value in lines if name.lower() not in wanted]
    assert field_filter(Text.FIELDS, wanted)(header) == b"".join(chosen) + b"\r\n"
    assert field_filter(Text.FIELDS_NOT, wanted)(header) == b"".join(others) + b"\r\n"
