"""Decoded text of a message, for search and previews (RFC 9051 §6.4.4, RFC 8970).

Pure functions over the raw octets and the part tree. Transfer encodings, charsets and encoded words are
undone; what cannot be decoded is shown as well as it can be. Nothing raises; time is linear in the size of
the message.
"""

from __future__ import annotations

import re
from typing import Final

from posthouse.limits import PREVIEW_CHARACTERS, PREVIEW_SOURCE, SEARCH_TEXT
from posthouse.message.charsets import JIS, codec_for, decode
from posthouse.message.headers import Headers, decode_value
from posthouse.message.html import html_text
from posthouse.message.mime import Part, below
from posthouse.message.parameters import parameter, parameter_text
from posthouse.message.transfer import decode_transfer

SEPARATOR: Final = "\0"
"""Stands between texts that do not belong together, so that no phrase is found across them."""

_META_CHARSET: Final = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE
)
_JOINERS: Final = "\u200c\u200d"
"""Persian and Indic words are spelt with them, and emoji joined; mass mail pads its first line with them too."""
_LOOSE_JOINERS: Final = re.compile(f"(?<!\\S)[{_JOINERS}]+|[{_JOINERS}]+(?!\\S)")
_META_WITHIN: Final = 2048
"""Octets of an HTML part in which its own charset declaration is looked for (HTML asks for 1,024)."""


def text_of(raw: bytes, part: Part) -> tuple[str, str]:
    """(all header text, all body text) of a message, as SEARCH TEXT and SEARCH BODY see them.

    Header text holds the message's own fields and those of its parts. Body text holds every text part decoded (of
    HTML the source and what a reader sees; the first SEARCH_TEXT octets of all together), embedded messages with
    their headers, what reports say of deliveries and readings (RFC 3464, RFC 8098), and file names.
    """
    headers = [_header_text(raw, part)]
    bodies: list[str] = []
    left = SEARCH_TEXT
    for child in below(part):
        if child is not part and child.header_start < child.body_start:
            headers.append(_header_text(raw, child))
        if child.message is not None:
            embedded = _header_text(raw, child.message)
            headers.append(embedded)
            bodies.append(embedded)
        bodies += _searchable(raw, child, left)
        left -= min(left, child.size if _is_text(child) else 0)
    return SEPARATOR.join(headers), SEPARATOR.join(bodies)


def part_text(raw: bytes, part: Part, limit: int | None = None) -> str:
    """The decoded text of one text part; of at most its first `limit` octets."""
    end = part.body_end if limit is None else min(part.body_end, part.body_start + limit)
    body = raw[part.body_start : end]
    decoded = decode_transfer(body, part.encoding)
    octets = body if decoded is None else decoded
    label = parameter(part.parameters, "charset")
    if part.subtype == "html" and (label is None or codec_for(label) in {None, "ascii"}):
        declared = _META_CHARSET.search(octets, 0, _META_WITHIN)
        label = declared[1].decode("ascii") if declared else label
    return decode(octets, label)


def preview(raw: bytes, part: Part) -> str:
    """The first characters that a reader would see, on one line (RFC 8970 §3.3); empty: there is no text."""
    for wanted in ("plain", "html"):
        for child in below(part):
            if child.type != "text" or child.subtype != wanted or child.disposition == "attachment":
                continue
            text = part_text(raw, child, PREVIEW_SOURCE)
            if wanted == "html":
                text = html_text(text)
            words = " ".join(text.split())
            if words:
                return _printable(words[:PREVIEW_CHARACTERS].rstrip())
    return ""


def _header_text(raw: bytes, part: Part) -> str:
    """A header section's fields, one a line, decoded."""
    section = raw[part.header_start : part.body_start]
    # Most header sections are ASCII without encoded words: then the unfolded octets are the text.
    if section.isascii() and b"=?" not in section and JIS not in section:
        text = section.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b"\t").decode("ascii")
        return text.strip("\n").replace(SEPARATOR, " ").replace("\n", SEPARATOR)
    headers = Headers(raw, part.header_start, part.body_start)
    lines = [f"{decode_value(name)}: {decode_value(value)}" for name, value in headers.items()]
    return SEPARATOR.join([line.replace(SEPARATOR, " ") for line in lines])


def _is_text(part: Part) -> bool:
    """Whether people can read it as it stands: text, and of message/… what is no message, such as delivery-status."""
    return part.type == "text" or (part.type == "message" and part.message is None)


def _searchable(raw: bytes, part: Part, limit: int) -> list[str]:
    """What the body text has of one part that is not made of others: of its text the first `limit` octets."""
    found = []
    if _is_text(part):
        text = part_text(raw, part, limit).replace(SEPARATOR, " ")
        found.append(text)
        if part.type == "text" and part.subtype == "html":
            found.append(html_text(text).replace(SEPARATOR, " "))
    for parameters, name in ((part.disposition_parameters, "filename"), (part.parameters, "name")):
        value = parameter_text(parameters, name) if parameters else None
        if value:
            found.append(value)
            break
    return found


def _printable(text: str) -> str:
    """Without control characters: a preview is shown as it is. Joiners within words are letters' business."""
    if text.isprintable():
        return text
    kept = "".join([c for c in text if c.isprintable() or c in _JOINERS])
    return _LOOSE_JOINERS.sub("", kept).rstrip() if not kept.isprintable() else kept
