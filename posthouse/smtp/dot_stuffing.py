"""The text of a message as DATA sends it: dots doubled at line starts, ended by a dot alone (RFC 5321 §4.5.2).

Works on chunks of any size with whole-chunk searches only. A CR or LF that stands alone is sent as a whole line
end: RFC 5321 §2.3.8 forbids sending it, and receivers that take it for a line end could be made to see another
message (smuggling).
"""

from __future__ import annotations

import re
from typing import Final

_ANY_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class DotStuffer:
    """Encodes one message."""

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""
        """A CR at the end of a chunk: whether it is half of a line end is seen in the next one."""

    def encode(self, chunk: bytes) -> bytes:
        """The next octets of the message as they are sent."""
        if self._held:
            chunk = self._held + chunk
            self._held = b""
        if chunk.endswith(b"\r"):
            chunk, self._held = chunk[:-1], b"\r"
        return self._stuff(chunk) if chunk else b""

    def end(self) -> bytes:
        """What ends the message."""
        rest = self._stuff(self._held) if self._held else b""
        # RFC 5321 §4.1.1.4: the line before the final dot must end; its CRLF belongs to the message.
        return rest + (b".\r\n" if self._at_line_start else b"\r\n.\r\n")

    def _stuff(self, data: bytes) -> bytes:
        pairs = data.count(b"\r\n")
        if data.count(b"\n") != pairs or data.count(b"\r") != pairs:
            data = _ANY_LINE_END.sub(b"\r\n", data)
        begins_with_dot = self._at_line_start and data.startswith(b".")
        self._at_line_start = data.endswith(b"\r\n")
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        return b"." + stuffed if begins_with_dot else stuffed
