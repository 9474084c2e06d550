"""Message text as POP3 sends it (RFC 1939 §3): dots doubled, ended by a dot alone; and cut short for TOP.

Pure, on chunks of any size. Stored messages are sent octet by octet as they are, so that sizes are true; a
dot behind a bare LF is doubled too, because some readers take that for a line.
"""

from __future__ import annotations

import re
from typing import Final

from posthouse.pop3.core import END

_HEADER_END: Final = re.compile(rb"\n\r?\n")


def stuff(message: bytes) -> bytes:
    """A whole message with its end."""
    text = message.replace(b"\n.", b"\n..")
    if text.startswith(b"."):
        text = b"." + text
    return text + (END if text.endswith(b"\r\n") or not text else b"\r\n" + END)


class Stuffer:
    """The same for a message that comes in chunks."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def take(self, chunk: bytes) -> bytes:
        """The next octets."""
        if not chunk:
            return b""
        text = chunk.replace(b"\n.", b"\n..")
        if text.startswith(b".") and self._last.endswith(b"\n"):
            text = b"." + text
        self._last = (self._last + chunk[-2:])[-2:]
        return text

    def end(self) -> bytes:
        """What ends the reply."""
        return END if self._last == b"\r\n" else b"\r\n" + END


class Top:
    """The header of a message, the empty line, and so many lines of its body (RFC 1939 §7)."""

    __slots__ = ("_before", "_in_header", "_left", "done")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._in_header = True
        self._before = b"\n"
        """The last octets before the chunk, in which the header's end may begin."""
        self.done = False
        """Nothing more is wanted."""

    def take(self, chunk: bytes) -> bytes:
        """What is wanted of the next octets."""
        body = 0
        if self._in_header:
            window = self._before + chunk
            end = _HEADER_END.search(window)
            if end is None:
                self._before = window[-2:]
                return chunk
            self._in_header = False
            body = end.end() - len(self._before)
        lines = chunk.count(b"\n", body)
        if lines < self._left:
            self._left -= lines
            return chunk
        self.done = True
        rest = chunk[body:].split(b"\n", self._left)[-1]
        return chunk[: len(chunk) - len(rest)]
