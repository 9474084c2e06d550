"""What messages are sorted by, read from ready ENVELOPE texts (RFC 5256 §3, RFC 8621 §4.4.2)."""

from __future__ import annotations

import re
from typing import Any, Final

from posthouse.message.headers import decode_value
from posthouse.message.threading import base_subject

_TOKEN: Final = re.compile(rb"\s*(?:(\()|(\))|\"((?:[^\"\\]|\\.)*)\"|\{(\d+)\}\r\n|([^\s()\"{]+))", re.DOTALL)
_FIELDS: Final = {"subject": 1, "from": 2, "to": 5, "cc": 6}


def envelope_key(envelope: bytes, name: str) -> str:
    """The key by `subject`, `from` or `to`: base subject, or the first address' name, else the address itself."""
    if name == "subject":
        return base_subject(_text(_field(envelope, name)))
    for address in _addresses(envelope, name):
        return (_text(address[0]) or f"{_text(address[2])}@{_text(address[3])}").casefold()
    return ""


def mailbox_key(envelope: bytes, name: str) -> str:
    """The local part of the first address of `from`, `to` or `cc`, as SORT wants it (RFC 5256 §3)."""
    for address in _addresses(envelope, name):
        return _text(address[2]).casefold()
    return ""


def _field(envelope: bytes, name: str) -> Any:
    fields = _read(envelope)
    return fields[_FIELDS[name]] if len(fields) > _FIELDS[name] else None


def _addresses(envelope: bytes, name: str) -> list[list[Any]]:
    """The addresses of a field, without the marks of groups."""
    value = _field(envelope, name)
    return [
        address
        for address in (value if isinstance(value, list) else ())
        if isinstance(address, list) and len(address) == 4 and address[3] is not None
    ]


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
