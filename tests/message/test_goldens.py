"""Header values with what they mean, from the goldens of another parser; every difference has its reason here."""

from __future__ import annotations

import json
from typing import Any

from posthouse.message.date import parse_date
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mailboxes import Group, Mailbox, parse_mailbox_list
from posthouse.message.parameters import parameter_text, parse_media_type
from tests.message.vectors import vectors


def cases(file: str) -> list[tuple[bytes, Any]]:
    """(unfolded value, expectation): the goldens have values as they stand behind the colon."""
    path = vectors("mime-mail-parser-goldens") / "resources" / file
    found = []
    for case in json.loads(path.read_text()):
        value = Headers.scan(b"X:" + case["header"].encode()).first("x")
        assert value is not None
        found.append((value, case["expected"]))
    return found


def test_addresses() -> None:
    """All but three things: they put comments into names and routes into addresses, and keep blanks in domains."""
    wrong, seen = [], 0
    for value, expected in cases("address.json"):
        if b"(" in value or b"<@" in value or b"test  ." in value:
            continue
        seen += 1
        ours = [_as_golden(item) for item in parse_mailbox_list(value)]
        if ours != _groups(expected):
            wrong.append((value, ours, _groups(expected)))
    assert seen > 15
    assert wrong == []


def _groups(expected: Any) -> list[Any]:
    """The goldens in our shape: mailboxes beside groups are a group without a name there."""
    if expected is None or expected == "Empty":
        return []
    kind, content = next(iter(expected.items()))
    if kind == "List":
        return [_pair(item) for item in content]
    found: list[Any] = []
    for group in content:
        members = [_pair(item) for item in group["addresses"]]
        found += members if group["name"] is None else [(group["name"], members)]
    return found


def _pair(item: dict[str, str]) -> tuple[str | None, str | None]:
    return (item["name"], item["address"])


def _as_golden(item: Mailbox | Group) -> Any:
    if isinstance(item, Group):
        return (decode_value(item.name.encode()) or None, [_as_golden(member) for member in item.members])
    return (item.display_name or None, f"{item.local}@{item.domain}" if item.domain else item.local or None)


# RFC 2231 pieces that each name a charset; names made of stars; subtypes with a slash; nothing but a quote;
# blanks between encoded words (RFC 2047 §6.2 drops them).
STRANGE = (
    b"filename*1*=iso",
    b"malicious/",
    b"text/plain/format",
    b"inva/lid",
    b"; name=",
    b'"=?iso-8859-1?B?4Q==',
)


def test_media_types() -> None:
    wrong, seen = [], 0
    for value, expected in cases("content_type.json"):
        if any(strange in value for strange in STRANGE) or "c_type" not in (expected or {}):
            continue
        seen += 1
        type_, subtype, parameters = parse_media_type(value)
        names = {name.rstrip("*") for name, _ in parameters} - {""}
        ours = (type_, subtype or None, {name: parameter_text(parameters, name) for name in names})
        attributes = [pair for pair in expected.get("attributes") or [] if not pair[0].endswith("-language")]
        wanted = (expected["c_type"], expected.get("c_subtype"), dict(attributes))
        if ours != wanted:
            wrong.append((value, ours, wanted))
    assert seen > 30
    assert wrong == []


def test_text() -> None:
    """All but a missing blank before an encoded word, which they add."""
    wrong = [
        (value, decode_value(value), expected)
        for value, expected in cases("unstructured.json")
        if " ".join(decode_value(value).split()) != " ".join((expected or "").split())
        and b"SPAM]=?" not in value
    ]
    assert wrong == []


# A month in digits; a list of numbers; a day without a time, which we take; Received, where the date comes last.
OTHER_DATES = (b"20 11 (some", b"4 8 15 16 23 42", b"by 2002:aa7")


def test_dates() -> None:
    wrong = []
    for value, expected in cases("date.json"):
        if value.startswith(OTHER_DATES) or b"((invalid)" in value:
            continue
        date = parse_date(value)
        wanted = None
        if expected is not None:
            sign = -1 if expected["tz_before_gmt"] else 1
            offset = sign * (expected["tz_hour"] * 60 + expected["tz_minute"])
            text = "{year}-{month}-{day} {hour}:{minute}:{second}".format(**expected)
            parsed = parse_date(text)
            wanted = parsed and (parsed.seconds - offset * 60, offset)
        if (date and (date.seconds, date.offset)) != wanted:
            wrong.append((value, date, expected))
    assert wrong == []
