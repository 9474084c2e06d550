"""Header fields of a message or a part, found in one pass over the raw octets (RFC 5322 §2.2, RFC 2047, RFC
6532).

The header section ends at the first empty line and nowhere else; lines that are no field (an mbox "From "
line, a stray sentence) belong to it and are passed over, so HEADER and TEXT together are always the whole
message. CRLF and bare LF are both line ends. Nothing here raises; fields after `HEADER_FIELDS` and octets of
a value after `HEADER_VALUE` are not looked at.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

import msgspec

from posthouse.limits import HEADER_FIELDS, HEADER_NAMES_KEPT, HEADER_VALUE
from posthouse.message.charsets import JIS, decode, decode_unlabelled

_FIELD: Final = re.compile(rb"^([^\x00-\x20:\x7f]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
# RFC 2047 §2; the `*language` is RFC 2231 §5. Spaces in the text are forbidden there and common in mail.
_ENCODED_WORD: Final = re.compile(rb"=\?([^\s?*=]++)(?:\*[^\s?]*+)?\?([BbQq])\?([^?]*+)\?=")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")


class Field(msgspec.Struct, frozen=True):
    """One header field: its name as written and where it lies."""

    name: bytes
    start: int
    """Offset of the name."""
    value_start: int
    """Offset behind the colon."""
    end: int
    """Offset behind the value, before the line end that closes the field (a CR may be the last octet)."""


class Headers:
    """The fields of one header section, by name and in order. Names are matched without regard to case."""

    __slots__ = ("_by_name", "_found", "end", "raw", "start")

    def __init__(self, raw: bytes, start: int, end: int) -> None:
        """A header section whose end is known already; use `scan` to have it found."""
        self.raw = raw
        self.start = start
        self.end = end
        """Offset of the body: behind the empty line."""
        self._found = found = list(islice(_FIELD.finditer(raw, start, end), HEADER_FIELDS))
        self._by_name: dict[bytes, list[re.Match[bytes]]] = {}
        by_name = self._by_name
        for match in found:
            name = match[1].lower()
            if name in by_name:
                by_name[name].append(match)
            else:
                by_name[name] = [match]

    @classmethod
    def scan(cls, raw: bytes, start: int = 0, end: int | None = None) -> Headers:
        """Find the header section that begins at `start` and ends, at the latest, at `end`."""
        return cls(raw, start, header_end(raw, start, len(raw) if end is None else end))

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: str | bytes) -> bool:
        return _key(name) in self._by_name

    def __iter__(self) -> Iterator[Field]:
        for match in self._found:
            yield Field(match[1], match.start(), match.start(2), match.end())

    def lacks(self, names: frozenset[bytes]) -> bool:
        """Whether there is no field of any of these names (lower case)."""
        return names.isdisjoint(self._by_name)

    def first(self, name: str | bytes) -> bytes | None:
        """The raw value of the first field of that name, unfolded and stripped; None: no such field."""
        matches = self._by_name.get(_key(name))
        return unfold(matches[0][2]) if matches else None

    def last(self, name: str | bytes) -> bytes | None:
        """The same of the last one: the oldest, which a signature of the whole header covers."""
        matches = self._by_name.get(_key(name))
        return unfold(matches[-1][2]) if matches else None

    def all(self, name: str | bytes) -> list[bytes]:
        """The unfolded raw values of all fields of that name, in order."""
        return [unfold(match[2]) for match in self._by_name.get(_key(name), ())]

    def text(self, name: str | bytes) -> str | None:
        """The decoded value of the first field of that name."""
        value = self.first(name)
        return None if value is None else decode_value(value)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """(name as written, unfolded raw value) of each field, in order."""
        for match in self._found:
            yield match[1], unfold(match[2])

    def wholes(self) -> Iterator[tuple[bytes, bytes]]:
        """(name as written, the field as it stands, before its line end: a CR may be the last octet), in order."""
        for match in self._found:
            yield match[1], match[0]

    def spans(self, names: Collection[str | bytes]) -> list[tuple[int, int]]:
        """Where the fields of these names lie, whole lines with their line ends, in order."""
        wanted = [match for name in {_key(name) for name in names} for match in self._by_name.get(name, ())]
        raw, limit = self.raw, self.end
        found = []
        for match in wanted:
            end = match.end()
            found.append((match.start(), end + 1 if end < limit and raw[end] == 0x0A else end))
        found.sort()
        return found


@lru_cache(HEADER_NAMES_KEPT)
def _key(name: str | bytes) -> bytes:
    """A name as it is looked up; readers ask for the same few names again and again."""
    return name.lower() if isinstance(name, bytes) else name.lower().encode("utf-8", "surrogateescape")


def header_end(raw: bytes, start: int, end: int) -> int:
    """Offset behind the empty line that closes the header section, or `end` when there is none."""
    if raw.startswith((b"\r\n", b"\n"), start, end):
        return start + (2 if raw[start] == 0x0D else 1)
    found = _EMPTY_LINE.search(raw, start, end)
    return end if found is None else found.end()


def unfold(value: bytes) -> bytes:
    """A field's value on one line (RFC 5322 §2.2.3), without outer white space."""
    if len(value) > HEADER_VALUE:
        value = value[:HEADER_VALUE]
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(b" \t\r")


def decode_value(raw: bytes) -> str:
    """The text of an unfolded header value: RFC 2047 words decoded, 8-bit text read as UTF-8 or guessed."""
    return _decode_words(raw) if b"=?" in raw else _plain_text(raw)


def _plain_text(raw: bytes) -> str:
    return raw.decode("ascii") if raw.isascii() and JIS not in raw else decode_unlabelled(raw)


def _decode_words(raw: bytes) -> str:
    """Replace encoded words by what they stand for. (8-bit octets within one are in its charset too.)"""
    out: list[str] = []
    # Octets of neighbouring words of one charset: characters may be cut between them.
    pending: list[bytes] = []
    charset = b""
    position = 0
    for match in _ENCODED_WORD.finditer(raw):
        gap = raw[position : match.start()]
        # RFC 2047 §6.2: white space between neighbouring encoded words is not shown.
        joined = bool(pending) and (not gap or gap.isspace())
        if pending and not (joined and match[1].lower() == charset):
            out.append(decode(b"".join(pending), charset.decode("latin-1")))
            pending = []
        if not joined:
            out.append(_plain_text(gap))
        charset = match[1].lower()
        pending.append(_word_octets(match[2], match[3]))
        position = match.end()
    if pending:
        out.append(decode(b"".join(pending), charset.decode("latin-1")))
    out.append(_plain_text(raw[position:]))
    return "".join(out)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Qq":
        return binascii.a2b_qp(text, header=True)
    letters = _NOT_BASE64.sub(b"", text)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
