"""SMTP replies, both ways: ours are values that become octets, a server's lines become values.

RFC 5321 §4.2 gives the shape, RFC 2034 and 3463 the enhanced status code that stands before the text of every
2xx, 4xx and 5xx reply, RFC 5248 the registry of those codes. A reply never carries a control character, so
text from a peer can never begin a line of its own. Reading is bounded in lines and in octets.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from posthouse.errors import RemoteProtocolError
from posthouse.limits import SMTP_REPLY_LINE, SMTP_REPLY_LINES


class Reply(msgspec.Struct, frozen=True):
    """One reply. `text` may have several lines, parted by LF; each carries the codes (RFC 2034 §4)."""

    code: int
    enhanced: str
    """"2.1.0"; empty where none belongs: greeting, EHLO and HELO, 3xx (RFC 2034 §4)."""
    text: str
    utf8: bool = False
    """The peer takes text that is not ASCII (RFC 6531 §3.7.4.1: it asked for SMTPUTF8)."""

    @property
    def accepted(self) -> bool:
        """2xx: done."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """4xx: the same request may succeed later (RFC 5321 §4.2.1)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5xx: do not repeat it."""
        return self.code >= 500

    def encode(self) -> bytes:
        """The octets, CRLF-ended."""
        lines = self.text.split("\n")
        if len(lines) == 1:
            return self._line(lines[0], " ")
        parts = [self._line(line, "-") for line in lines[:-1]]
        parts.append(self._line(lines[-1], " "))
        return b"".join(parts)

    def _line(self, text: str, mark: str) -> bytes:
        if not text.isprintable():
            text = "".join(character if character.isprintable() else "?" for character in text)
        begin = f"{self.code}{mark}{self.enhanced} " if self.enhanced else f"{self.code}{mark}"
        # RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets with code and CRLF.
        if self.utf8:
            octets = (begin + text).encode("utf-8", "backslashreplace")[: SMTP_REPLY_LINE - 2]
            return octets.decode("utf-8", "ignore").encode() + b"\r\n"  # no character is cut in two
        return (begin + text).encode("ascii", "backslashreplace")[: SMTP_REPLY_LINE - 2] + b"\r\n"

    def cut(self, most: int) -> Reply:
        """The same with at most so many characters of text."""
        return self if len(self.text) <= most else msgspec.structs.replace(self, text=self.text[:most])

    def __str__(self) -> str:
        """One line for logs, timelines and DSN diagnostics."""
        codes = f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)
        return f"{codes} {self.text}".replace("\n", " / ").rstrip()


DAMAGED: Final = Reply(451, "4.3.0", "The message is damaged in the store here; it stays in the queue")
"""Of a message of ours whose octets are not those that were stored, or are gone."""


class CommandError(RemoteProtocolError):
    """A command that cannot be obeyed; `reply` tells the peer why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


# RFC 3463 §2: class "." subject "." detail; tolerated with anything, or nothing, behind it.
_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:[ \t]+|$)")


class ReplyReader:
    """Collects the lines of a server's replies. A line comes without its CRLF."""

    def __init__(self) -> None:
        self._code = 0
        self._lines: list[str] = []

    def receive_line(self, line: bytes) -> Reply | None:
        """A whole reply, or None while more of its lines must come.

        Raises RemoteProtocolError when the line is no reply line, its code differs from the lines before it
        (RFC 5321 §4.2.1), or the reply has too many lines.
        """
        # RFC 5321 §4.2: Reply-code = %x32-35 %x30-35 %x30-39; "-" continues; some servers end after the code.
        digits = line[:3]
        if len(digits) != 3 or not digits.isdigit() or not 200 <= int(digits) <= 599:
            raise RemoteProtocolError("the server sent something that is no SMTP reply")
        mark = line[3:4]
        if mark not in (b" ", b"-", b""):
            raise RemoteProtocolError("the server sent something that is no SMTP reply")
        code = int(digits)
        if self._lines and code != self._code:
            raise RemoteProtocolError("the server sent one reply with two codes")
        if len(self._lines) >= SMTP_REPLY_LINES:
            raise RemoteProtocolError("the server sent an endless reply")
        self._code = code
        self._lines.append(line[4:].decode("utf-8", "replace"))
        if mark == b"-":
            return None
        lines, self._lines = self._lines, []
        return _reply(code, lines)


def _reply(code: int, lines: list[str]) -> Reply:
    found = _ENHANCED.match(lines[0])
    if found is None or found[1] != str(code)[0]:
        return Reply(code, "", "\n".join(lines))
    enhanced = found[0].rstrip()
    # RFC 2034 §4: every line of the reply repeats the code.
    texts = [line[len(enhanced) :].lstrip() if line.startswith(enhanced) else line for line in lines]
    return Reply(code, enhanced, "\n".join(texts))
