"""Sections of a message for FETCH BODY[…] and BINARY[…] (RFC 9051 §6.4.5.1), as offsets into it.

Pure functions over a part tree. A section that does not exist is None (IMAP answers NIL).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse.message.mime import Part


class Span(msgspec.Struct, frozen=True):
    """A run of octets: `raw[start:end]`."""

    start: int
    end: int

    def partial(self, offset: int, length: int) -> Span:
        """The `<offset.length>` of it (RFC 9051 §6.4.5), empty when it begins behind the end."""
        start = min(self.start + offset, self.end)
        return Span(start, min(start + length, self.end))


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


def part_span(root: Part, numbers: Sequence[int]) -> Span | None:
    """BODY[1.2]: a part's body in its transfer encoding; for an embedded message, all of it. BODY[]: everything."""
    if not numbers:
        return Span(root.header_start, root.body_end)
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
