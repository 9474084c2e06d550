"""The other side: a filter that answers by a script, over a real socket, and remembers what it was told.

Written from the protocol, not from the client's code, so that both can be wrong only on their own.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

HANG = b"hang"
CLOSE = b"close"
ALL_ACTIONS, NO_STEPS = 0x1FF, 0
SILENT = b"DAQ"
"""Commands that no filter answers."""


def say(code: str, data: bytes = b"") -> bytes:
    """One packet of the filter's."""
    return struct.pack(">I", len(data) + 1) + code.encode() + data


def header(code: str, name: str, value: str, index: int | None = None) -> bytes:
    """h, i or m: with an index where there is one."""
    front = struct.pack(">I", index) if index is not None else b""
    return say(code, front + name.encode() + b"\0" + value.encode() + b"\0")


GO_ON = say("c")


class Scripted:
    """One filter. `heard`: (letter, data) of each packet, of all connections in order."""

    def __init__(
        self,
        answers: Mapping[str, bytes | list[bytes]] | None = None,
        *,
        version: int = 6,
        actions: int = ALL_ACTIONS,
        steps: int = NO_STEPS,
        macros: bytes = b"",
        silent: str = "",
    ) -> None:
        """`answers`: by the letter of the command, or one after another; HANG and CLOSE do what they say.

        `silent`: letters of commands that it does not answer, besides those that nobody answers.
        """
        self.answers = dict(answers or {})
        self._silent = SILENT + silent.encode()
        self.negotiation = say("O", struct.pack(">III", version, actions, steps) + macros)
        self.heard: list[tuple[str, bytes]] = []
        self.before_hanging = b""
        self.by_octets = False
        """Each octet of an answer goes alone."""
        self.delay = 0.0
        """Seconds before the answer at the end of a body."""
        self.connections = 0
        self.open = 0
        self.most_open = 0

    @asynccontextmanager
    async def serving(self, path: Path | None = None) -> AsyncIterator[str]:
        """Serve; gives the place as the configuration writes it."""
        if path is not None:
            server = await asyncio.start_unix_server(self._serve, path)
            place = f"unix:{path}"
        else:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            place = f"inet:127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield place
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                body = await reader.readexactly(length)
                code, data = body[:1].decode(), body[1:]
                self.heard.append((code, data))
                if code == "Q" or not await self._answer(code, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, code: str, writer: asyncio.StreamWriter) -> bool:
        if code == "O":
            await self._say(self.negotiation, writer)
            return True
        answer = self.answers.get(code, GO_ON)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else GO_ON
        if code == "E":
            await asyncio.sleep(self.delay)
        if answer == HANG:
            for _ in range(100):
                writer.write(self.before_hanging)
                await asyncio.sleep(0.1)
            return False
        if answer.endswith(CLOSE):
            writer.write(answer.removesuffix(CLOSE))
            return False
        if code.encode() not in self._silent:
            await self._say(answer, writer)
        return True

    async def _say(self, octets: bytes, writer: asyncio.StreamWriter) -> None:
        for each in [octets[at : at + 1] for at in range(len(octets))] if self.by_octets else [octets]:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)

    # --- what it was told -----------------------------------------------------------------------------

    @property
    def letters(self) -> str:
        """The commands in order, without macros."""
        return "".join(code for code, _ in self.heard if code != "D")

    def told(self, letter: str) -> list[bytes]:
        """The data of all commands of that letter."""
        return [data for code, data in self.heard if code == letter]

    @property
    def fields(self) -> dict[str, str]:
        """Header fields by name; the last of each."""
        pairs = (data.decode("utf-8", "replace").split("\0")[:2] for data in self.told("L"))
        return {words[0]: words[1] for words in pairs}

    @property
    def body(self) -> bytes:
        """The body's pieces together."""
        return b"".join(self.told("B"))

    def macros(self, stage: str) -> dict[str, str]:
        """The macros that came with a stage."""
        found: dict[str, str] = {}
        for data in self.told("D"):
            if data[:1].decode() == stage:
                words = data[1:].decode().split("\0")
                found |= dict(zip(words[::2], words[1::2], strict=False))
        return found
