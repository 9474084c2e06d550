"""What messages are sorted by, read from ready ENVELOPE texts (RFC 5256 §3, RFC 8621 §4.4.2)."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from posthouse.message.headers import decode_value
from posthouse.message.threading import base_subject
from posthouse.message.words import stream_safe

_TOKEN: Final = re.compile(rb"\s*(?:(\()|(\))|\"((?:[^\"\\]|\\.)*)\"|\{(\d+)\}\r\n|([^\s()\"{]+))", re.DOTALL)
_FIELDS: Final = {"subject": 1, "from": 2, "to": 5, "cc": 6}


def envelope_key(envelope: bytes, name: str) -> str:
    """JMAP's key by `subject`, `from` or `to`: base subject, or the first person's name, else their address."""
    if name == "subject":
        return base_subject(_text(_field(envelope, name)))
    for address in _addresses(envelope, name):
        if address[3] is not None:  # else the mark of a group
            return (_text(address[0]) or f"{_text(address[2])}@{_text(address[3])}").casefold()
    return ""


def mailbox_key(envelope: bytes, name: str) -> str:
    """SORT's key by `from`, `to` or `cc`: the local part of the first address, or its group's name (RFC 5256 §3)."""
    for address in _addresses(envelope, name):
        return _text(address[2]).casefold()
    return ""


def display_key(envelope: bytes, name: str) -> str:
    """SORT=DISPLAY's key: the name of the first address, else the address, or its group's name (RFC 5957 §3)."""
    for address in _addresses(envelope, name):
        host = "" if address[3] is None else f"@{_text(address[3])}"
        return (_text(address[0]) or f"{_text(address[2])}{host}").casefold()
    return ""


def unicode_casemap(text: str) -> str:
    """What `i;unicode-casemap` compares, which SORT must (RFC 5051 §2, RFC 5256 §3): without case, taken apart."""
    return unicodedata.normalize("NFKD", stream_safe("".join([character.title() for character in text])))


def _field(envelope: bytes, name: str) -> Any:
    fields = _read(envelope)
    return fields[_FIELDS[name]] if len(fields) > _FIELDS[name] else None


def _addresses(envelope: bytes, name: str) -> list[list[Any]]:
    """The address structures of a field, with those that mark groups."""
    value = _field(envelope, name)
    found = value if isinstance(value, list) else []
    return [address for address in found if isinstance(address, list) and len(address) == 4]


def _text(value: Any) -> str:
    return decode_value(value) if isinstance(value, bytes) else ""


def _read(raw: bytes) -> list[Any]:
    """Nested lists of octets and None."""
    stack: list[list[Any]] = [[]]
    position = 0
    while (match := _TOKEN.match(raw, position)) is not None:
        position = match.end()
        if match[1]:
            stack.append([])
        elif match[2]:
            if len(stack) > 1:
                done = stack.pop()
                stack[-1].append(done)
        elif match[3] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[3]))
        elif match[4]:
            stack[-1].append(raw[position : position + int(match[4])])
            position += int(match[4])
        else:
            stack[-1].append(None)
    found = stack[0]
    return found[0] if found and isinstance(found[0], list) else []
