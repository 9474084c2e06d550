"""MIME entities from EmailBodyParts: what a client describes, as octets (RFC 2045, RFC 2046, RFC 2183, RFC 2231)."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import quote

import msgspec

from posthouse.message.compose import crlf, format_field, text_body

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
        content_type = f'{entity.type}; boundary="{boundary}"'
        body = b"".join(pieces)
        encoding = "7bit" if body.isascii() else "8bit"
        return _header(entity, content_type, encoding) + body
    if entity.text is not None:
        made = text_body(entity.text, entity.type)
        return _header(entity, made.content_type, made.encoding) + made.octets
    content_type = entity.type
    if entity.charset:
        content_type += f'; charset="{entity.charset}"'
    if entity.type in {"message/rfc822", "message/global"}:
        # RFC 2046 §5.2.1: a message within a message is never encoded.
        octets = crlf(entity.octets)
        return _header(entity, content_type, "7bit" if octets.isascii() else "8bit") + octets
    encoded = base64.encodebytes(entity.octets).replace(b"\n", b"\r\n")
    return _header(entity, content_type, "base64") + encoded


def _header(entity: Entity, content_type: str, encoding: str) -> bytes:
    fields = [*entity.fields]
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields.insert(0, ("Content-Type", content_type))
    if encoding != "7bit":
        fields.append(("Content-Transfer-Encoding", encoding))
    return b"".join([*(format_field(name, value) for name, value in fields), b"\r\n"])


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
