"""A header section that filters change: fields added, inserted, changed, removed; all others stay octet for octet.

Filters see a folded value with LF and give theirs so; here lines end with CR LF. A value that they give can neither
end the header nor begin a field of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Self

import msgspec

from posthouse.message.headers import Headers
from posthouse.milter.answers import AddHeader, ChangeHeader, InsertHeader

HeaderChange = AddHeader | InsertHeader | ChangeHeader
_CRLF: Final = b"\r\n"


class _Line(msgspec.Struct, frozen=True):
    """A field, or what stands between fields and is none."""

    name: bytes
    """Lower case; empty: no field."""
    octets: bytes
    """With the line end."""


class Section:
    """The fields of one message, in order."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines

    @classmethod
    def read(cls, raw: bytes, headers: Headers) -> Self:
        """The section that was found in `raw`, without the empty line that ends it."""
        lines, position = [], headers.start
        for one in headers:
            if one.start > position:
                lines.append(_Line(b"", raw[position : one.start]))
            position = one.end + 1 if raw[one.end : one.end + 1] == b"\n" else one.end
            lines.append(_Line(one.name.lower(), raw[one.start : position]))
        rest = raw[position : headers.end]
        for end in (_CRLF, b"\n"):
            if rest.endswith(end):
                rest = rest.removesuffix(end)
                break
        if rest:
            lines.append(_Line(b"", rest))
        return cls(lines)

    def fields(self, *, leading_space: bool) -> Iterator[tuple[bytes, bytes]]:
        """(name, value) as a filter is shown them. `leading_space`: with what stands behind the colon."""
        for one in self._lines:
            if one.name:
                name, _, value = one.octets.partition(b":")
                value = value.removesuffix(b"\n").removesuffix(b"\r").replace(_CRLF, b"\n")
                yield name.rstrip(), value if leading_space else value.removeprefix(b" ")

    def copy(self) -> Self:
        """The same, to be changed alone."""
        return type(self)(list(self._lines))

    def count(self, name: bytes) -> int:
        """Fields of that name (lower case)."""
        return sum(one.name == name for one in self._lines)

    @property
    def fields_in_all(self) -> int:
        """How many there are."""
        return sum(bool(one.name) for one in self._lines)

    def put_first(self, fields: bytes) -> None:
        """Fields of ours, on top."""
        headers = Headers.scan(fields + _CRLF)
        self._lines[:0] = Section.read(headers.raw, headers)._lines

    def change(self, change: HeaderChange, *, leading_space: bool) -> None:
        """Do what a filter wants."""
        new = _made(change.name, change.value, leading_space=leading_space)
        if isinstance(change, AddHeader):
            self._append(new)
        elif isinstance(change, InsertHeader):
            places = [place for place, one in enumerate(self._lines) if one.name]
            at = max(change.index, 1) - 1
            if at < len(places):
                self._lines.insert(places[at], new)
            else:
                self._append(new)
        else:
            self._change(change, new)

    def _change(self, change: ChangeHeader, new: _Line) -> None:
        places = [place for place, one in enumerate(self._lines) if one.name == new.name]
        at = max(change.index, 1) - 1
        if at < len(places):
            self._lines[places[at] : places[at] + 1] = [new] if change.value else []
        elif change.value:  # what is not there is added, as Sendmail does
            self._append(new)

    def _append(self, new: _Line) -> None:
        if self._lines and not self._lines[-1].octets.endswith(b"\n"):
            last = self._lines[-1]
            self._lines[-1] = _Line(last.name, last.octets + _CRLF)
        self._lines.append(new)

    def encode(self) -> bytes:
        """The section with the empty line that ends it."""
        octets = b"".join(one.octets for one in self._lines)
        return octets + (_CRLF if not octets or octets.endswith(b"\n") else _CRLF + _CRLF)


def _made(name: bytes, value: bytes, *, leading_space: bool) -> _Line:
    # RFC 5322 §2.2.3: a folded line goes on behind white space, and no line of a field is empty.
    first, *others = value.replace(b"\r", b"").split(b"\n")
    folded = [one if one[:1] in (b" ", b"\t") else b"\t" + one for one in others if one.strip()]
    between = b"" if leading_space else b" "
    return _Line(name.lower(), name + b":" + between + _CRLF.join([first, *folded]) + _CRLF)
