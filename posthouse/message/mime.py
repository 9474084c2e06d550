"""The MIME part tree of a message, with octet offsets into it (RFC 2045, RFC 2046).

Nothing is decoded or copied: a part knows where its header and its body lie. Reading is tolerant: CRLF or LF,
unclosed parts, missing boundaries. Beyond MIME_DEPTH, MIME_PARTS or MIME_FALSE_DELIMITERS the rest is a leaf
of type application/octet-stream. Nothing here raises. Offsets always nest: a child lies within its parent's
body.

A delimiter line must be the delimiter and white space only. RFC 2046 §5.1.1 would take a mere beginning, but
a boundary may be the beginning of another one's, and mail has that oftener than text behind a delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from posthouse.limits import BOUNDARY_SIZE, MIME_DEPTH, MIME_FALSE_DELIMITERS, MIME_PARTS
from posthouse.message.envelope import envelope
from posthouse.message.headers import Headers, unfold
from posthouse.message.parameters import Parameters, parameter, parse_disposition, parse_media_type

IDENTITY_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})
_DEFAULT_PARAMETERS: Final = (("charset", "us-ascii"),)
_HEADER_LIKE: Final = re.compile(rb"(?:\r?\n)*[!-9;-~]+[ \t]*:")
_LANGUAGE: Final = re.compile(r"[^\s,;]+")


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One part of a message, or all of it. Offsets are octets from the beginning of the outermost message."""

    type: str
    """Media type in lower case."""
    subtype: str
    parameters: Parameters
    """Of Content-Type (see `message.parameters` for names that end with `*`)."""
    encoding: str
    """Content-Transfer-Encoding in lower case; `7bit` when there is none (RFC 2045 §6.1)."""
    header_start: int
    body_start: int
    body_end: int
    """Behind the last octet of the body: before the line end that belongs to the delimiter."""
    lines: int = 0
    """Line ends in the body; counted for text and embedded messages only."""
    children: tuple[Part, ...] = ()
    """The parts of a multipart, at least one."""
    message: Part | None = None
    """The embedded message of a message/rfc822 or message/global part."""
    envelope: bytes = b""
    """The embedded message's ENVELOPE."""
    id: bytes | None = None
    """Content-ID, raw."""
    description: bytes | None = None
    """Content-Description, raw."""
    disposition: str = ""
    """In lower case; empty: there is none."""
    disposition_parameters: Parameters = ()
    md5: bytes | None = None
    languages: tuple[str, ...] = ()
    location: bytes | None = None

    @property
    def size(self) -> int:
        """Octets of the body in its transfer encoding."""
        return self.body_end - self.body_start

    @property
    def file_name(self) -> str | None:
        """What the sender calls the file, as text."""
        name = parameter(self.disposition_parameters, "filename") or parameter(self.parameters, "name")
        return name or None


def scan(raw: bytes, headers: Headers | None = None) -> Part:
    """The part tree of a message. `headers`: its header section, when it was scanned already."""
    return _Scanner(raw).part(headers or Headers.scan(raw), len(raw), depth=0, digest=False)


