"""What a peer has sent and nobody has read yet: lines, counted octets and dot-stuffed text out of one buffer.

Pure: no event loop, no socket, no clock. What comes stays in the very `bytes` objects that came from the socket;
pieces are joined only where one value reaches over them, and small ones are gathered as they come, so that a
trickle costs no more memory than it has octets. An empty buffer holds no memory.
Dot-stuffed text ends at CR LF . CR LF and at nothing else (RFC 5321 §4.1.1.4), so no other server can see an
end where we see none; a CR or LF that stands alone is reported by `bare_cr_or_lf`.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

from posthouse.errors import RemoteProtocolError

END_OF_TEXT: Final = b"\r\n.\r\n"
ONLY_CRLF: Final = (None, "\r\n")
PIECE_OCTETS: Final = 4096
"""Smaller pieces are gathered into one: a `bytes` object and its place in a list take a hundred octets themselves."""


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

    __slots__ = (
        "_at_line_start",
        "_data",
        "_later",
        "_later_octets",
        "_newlines",
        "_passing_over",
        "_start",
        "bare_cr_or_lf",
    )

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        self._later: list[bytes | bytearray] = []
        """Pieces behind `_data`; there are none when `_data` is used up."""
        self._later_octets = 0
        self._passing_over = False
        self._newlines: IncrementalNewlineDecoder | None = None
        self._at_line_start = True
        self.bare_cr_or_lf = False
        """The dotted text being taken, or the last one taken, has a CR or LF that is not part of a CR LF."""

    def __len__(self) -> int:
        return len(self._data) - self._start + self._later_octets

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        if self._start == len(self._data):
            self._data = data
            self._start = 0
            return
        self._later_octets += len(data)
        later = self._later
        if len(data) >= PIECE_OCTETS:
            later.append(data)
        elif later and isinstance(last := later[-1], bytearray):
            last += data
        else:
            later.append(bytearray(data))

    def clear(self) -> None:
        """Forget everything, also a half-taken text: what RFC 3207 §4.2 asks for at STARTTLS."""
        self._drop()
        self._passing_over = False
        self._newlines = None

    def take_all(self) -> bytes:
        """Everything that is there, as it came."""
        if self._later:
            self._join()
        return self._cut(len(self._data))

    def take_line(self, limit: int) -> bytes | None:
        """One line without its CR LF; `limit` counts octets with CR LF. Raises LineTooLong, BareLineFeed."""
        end = self._data.find(b"\n", self._start)
        if end < 0 and self._later:
            self._join()
            end = self._data.find(b"\n")
        if self._passing_over:
            if end < 0:
                self._drop()
                return None
            self._passing_over = False
            self._cut(end + 1)
            return self.take_line(limit)
        if end < 0:
            if len(self) <= limit:
                return None
            self._passing_over = True
            self._drop()
            raise LineTooLong(limit)
        if end >= self._start + limit:
            self._cut(end + 1)
            raise LineTooLong(limit)
        line = self._cut(end + 1)
        if line[-2:] != b"\r\n":
            raise BareLineFeed(line[:-1])
        return line[:-2]

    def take_exactly(self, count: int) -> bytes | None:
        """The next `count` octets."""
        if len(self) < count:
            return None
        if self._start + count > len(self._data):
            self._join()
        return self._cut(self._start + count)

    def take_some(self, limit: int) -> bytes:
        """What is there in one piece, at most `limit` octets; empty only when nothing is there."""
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
        while data := self._cut(len(self._data)):
            if self._at_line_start and data[:1] == b".":
                while len(data) < 3 and self._data:
                    data += self._cut(len(self._data))
                if data[:3] == b".\r\n":
                    return self._end_text(b"", data[3:])
                if b".\r\n".startswith(data):
                    self._data = data
                    return None
                data = data[1:]  # RFC 5321 §4.5.2: a dot at the start of a longer line is taken away
            # A search for one octet is many times faster than one for three: most of a long text is base64 and
            # without any dot, so only what lies between the first and the last one is looked at closely.
            last = data.rfind(b".")
            dotted = data.find(b"\r\n.", max(data.find(b".") - 2, 0), last + 1) if last >= 0 else -1
            if dotted >= 0 and (end := data.find(END_OF_TEXT, dotted, last + 3)) >= 0:
                text, rest = data[: end + 2], data[end + 5 :]
                return self._end_text(text if dotted == end else text.replace(b"\r\n.", b"\r\n"), rest)
            more = bool(self._data)
            if unsure := _unsure(data):
                self._put_back(data[-unsure:])
                data = data[:-unsure]
            if data:
                self._at_line_start = data.endswith(b"\r\n")
                self._check_newlines(data)
                return (data.replace(b"\r\n.", b"\r\n") if dotted >= 0 else data), False
            if not more:
                break
        return None

    def _end_text(self, text: bytes, rest: bytes) -> tuple[bytes, bool]:
        self._put_back(rest)
        self._check_newlines(text)
        self._newlines = None
        return text, True

    def _check_newlines(self, text: bytes) -> None:
        # One pass in C, four times faster than counting CR, LF and CR LF.
        if self._newlines is not None:
            self._newlines.decode(text.decode("latin-1"))
            self.bare_cr_or_lf = self._newlines.newlines not in ONLY_CRLF

    # --- pieces ------------------------------------------------------------------------------------

    def _cut(self, end: int) -> bytes:
        """Take the octets of the first piece up to an offset."""
        data, start = self._data, self._start
        if end < len(data):
            self._start = end
            return data[start:end]
        self._start = 0
        if self._later:
            piece = self._later.pop(0)
            self._later_octets -= len(piece)
            self._data = bytes(piece)  # of a bytes object that is the object itself
        else:
            self._data = b""
        return data[start:] if start else data

    def _put_back(self, rest: bytes) -> None:
        """Octets that were taken with the last piece and come next."""
        if rest:
            self._data = rest + self._data[self._start :]
            self._start = 0

    def _join(self) -> None:
        """Make one piece of all."""
        self._data = b"".join((self._data[self._start :], *self._later))
        self._start = self._later_octets = 0
        self._later.clear()

    def _drop(self) -> None:
        self._data = b""
        self._start = self._later_octets = 0
        self._later.clear()


def _unsure(data: bytes) -> int:
    """How many octets at the end may be the beginning of an end of text, or half a CR LF."""
    if data.endswith(b"\r"):
        return 2 if data.endswith(b"\r\n.\r") else 1
    return 1 if data.endswith(b"\r\n.") else 0
