"""A client that speaks a line protocol aloud: every line said and heard is shown as it goes over the wire."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Self

from posthouse import limits

Say = Callable[[str], None]


class Conversation:
    """One connection to a server of the playground; long answers are shown in part."""

    SHOWN = 12
    """Lines of one multi-line answer that are shown."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, say: Say) -> None:
        self._reader = reader
        self._writer = writer
        self._say = say

    @classmethod
    async def open(cls, address: str, port: int, say: Say, *, tls: bool = False) -> Self:
        """Connect; with `tls` from the first byte, trusting the playground's self-made certificates."""
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        say(f"   -- connect to {address}:{port}{' with TLS' if tls else ''}")
        async with asyncio.timeout(limits.PLAYGROUND_REPLY):
            reader, writer = await asyncio.open_connection(address, port, ssl=context)
        return cls(reader, writer, say)

    async def line(self, *, quiet: bool = False) -> str:
        """The next line from the server; empty at the end of the connection."""
        async with asyncio.timeout(limits.PLAYGROUND_REPLY):
            raw = await self._reader.readline()
        text = raw.decode(errors="replace").rstrip("\r\n")
        if not quiet:
            self._say(f"   S: {text}")
        return text

    def send(self, text: str, *, shown: str | None = None) -> None:
        """Say a line. `shown` stands in for it where it holds a password."""
        self._say(f"   C: {text if shown is None else shown}")
        self._writer.write(text.encode() + b"\r\n")

    async def smtp(self, text: str, *, shown: str | None = None) -> str:
        """An SMTP command and its whole reply; the last line is returned."""
        if text:
            self.send(text, shown=shown)
        while (line := await self.line())[3:4] == "-":
            pass
        return line

    async def pop3(self, text: str, *, multi: bool = False, shown: str | None = None) -> list[str]:
        """A POP3 command and its answer."""
        if text:
            self.send(text, shown=shown)
        lines = [await self.line()]
        if multi and lines[0].startswith("+OK"):
            await self._rest(lines, lambda line: line == ".")
        return lines

    async def imap(self, tag: str, text: str, *, shown: str | None = None) -> list[str]:
        """An IMAP command and its answer up to the tagged line."""
        self.send(f"{tag} {text}", shown=None if shown is None else f"{tag} {shown}")
        lines: list[str] = []
        await self._rest(lines, lambda line: line.startswith(f"{tag} "))
        return lines

    async def _rest(self, lines: list[str], is_last: Callable[[str], bool]) -> None:
        while True:
            line = await self.line(quiet=True)
            lines.append(line)
            last = is_last(line) or (not line and self._reader.at_eof())
            if len(lines) <= self.SHOWN or last:
                self._say(f"   S: {line}")
            elif len(lines) == self.SHOWN + 1:
                self._say("   S: …")
            if last:
                return

    def close(self) -> None:
        """Drop the connection."""
        self._writer.close()
