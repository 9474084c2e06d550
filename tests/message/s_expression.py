"""A reader of the IMAP text that ENVELOPE and BODYSTRUCTURE are made of, strict by RFC 9051 §9."""

from __future__ import annotations

import re

_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n")
_NUMBER = re.compile(rb"0|[1-9][0-9]*")

Value = bytes | int | None | list["Value"]


def read(text: bytes) -> Value:
    """The one value that the text is; ValueError when it is anything else."""
    value, end = _value(text, 0)
    if end != len(text):
        raise ValueError(f"text behind the value at {end}: {text[end : end + 40]!r}")
    return value


def _value(text: bytes, at: int) -> tuple[Value, int]:
    if text.startswith(b"(", at):
        return _list(text, at + 1)
    if text.startswith(b"NIL", at):
        return None, at + 3
    if match := _QUOTED.match(text, at):
        return re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
    if match := _LITERAL.match(text, at):
        end = match.end() + int(match[1])
        octets = text[match.end() : end]
        if len(octets) != int(match[1]) or b"\0" in octets:
            raise ValueError(f"bad literal at {at}")
        return octets, end
    if match := _NUMBER.match(text, at):
        return int(match[0]), match.end()
    raise ValueError(f"no value at {at}: {text[at : at + 40]!r}")


def _list(text: bytes, at: int) -> tuple[list[Value], int]:
    """Values apart by one space; lists may follow a list with none between them (`1*address`, `1*body`)."""
    found: list[Value] = []
    while not text.startswith(b")", at):
        if found:
            if text.startswith(b" ", at):
                at += 1
            elif not (text.startswith(b"(", at) and isinstance(found[-1], list)):
                raise ValueError(f"no space at {at}")
        value, at = _value(text, at)
        found.append(value)
    if not found:
        raise ValueError(f"empty list before {at}")
    return found, at + 1


def check_envelope(value: Value) -> None:
    """RFC 9051 §9 `envelope`."""
    assert isinstance(value, list) and len(value) == 10
    for i in (0, 1, 8, 9):
        assert value[i] is None or isinstance(value[i], bytes)
    for i in range(2, 8):
        addresses = value[i]
        if addresses is None:
            continue
        assert isinstance(addresses, list) and addresses
        depth = 0
        for address in addresses:
            assert isinstance(address, list) and len(address) == 4
            assert all(field is None or isinstance(field, bytes) for field in address)
            name, route, local, host = address
            if host is None:
                assert name is None and route is None
                depth += 1 if local is not None else -1
            else:
                assert local is not None
            assert depth in (0, 1), "groups open and close in turn"
        assert depth == 0


def check_body(value: Value, *, extended: bool) -> None:
    """RFC 9051 §9 `body`."""
    assert isinstance(value, list)
    if isinstance(value[0], list):
        count = 0
        while isinstance(value[count], list):
            check_body(value[count], extended=extended)
            count += 1
        assert isinstance(value[count], bytes)
        rest = value[count + 1 :]
        assert len(rest) == (4 if extended else 0)
        if extended:
            _parameters(rest[0])
            _extension(rest[1:])
        return
    type_, subtype, parameters, id_, description, encoding, size = value[:7]
    assert isinstance(type_, bytes) and isinstance(subtype, bytes) and isinstance(encoding, bytes)
    assert isinstance(size, int)
    _parameters(parameters)
    assert all(field is None or isinstance(field, bytes) for field in (id_, description))
    rest = value[7:]
    assert type_ != b"multipart"
    if type_ == b"message" and subtype in (b"rfc822", b"global"):
        check_envelope(rest[0])
        check_body(rest[1], extended=extended)
        assert isinstance(rest[2], int)
        rest = rest[3:]
    elif type_ == b"text":
        assert isinstance(rest[0], int)
        rest = rest[1:]
    assert len(rest) == (4 if extended else 0)
    if extended:
        assert rest[0] is None or isinstance(rest[0], bytes)
        _extension(rest[1:])


def _extension(value: list[Value]) -> None:
    disposition, language, location = value
    if disposition is not None:
        assert isinstance(disposition, list) and len(disposition) == 2 and isinstance(disposition[0], bytes)
        _parameters(disposition[1])
    if isinstance(language, list):
        assert all(isinstance(tag, bytes) for tag in language)
    else:
        assert language is None or isinstance(language, bytes)
    assert location is None or isinstance(location, bytes)


def _parameters(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list) and len(value) % 2 == 0
        assert all(isinstance(word, bytes) for word in value)
