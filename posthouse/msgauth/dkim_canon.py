"""DKIM's two forms of a text (RFC 6376 §3.4): what is hashed, so that what relays may change does not matter.

Header fields are formed one by one; bodies in a stream, in bounded memory, each block once for each form that any
signature asks for. Line ends are CRLF; a bare CR or LF is a character like others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from posthouse.message.headers import Headers

CRLF: Final = b"\r\n"
_ODD: Final = re.compile(rb"[\r\n\v\f]")
_PADDING: Final = CRLF * 4096


class RawField(msgspec.Struct, frozen=True):
    """One header field as it stands in the message."""

    name: bytes
    """Lower case."""
    raw: bytes
    """Name, colon and value, without the line end that closes it."""

    @property
    def value(self) -> bytes:
        """What stands behind the colon, as written."""
        return self.raw[self.raw.index(b":") + 1 :]


def raw_fields(headers: Headers) -> list[RawField]:
    """All fields of a header section, top to bottom."""
    return [RawField(name.lower(), whole.removesuffix(b"\r")) for name, whole in headers.wholes()]


def simple_field(raw: bytes) -> bytes:
    """RFC 6376 §3.4.1: unchanged."""
    return raw


def relaxed_field(raw: bytes) -> bytes:
    """RFC 6376 §3.4.2: name in lower case, value on one line, white space runs as one space."""
    name, _, value = raw.partition(b":")
    value = value.replace(CRLF, b"")
    if _ODD.search(value) is not None:
        value = value.replace(b"\n", b"")  # bare LF was taken as a fold when the header was read
        value = _one_space(value).strip(b" ")
    else:
        value = b" ".join(value.split())
    return name.strip(b" \t").lower() + b":" + value


def _one_space(text: bytes) -> bytes:
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:  # halves each run: at most log2 of its length
        text = text.replace(b"  ", b" ")
    return text


def _relaxed_lines(data: bytes) -> bytes:
    """RFC 6376 §3.4.4: white space runs as one space, none before a line end.

    Looked through only to the last white space: the base64 of attachments has none, and is most of large mail.
    """
    end = max(data.rfind(b" "), data.rfind(b"\t")) + 1
    if not end:
        return data
    end += len(CRLF)
    return _one_space(data[:end]).replace(b" \r\n", CRLF) + data[end:]


# --- bodies ---------------------------------------------------------------------------------------------


class BodyForm(msgspec.Struct, frozen=True):
    """What a signature says about the body: its canonicalisation, and l= when it has one."""

    relaxed: bool
    length: int | None = None


class BodyDigest(msgspec.Struct, frozen=True):
    """The hash of a body in one form."""

    digest: bytes
    """SHA-256."""
    size: int
    """Octets of the whole body in that canonicalisation."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Sink:
    """The hash of the first `length` octets."""

    def __init__(self, length: int | None) -> None:
        self.hash: _Hash = hashlib.sha256()
        self._left = length

    def write(self, data: bytes) -> None:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self.hash.update(data)


class _Body:
    """One canonicalisation of a body in a stream."""

    def __init__(self, relaxed: bool) -> None:
        self._relaxed = relaxed
        self._tail = b""  # too early to say what it is: a space, a CR
        self._empty_lines = 0  # line ends since the last content; at the end they are dropped
        self.size = 0
        self.sinks: dict[int | None, _Sink] = {}

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        for sink in self.sinks.values():
            sink.write(data)

    def _write_content(self, content: bytes) -> None:
        left, self._empty_lines = self._empty_lines * 2, 0
        while left:
            piece = _PADDING[:left]
            self._write(piece)
            left -= len(piece)
        self._write(content)

    def feed(self, block: bytes) -> None:
        data = self._tail + block if self._tail else block
        if self._relaxed:
            data = _relaxed_lines(data)
        held = 0
        if data.endswith(b"\r"):
            held = 2 if self._relaxed and data.endswith(b" \r") else 1
        elif self._relaxed and data.endswith(b" "):
            held = 1
        end = len(data) - held
        self._tail = data[end:]
        lines = _trailing_lines(data[:end] if held else data)
        if content := data[: end - 2 * lines]:
            self._write_content(content)
        self._empty_lines += lines

    def finish(self) -> None:
        if content := self._tail.rstrip(b" ") if self._relaxed else self._tail:
            self._write_content(content)
        # RFC 6376 §3.4.3: simple always ends in CRLF, even when empty; §3.4.4: relaxed when there is anything.
        if self.size or not self._relaxed:
            self._write(CRLF)


def _trailing_lines(data: bytes) -> int:
    """How many CRLF stand at the end."""
    end = data[len(data.rstrip(CRLF)) :]
    if not end:
        return 0
    marks = end.replace(CRLF, b".")
    return len(marks) - len(marks.rstrip(b"."))


class BodyHashes:
    """The hashes of one body in all forms wanted: `feed` its octets, then `finish`."""

    def __init__(self, forms: Iterable[BodyForm]) -> None:
        self._forms = frozenset(forms)
        self._bodies = {relaxed: _Body(relaxed) for relaxed in {form.relaxed for form in self._forms}}
        for form in self._forms:
            self._bodies[form.relaxed].sinks[form.length] = _Sink(form.length)

    def feed(self, block: bytes) -> None:
        """More octets of the body."""
        for body in self._bodies.values():
            body.feed(block)

    def finish(self) -> dict[BodyForm, BodyDigest]:
        """The digests."""
        for body in self._bodies.values():
            body.finish()
        return {form: self._digest(form) for form in self._forms}

    def _digest(self, form: BodyForm) -> BodyDigest:
        body = self._bodies[form.relaxed]
        return BodyDigest(body.sinks[form.length].hash.digest(), body.size)
