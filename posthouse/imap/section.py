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

    A regular expression takes whole fields with their continuation lines, so a header costs one pass in C.
    """
    names = [re.escape(name) for name in fields if name]
    if text is Text.FIELDS:
        find = _find_fields(names) if names else _find_nothing
    else:
        others = rb"(?!(?:" + b"|".join(names) + rb")[ \t]*+:)" if names else b""
        find = _join(re.compile(rb"^" + others + rb"[^ \t\r\n]" + _LINE, re.IGNORECASE | re.MULTILINE))

    def cut(header: bytes) -> bytes:
        # RFC 9051 §6.4.5: the empty line is always included, except when the message has none.
        if header.endswith(b"\r\n\r\n") or header == b"\r\n":
            return find(header) + b"\r\n"
        if header.endswith(b"\n\n") or header == b"\n":
            return find(header) + b"\n"
        return find(header)

    return cut


_LINE: Final = rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?"


def _find_nothing(header: bytes) -> bytes:
    return b""


def _join(pattern: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    find = pattern.findall
    return lambda header: b"".join(find(header))


def _find_fields(names: list[bytes]) -> Callable[[bytes], bytes]:
    """The named fields. Looking for line ends first, then at one octet, halves the cost of a plain alternation."""
    any_name = b"|".join(names)
    plain = _join(re.compile(rb"^(?:" + any_name + rb")[ \t]*+:" + _LINE, re.IGNORECASE | re.MULTILINE))
    octets = {name[:2] if name[:1] == b"\\" else name[:1] for name in names}
    firsts = b"".join(
        sorted(octets | {octet.upper() for octet in octets} | {octet.lower() for octet in octets})
    )
    quick = re.compile(
        rb"\n((?=[" + firsts + rb"])(?i:" + any_name + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+)"
    ).findall

    def find(header: bytes) -> bytes:
        if header[-1:] != b"\n":
            return plain(header)  # the last field has no line end, which nothing may add
        found = quick(b"\n" + header)
        return b"\n".join(found) + b"\n" if found else b""

    return find


def cutter(section: Section) -> Callable[[bytes], bytes] | None:
    """A function from a whole message to a section that needs no part tree; None when it needs one."""
    if section.part:
        return None
    cut = _CUTTERS.get(section.text) or _fields_of_message(field_filter(section.text, section.fields))
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
