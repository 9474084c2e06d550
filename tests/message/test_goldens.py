"""Header values with what they mean, from the goldens of another parser; every difference has its reason here."""

from __future__ import annotations

import json
from typing import Any

from posthouse.message.date import parse_date
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mailboxes import Group, Mailbox, parse_mailbox_list
from posthouse.message.parameters import parse_media_type
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
    wrong = []
    for value, expected in cases("address.json"):
        ours = [_as_golden(item) for item in parse_mailbox_list(value)]
        wanted = _groups(expected)
        if ours != wanted:
            wrong.append((value, ours, wanted))
    assert wrong == []


def _groups(expected: Any) -> list[Any]:
    if expected is None or expected == "Empty":
        return []
    kind, content = next(iter(expected.items()))
    if kind == "List":
        return [(item["name"], item["address"]) for item in content]
    return [
        (group["name"], [(item["name"], item["address"]) for item in group["addresses"]]) for group in content
    ]


def _as_golden(item: Mailbox | Group) -> Any:
    if isinstance(item, Group):
        return (decode_value(item.name.encode()) or None, [_as_golden(member) for member in item.members])
    return (item.display_name or None, f"{item.local}@{item.domain}" if item.domain else item.local or None)


def test_media_types() -> None:
    wrong = []
    for value, expected in cases("content_type.json"):
        type_, subtype, parameters = parse_media_type(value)
        ours = (type_ or None, subtype or None, {name.rstrip("*"): text for name, text in parameters})
        wanted = (
            (None, None, {})
            if expected is None
            else (
                expected["c_type"] and expected["c_type"].lower(),
                expected["c_subtype"] and expected["c_subtype"].lower(),
                dict(expected["attributes"] or {}),
            )
        )
        if ours != wanted:
            wrong.append((value, ours, wanted))
    assert wrong == []


def test_text() -> None:
    wrong = [
        (value, decode_value(value), expected)
        for value, expected in cases("unstructured.json")
        if " ".join(decode_value(value).split()) != " ".join((expected or "").split())
    ]
    assert wrong == []


def test_dates() -> None:
    wrong = []
    for value, expected in cases("date.json"):
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
