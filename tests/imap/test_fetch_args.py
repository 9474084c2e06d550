"""FETCH's arguments, as tables of what is taken and what is refused."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.imap.fetch_args import Attribute, FetchArgs, Partial, Section, Text, parse_fetch
from posthouse.imap.grammar import BadSyntax, Reader


def parse(text: str, *, uid: bool = False) -> FetchArgs:
    return parse_fetch(Reader(b" " + text.encode()), uid)


def section(text: str) -> Section:
    (item,) = parse(f"1 {text}").items
    assert isinstance(item, Section)
    return item


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1 FLAGS", [Attribute.FLAGS]),
        ("1 (uid flags UID)", [Attribute.UID, Attribute.FLAGS]),
        ("1 FAST", [Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE]),
        (
            "1 full",
            [Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODY],
        ),
        ("1 (BODY BODYSTRUCTURE)", [Attribute.BODY, Attribute.BODYSTRUCTURE]),
        ("1 (PREVIEW (LAZY) EMAILID)", [Attribute.PREVIEW, Attribute.EMAILID]),
        ("1:* FLAGS (CHANGEDSINCE 5)", [Attribute.FLAGS, Attribute.MODSEQ]),
    ],
)
def test_items_in_the_order_asked_each_once(text: str, items: list[Attribute]) -> None:
    assert list(parse(text).items) == items


@pytest.mark.parametrize(
    ("text", "part", "kind", "label"),
    [
        ("BODY[]", (), Text.CONTENT, b"BODY[]"),
        ("BODY.PEEK[header]", (), Text.HEADER, b"BODY[HEADER]"),
        ("BODY[TEXT]", (), Text.TEXT, b"BODY[TEXT]"),
        ("BODY[4.2.2.1]", (4, 2, 2, 1), Text.CONTENT, b"BODY[4.2.2.1]"),
        ("BODY[4.1.MIME]", (4, 1), Text.MIME, b"BODY[4.1.MIME]"),
        ("BODY[3.HEADER]", (3,), Text.HEADER, b"BODY[3.HEADER]"),
        ("RFC822.HEADER", (), Text.HEADER, b"RFC822.HEADER"),
        ("RFC822", (), Text.CONTENT, b"RFC822"),
        ("BINARY.PEEK[2]", (2,), Text.CONTENT, b"BINARY[2]"),
        ("BINARY.SIZE[2.1]", (2, 1), Text.CONTENT, b"BINARY.SIZE[2.1]"),
    ],
)
def test_sections(text: str, part: tuple[int, ...], kind: Text, label: bytes) -> None:
    found = section(text)
    assert (found.part, found.text, found.label) == (part, kind, label)


def test_field_names_are_matched_in_lower_case_and_answered_as_asked() -> None:
    found = section('BODY[1.HEADER.FIELDS (Date "X Odd" TO)]<10.20>')
    assert found.fields == (b"date", b"x odd", b"to")
    assert found.label == b'BODY[1.HEADER.FIELDS (Date "X Odd" TO)]<10>'
    assert found.partial == Partial(10, 20)


@pytest.mark.parametrize(
    ("text", "sets_seen"),
    [
        ("BODY[]", True), ("BODY.PEEK[]", False), ("RFC822", True), ("RFC822.TEXT", True), ("RFC822.HEADER", False),
        ("BINARY[1]", True), ("BINARY.PEEK[1]", False), ("BINARY.SIZE[1]", False), ("BODY", False), ("ENVELOPE", False),
        ("(BODY.PEEK[1] BODY[1])", True),
    ],
)  # fmt: skip
def test_what_sets_seen(text: str, sets_seen: bool) -> None:
    assert parse(f"1 {text}").sets_seen is sets_seen


def test_the_uid_form_answers_with_uid() -> None:
    assert parse("1 FLAGS", uid=True).items == (Attribute.UID, Attribute.FLAGS)


def test_vanished_comes_with_changedsince_and_uid_only() -> None:
    args = parse("1:* (FLAGS) (CHANGEDSINCE 9 VANISHED)", uid=True)
    assert (args.changed_since, args.vanished) == (9, True)


@pytest.mark.parametrize(
    "text",
    [
        "1", "1 ()", "1 NOTHING", "1 (ALL)", "1 (FLAGS", "1 FLAGS UID", "x FLAGS", "1 BODY[", "1 BODY[1.]", "1 BODY[0]",
        "1 BODY[MIME]", "1 BODY[HEADER.1]", "1 BODY[HEADER.FIELDS]", "1 BODY[HEADER.FIELDS ()]", "1 BODY[]<1>",
        "1 BODY[]<1.0>", "1 BINARY[HEADER]", "1 BINARY.SIZE[1]<0.5>", "1 BODY.PEEK", "1 FLAGS (CHANGEDSINCE x)",
        "1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", "1 FLAGS (CHANGEDSINCE 1 VANISHED)", "4294967296 FLAGS",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)


def test_vanished_alone_is_refused() -> None:
    with pytest.raises(BadSyntax):
        parse("1 FLAGS (VANISHED)", uid=True)


@pytest.mark.parametrize(
    "text",
    [
        "1 (" + " ".join(f"BODY[{n}]" for n in range(1, limits.IMAP_FETCH_ITEMS + 2)) + ")",
        "1 BODY[HEADER.FIELDS (" + " ".join(f"X{n}" for n in range(limits.IMAP_FETCH_FIELDS + 1)) + ")]",
        "1 BODY[" + ".".join(["1"] * (limits.IMAP_PART_DEPTH + 1)) + "]",
    ],
    ids=["items", "fields", "depth"],
)
def test_limits(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)
