"""Sections of a message for FETCH BODY[…] and BINARY[…] (RFC 9051 §6.4.5.1), as offsets wherever possible.

Pure functions over a part tree and, where octets must be looked at, the raw message. A section that does not
exist is None (IMAP answers NIL).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from posthouse.message.headers import Headers
from posthouse.message.mime import Part
from posthouse.message.transfer import decode_transfer


class Span(msgspec.Struct, frozen=True):
    """A run of octets: `raw[start:end]`."""

    start: int
    end: int

    def partial(self, offset: int, length: int) -> Span:
        """The `<offset.length>` of it (RFC 9051 §6.4.5), empty when it begins behind the end."""
        start = min(self.start + offset, self.end)
        return Span(start, min(start + length, self.end))


class UnknownEncoding(ValueError):
    """A part's Content-Transfer-Encoding is none that we know: NO [UNKNOWN-CTE] (RFC 3516 §4.3)."""


def find_part(root: Part, numbers: Sequence[int]) -> Part | None:
    """The part that `1.2.3` names. Every message has a part 1, be it only its body (RFC 9051 §6.4.5.1)."""
    part = root
    level: Part | None = root  # whose parts the next number counts; None: a leaf has none
    for number in numbers:
        if level is None:
            return None
        if level.children:
            if not 1 <= number <= len(level.children):
                return None
            part = level.children[number - 1]
        elif number == 1:
            part = level  # a message that is not multipart
        else:
            return None
        level = part.message or (part if part.children else None)
    return part


def whole(root: Part) -> Span:
    """BODY[]: the whole message."""
    return Span(root.header_start, root.body_end)


def part_span(root: Part, numbers: Sequence[int]) -> Span | None:
    """BODY[1.2]: a part's body in its transfer encoding; for an embedded message, all of it."""
    if not numbers:
        return whole(root)
    part = find_part(root, numbers)
    return None if part is None else Span(part.body_start, part.body_end)


def mime_span(root: Part, numbers: Sequence[int]) -> Span | None:
    """BODY[1.2.MIME]: a part's own header, the empty line included."""
    part = find_part(root, numbers) if numbers else None
    return None if part is None else Span(part.header_start, part.body_start)


def header_span(root: Part, numbers: Sequence[int] = ()) -> Span | None:
    """BODY[HEADER] or BODY[1.2.HEADER]: a message's header, the empty line included."""
    message = _message(root, numbers)
    return None if message is None else Span(message.header_start, message.body_start)


def text_span(root: Part, numbers: Sequence[int] = ()) -> Span | None:
    """BODY[TEXT] or BODY[1.2.TEXT]: a message's body."""
    message = _message(root, numbers)
    return None if message is None else Span(message.body_start, message.body_end)


def _message(root: Part, numbers: Sequence[int]) -> Part | None:
    """The message itself, or the one embedded in a part: HEADER and TEXT are of messages only."""
    if not numbers:
        return root
    part = find_part(root, numbers)
    return None if part is None else part.message


def header_fields(header: bytes, names: Collection[str], *, exclude: bool = False) -> bytes:
    """HEADER.FIELDS or, with `exclude`, HEADER.FIELDS.NOT of a header section (the octets of `header_span`).

    RFC 9051 §6.4.5.1: names match without regard to case; the empty line is always there, except when the
    message has none.
    """
    headers = Headers(header, 0, len(header))
    empty_line = _empty_line(header)
    spans = headers.spans(names)
    if exclude:
        kept, position = [], 0
        for start, end in spans:
            kept.append(header[position:start])
            position = end
        kept.append(header[position:])
        return b"".join(kept)
    return b"".join([header[start:end] for start, end in spans]) + empty_line


def _empty_line(header: bytes) -> bytes:
    if header.endswith(b"\n\r\n") or header == b"\r\n":
        return b"\r\n"
    return b"\n" if header.endswith(b"\n\n") or header == b"\n" else b""


def binary(part: Part, body: bytes) -> bytes:
    """BINARY[1.2]: a leaf's body (the octets of `part_span`) with its transfer encoding undone.

    UnknownEncoding when we do not know it; a multipart or an embedded message is not to be asked for.
    """
    decoded = decode_transfer(body, part.encoding)
    if decoded is None:
        raise UnknownEncoding("unknown content transfer encoding")
    return decoded
