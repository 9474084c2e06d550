"""What FETCH's sections mean in a message (RFC 9051 §6.4.5.1): a span of octets, or a cut of a whole message. Pure.

`message.section` knows the part numbers; here a parsed Section chooses among its rules. A section that the
message does not have is None, which FETCH answers with NIL. Sections that need no part tree are cut from
the raw message by a function made once per command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from posthouse import limits
from posthouse.imap.fetch_args import Section, Text
from posthouse.message.headers import header_end
from posthouse.message.mime import Part
from posthouse.message.section import Span, header_span, mime_span, part_span, text_span


def find_span(section: Section, root: Part, size: int) -> Span | None:
    """Where a section lies (for header fields: where the whole header does), before `partial` is applied."""
    if section.text is Text.CONTENT:
        return part_span(root, section.part) if section.part else Span(0, size)
    if section.text is Text.MIME:
        return mime_span(root, section.part)
    if section.text is Text.TEXT:
        return text_span(root, section.part) if section.part else Span(min(root.body_start, size), size)
    return header_span(root, section.part)


def field_filter(text: Text, fields: Collection[bytes]) -> Callable[[bytes], bytes]:
    """A function from a whole header to the fields wanted (or all others), with the empty line if it had one.

    One regular expression takes whole fields with their continuation lines, so a header costs one pass.
    """
    names = b"|".join(re.escape(name) for name in fields)
    line = rb"[^\n]*(?:\n[ \t][^\n]*)*\n?"
    if text is Text.FIELDS:
        pattern = re.compile(rb"^(?:" + names + rb")[ \t]*:" + line, re.IGNORECASE | re.MULTILINE)
    else:
        pattern = re.compile(
            rb"^(?!(?:" + names + rb")[ \t]*:)[^ \t\r\n]" + line, re.IGNORECASE | re.MULTILINE
        )
    find = pattern.findall

    def cut(header: bytes) -> bytes:
        # RFC 9051 §6.4.5: the empty line is always included, except when the message has none.
        if header.endswith(b"\r\n\r\n") or header == b"\r\n":
            return b"".join(find(header)) + b"\r\n"
        if header.endswith(b"\n\n") or header == b"\n":
            return b"".join(find(header)) + b"\n"
        return b"".join(find(header))

    return cut


def cutter(section: Section) -> Callable[[bytes], bytes] | None:
    """A function from a whole message to a section that needs no part tree; None when it needs one."""
    if section.part:
        return None
    cut = _CUTTERS.get(section.text)
    if cut is None:
        cut = _fields_of_message(field_filter(section.text, section.fields))
    partial = section.partial
    if partial is None:
        return cut
    start, end = partial.offset, partial.offset + partial.length
    return lambda raw: cut(raw)[start:end]


def _whole(raw: bytes) -> bytes:
    return raw


def _header(raw: bytes) -> bytes:
    return raw[: header_end(raw, 0, len(raw))]


def _text(raw: bytes) -> bytes:
    return raw[header_end(raw, 0, len(raw)) :]


def _fields_of_message(filtered: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda raw: filtered(raw[: min(header_end(raw, 0, len(raw)), limits.IMAP_HEADER_READ)])


_CUTTERS: Final = {Text.CONTENT: _whole, Text.HEADER: _header, Text.TEXT: _text}