def below(part: Part) -> Iterator[Part]:
    """A part and all in it, embedded messages too, in the order of the message."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        yield part
        if part.message is not None:
            waiting.append(part.message)
        waiting.extend(reversed(part.children))


def encode_parts(part: Part) -> bytes:
    """The tree in MessagePack, to be kept."""
    return msgspec.msgpack.encode(part)


def decode_parts(kept: bytes) -> Part:
    """The tree that `encode_parts` kept. `msgspec.ValidationError` or `DecodeError` when it is none."""
    return msgspec.msgpack.decode(kept, type=Part)


class _Scanner:
    """One walk over one message, with what is left of its limits."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._parts_left = MIME_PARTS
        self._false_left = MIME_FALSE_DELIMITERS

    def part(self, headers: Headers, end: int, *, depth: int, digest: bool) -> Part:
        """The part whose header section is given and whose body goes to `end`."""
        self._parts_left -= 1
        raw, start = self._raw, headers.end
        type_, subtype, parameters = _media_type(headers, digest)
        encoding = _encoding(headers)
        children: tuple[Part, ...] = ()
        message: Part | None = None
        embedded = b""
        if type_ == "multipart":
            if depth >= MIME_DEPTH or self._parts_left <= 0:
                type_, subtype = "application", "octet-stream"
            else:
                children = self._children(start, end, depth, parameters, subtype == "digest")
                if not children:
                    # Without a delimiter there are no parts, which RFC 9051 §9 `body-type-mpart` cannot say:
                    # the body is shown as the text that it is.
                    type_, subtype, parameters = "text", "plain", _DEFAULT_PARAMETERS
        elif type_ == "message" and subtype in {"rfc822", "global"}:
            if depth >= MIME_DEPTH or self._parts_left <= 0 or not self._readable(encoding, start, end):
                type_, subtype = "application", "octet-stream"
            else:
                inner = Headers.scan(raw, start, end)
                message = self.part(inner, end, depth=depth + 1, digest=False)
                embedded = envelope(inner)
        lines = raw.count(b"\n", start, end) if type_ == "text" or message is not None else 0
        basic = (
            type_,
            subtype,
            parameters,
            encoding,
            headers.start,
            start,
            end,
            lines,
            children,
            message,
            embedded,
        )
        return Part(*basic, *_descriptive_fields(headers))

    def _readable(self, encoding: str, start: int, end: int) -> bool:
        """Whether an embedded message is there in plain. RFC 2046 §5.2.1 forbids to encode it; some still do,
        and others only say so."""
        if encoding in IDENTITY_ENCODINGS or start == end:
            return True
        return _HEADER_LIKE.match(self._raw, start, min(end, start + BOUNDARY_SIZE)) is not None

    def _children(
        self, start: int, end: int, depth: int, parameters: Parameters, digest: bool
    ) -> tuple[Part, ...]:
        boundary = (parameter(parameters, "boundary") or "").rstrip().encode()
        if not 0 < len(boundary) <= BOUNDARY_SIZE:
            return ()
        children: list[Part] = []
        ranges = self._ranges(start, end, boundary)
        for i, (first, last) in enumerate(ranges):
            if self._parts_left <= 1 and i + 1 < len(ranges):
                children.append(self._rest(first, end))
                break
            headers = Headers.scan(self._raw, first, last)
            children.append(self.part(headers, last, depth=depth + 1, digest=digest))
            if self._parts_left <= 0:
                break
        return tuple(children)

    def _rest(self, start: int, end: int) -> Part:
        """The last part that the limit allows: all that is left of its multipart."""
        self._parts_left -= 1
        headers = Headers.scan(self._raw, start, end)
        return Part("application", "octet-stream", (), _encoding(headers), start, headers.end, end)

    def _ranges(self, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
        """Where the parts of a multipart body lie, by its delimiter lines (RFC 2046 §5.1.1)."""
        raw, needle = self._raw, b"\n--" + boundary
        ranges: list[tuple[int, int]] = []
        opened = -1  # where the part at hand begins; -1: still in the preamble
        position = start - 1  # the line end before the body can begin the first delimiter
        while (at := raw.find(needle, max(position, 0), end)) >= 0:
            behind = at + len(needle)
            line_end = raw.find(b"\n", behind, end)
            line_end = end if line_end < 0 else line_end
            tail = raw[behind : min(line_end, behind + BOUNDARY_SIZE)].rstrip(b" \t\r")
            if tail not in {b"", b"--"}:
                self._false_left -= 1
                if self._false_left <= 0:
                    break
                position = at + 1
                continue
            if opened == at + 1 and not tail:  # delimiters in a row, nothing between them: one
                opened, position = min(line_end + 1, end), line_end
                continue
            if opened >= 0:
                # The line end before a delimiter belongs to it.
                last = at - 1 if at > 0 and raw[at - 1] == 0x0D else at
                ranges.append((opened, max(last, opened)))
                if len(ranges) > self._parts_left:
                    return ranges  # one more than can be taken
            if tail:
                return ranges  # the epilogue is nobody's
            opened = min(line_end + 1, end)
            position = line_end
        if opened >= 0:
            ranges.append((opened, end))  # never closed: cut off, or the limit of false delimiters
        return ranges


def _media_type(headers: Headers, digest: bool) -> tuple[str, str, Parameters]:
    value = headers.first(b"content-type")
    if value is None:
        # RFC 2046 §5.1.5: in a digest the default is message/rfc822; RFC 2045 §5.2: else text/plain in
        # US-ASCII.
        return ("message", "rfc822", ()) if digest else ("text", "plain", _DEFAULT_PARAMETERS)
    type_, subtype, parameters = parse_media_type(value)
    if not subtype:
        # RFC 2045 §5.2: a value that breaks the grammar means text/plain; base64 is hardly ever text.
        if type_ != "text" and _encoding(headers) == "base64":
            return "application", "octet-stream", parameters
        type_, subtype = "text", "plain"
    if type_ == "text" and subtype == "plain" and parameter(parameters, "charset") is None:
        parameters = _DEFAULT_PARAMETERS + parameters  # RFC 2046 §4.1.2
    return type_, subtype, parameters


def _encoding(headers: Headers) -> str:
    value = headers.first(b"content-transfer-encoding")
    if not value:
        return "7bit"
    words = value.decode("latin-1").lower().replace('"', "").split("(")[0].split(";")[0].split()
    return words[0] if words else "7bit"


_DESCRIPTIVE: Final = frozenset(
    {
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-md5",
        b"content-language",
        b"content-location",
    }
)
"""What `_descriptive_fields` reads; most parts have none of them."""


def _descriptive_fields(
    headers: Headers,
) -> tuple[bytes | None, bytes | None, str, Parameters, bytes | None, tuple[str, ...], bytes | None]:
    """Content-ID, description, disposition with parameters, MD5, languages, location."""
    if headers.lacks(_DESCRIPTIVE):
        return None, None, "", (), None, (), None
    disposition = ""
    disposition_parameters: Parameters = ()
    value = headers.first(b"content-disposition")
    if value:
        disposition, disposition_parameters = parse_disposition(value)
    languages: tuple[str, ...] = ()
    value = headers.first(b"content-language")
    if value:
        languages = tuple(_LANGUAGE.findall(value.decode("utf-8", "replace")))
    location = headers.first(b"content-location")
    return (
        headers.first(b"content-id"),
        headers.first(b"content-description"),
        disposition,
        disposition_parameters,
        headers.first(b"content-md5"),
        languages,
        location and unfold(location).replace(b" ", b""),  # RFC 2557 §4.4.2: folding may stand anywhere in it
    )
