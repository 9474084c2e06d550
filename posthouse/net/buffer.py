"""What a peer has sent and nobody has read yet: lines, counted octets and dot-stuffed text out of one buffer.

Pure: no event loop, no socket, no clock. While a reader keeps up, a chunk stays the very `bytes` object that
came from the socket; only what piles up is copied into a `bytearray`. An empty buffer holds no memory.
Dot-stuffed text ends at CR LF . CR LF and at nothing else (RFC 5321 §4.1.1.4), so no other server can see an
end where we see none; a CR or LF that stands alone is reported by `bare_cr_or_lf`.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

from posthouse.errors import RemoteProtocolError

END_OF_TEXT: Final = b"\r\n.\r\n"
ONLY_CRLF: Final = (None, "\r\n")


class LineTooLong(RemoteProtocolError):
    """A line is longer than its limit. Its rest is passed over, so the next line read is a whole one."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"line longer than {limit} octets")
        self.limit = limit


class BareLineFeed(RemoteProtocolError):
    """A line ended with LF alone. `line` is what stood before it, for protocols that forgive this."""

    def __init__(self, line: bytes) -> None:
        super().__init__("line ended by LF without CR")
        self.line = line


class ReceiveBuffer:
    """Octets received and not yet taken. Every `take_…` gives None when more must be fed first."""

    __slots__ = ("_at_line_start", "_data", "_newlines", "_passing_over", "_start", "bare_cr_or_lf")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._start = 0
        self._passing_over = False
        self._newlines: IncrementalNewlineDecoder | None = None
        self._at_line_start = True
        self.bare_cr_or_lf = False
        """The dotted text being taken, or the last one taken, has a CR or LF that is not part of a CR LF."""

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        rest = self._data
        if self._start == len(rest):
            self._data = data
            self._start = 0
            return
        if isinstance(rest, bytearray):
            del rest[: self._start]
        else:
            rest = self._data = bytearray(memoryview(rest)[self._start :])
        self._start = 0
        rest += data

    def clear(self) -> None:
        """Forget everything, also a half-taken text: what RFC 3207 §4.2 asks for at STARTTLS."""
        self._data = b""
        self._start = 0
        self._passing_over = False
        self._newlines = None

    def take_line(self, limit: int) -> bytes | None:
        """One line without its CR LF; `limit` counts octets with CR LF. Raises LineTooLong, BareLineFeed."""
        data, start = self._data, self._start
        end = data.find(b"\n", start)
        if self._passing_over:
            if end < 0:
                self._data, self._start = b"", 0
                return None
            self._passing_over = False
            self._cut(end + 1)
            return self.take_line(limit)
        if end < 0:
            if len(data) - start <= limit:
                return None
            self._passing_over = True
            self._data, self._start = b"", 0
            raise LineTooLong(limit)
        if end >= start + limit:
            self._cut(end + 1)
            raise LineTooLong(limit)
        line = self._cut(end + 1)
        if line[-2:] != b"\r\n":
            raise BareLineFeed(line[:-1])
        return line[:-2]

    def take_exactly(self, count: int) -> bytes | None:
        """The next `count` octets."""
        end = self._start + count
        return self._cut(end) if end <= len(self._data) else None

    def take_some(self, limit: int) -> bytes:
        """What is there, at most `limit` octets; empty when nothing is there."""
        return self._cut(min(self._start + limit, len(self._data)))

    def take_dotted(self) -> tuple[bytes, bool] | None:
        """The next piece of dot-stuffed text, dots removed, and whether it is the last (which may be empty).

        The final CR LF before the dot belongs to the text (RFC 5321 §4.5.2). A piece never ends inside a CR
        LF.
        """
        if self._newlines is None:
            self._newlines = IncrementalNewlineDecoder(None, False)
            self._at_line_start = True
            self.bare_cr_or_lf = False
        data = self._cut(len(self._data))
        if self._at_line_start and data[:1] == b".":
            if data[:3] == b".\r\n":
                return self._end_text(b"", data[3:])
            if b".\r\n".startswith(data):
                self._data = data
                return None
            data = data[1:]  # RFC 5321 §4.5.2: a dot at the start of a longer line is taken away
        # Most long texts are base64, without any dot: then there is no end to look for and no dot to remove.
        first = data.find(b"\r\n.") if b"." in data else -1
        if first >= 0 and (end := data.find(END_OF_TEXT, first)) >= 0:
            return self._end_text(data[: end + 2], data[end + 5 :])
        if unsure := _unsure(data):
            self._data = data[-unsure:]
            data = data[:-unsure]
        if not data:
            return None
        self._at_line_start = data.endswith(b"\r\n")
        self._check_newlines(data)
        return (data.replace(b"\r\n.", b"\r\n") if first >= 0 else data), False

    def _end_text(self, text: bytes, rest: bytes) -> tuple[bytes, bool]:
        self._data = rest
        self._check_newlines(text)
        self._newlines = None
        return text.replace(b"\r\n.", b"\r\n"), True

    def _check_newlines(self, text: bytes) -> None:
        # One pass in C, four times faster than counting CR, LF and CR LF.
        if self._newlines is not None:
            self._newlines.decode(text.decode("latin-1"))
            self.bare_cr_or_lf = self._newlines.newlines not in ONLY_CRLF

    def _cut(self, end: int) -> bytes:
        """Take the octets up to an offset."""
        data, start = self._data, self._start
        if end == len(data):
            self._data = b""
            self._start = 0
        else:
            self._start = end
        # bytes() of a bytes object is the object itself; a bytearray is copied once, through a view
        return data[start:end] if isinstance(data, bytes) else bytes(memoryview(data)[start:end])


def _unsure(data: bytes) -> int:
    """How many octets at the end may be the beginning of an end of text, or half a CR LF."""
    if data.endswith(b"\r"):
        return 2 if data.endswith(b"\r\n.\r") else 1
    return 1 if data.endswith(b"\r\n.") else 0
