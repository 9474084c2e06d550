"""MIME entities from EmailBodyParts: what a client describes, as octets (RFC 2045, RFC 2046, RFC 2183, RFC 2231)."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Final
from urllib.parse import quote

import msgspec

from posthouse.message.compose import crlf, format_field, text_body
from posthouse.message.parameters import extended_value, parameter, parse_media_type

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
"""RFC 2045 §5.1: a value that needs no quotes."""

Fields = list[tuple[str, str]]


class Entity(msgspec.Struct, kw_only=True):
    """One entity to be written: a leaf with octets, or a multipart with children."""

    type: str
    fields: Fields = []
    """More fields of its header, in order; Content-Type and the encoding are written here."""
    octets: bytes = b""
    text: str | None = None
    """In place of octets: text, whose charset and encoding are chosen here."""
    charset: str | None = None
    name: str | None = None
    children: list[Entity] = []


def render(entity: Entity) -> bytes:
    """Header and body of an entity."""
    if entity.children:
        boundary = f"=_{secrets.token_hex(16)}"
        pieces: list[bytes] = []
        for child in entity.children:
            pieces += (b"--", boundary.encode(), b"\r\n", render(child), b"\r\n")
        pieces += (b"--", boundary.encode(), b"--\r\n")
        body = b"".join(pieces)
        return _header(entity, ("boundary", boundary), "7bit" if body.isascii() else "8bit") + body
    if entity.text is not None:
        made = text_body(entity.text, entity.type)
        charset = made.content_type.rpartition("=")[2]
        return _header(entity, ("charset", charset), made.encoding) + made.octets
    charset = entity.charset or ""
    if entity.type in {"message/rfc822", "message/global"}:
        # RFC 2046 §5.2.1: a message within a message is never encoded.
        octets = crlf(entity.octets)
        return _header(entity, ("charset", charset), "7bit" if octets.isascii() else "8bit") + octets
    encoded = base64.encodebytes(entity.octets).replace(b"\n", b"\r\n")
    return _header(entity, ("charset", charset), "base64") + encoded


def _header(entity: Entity, parameter_: tuple[str, str], encoding: str) -> bytes:
    """The header section. `parameter_`: what Content-Type must say of a body that is written here."""
    given = [value for name, value in entity.fields if name.lower() == "content-type"]
    fields = [pair for pair in entity.fields if pair[0].lower() != "content-type"]
    content_type = _with_parameter(given[0] if given else entity.type, *parameter_)
    fields.insert(0, ("Content-Type", content_type))
    if encoding != "7bit":
        fields.append(("Content-Transfer-Encoding", encoding))
    return b"".join([*(format_field(name, value) for name, value in fields), b"\r\n"])


def _with_parameter(content_type: str, name: str, value: str) -> str:
    """A media type whose parameter has this value (empty: whichever it has), its others as they are."""
    type_, subtype, parameters = parse_media_type(content_type.encode())
    present = parameter(parameters, name)
    if not value or present == value or ((present or "").lower() == "utf-8" and value == "us-ascii"):
        return content_type
    if present is None:
        return f"{content_type.rstrip('; ')}; {name}={_quoted(name, value)}"
    others = [(key, each) for key, each in parameters if key.removesuffix("*") != name]
    written = [f"{key}={_quoted(key, each)}" for key, each in [(name, value), *others]]
    return "; ".join((f"{type_}/{subtype}", *written))


def _quoted(name: str, value: str) -> str:
    """A parameter's value as it is written (RFC 2045 §5.1; RFC 2231 §4 where the name says so)."""
    if name.endswith("*"):
        return extended_value(value)
    return value if _TOKEN.fullmatch(value) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def disposition_field(disposition: str | None, name: str | None) -> str | None:
    """A Content-Disposition value; a file name that is not plain ASCII is written as RFC 2231 §4 wants."""
    if disposition is None and name is None:
        return None
    value = disposition or "attachment"
    if name is None:
        return value
    plain = name.replace("\\", "\\\\").replace('"', '\\"')
    if name.isascii() and name.isprintable() and len(plain) < 60:
        return f'{value}; filename="{plain}"'
    encoded = quote(name, safe="")
    if len(encoded) < 60:
        return f"{value}; filename*=UTF-8''{encoded}"
    pieces = [""]
    for character in name:  # no character is cut: many programs decode each piece by itself
        octets = quote(character, safe="")
        if len(pieces[-1]) + len(octets) > 54:
            pieces.append("")
        pieces[-1] += octets
    parameters = "; ".join(f"filename*{i}*={'' if i else chr(0)}{piece}" for i, piece in enumerate(pieces))
    return f"{value}; {parameters}".replace("\0", "UTF-8''")
