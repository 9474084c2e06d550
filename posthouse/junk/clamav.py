"""Asking ClamAV's daemon about a message: INSTREAM over TCP or a Unix socket (clamd's manual).

    zINSTREAM\\0  (length, octets)…  (0)   →   stream: OK\\0 | stream: NAME FOUND\\0 | … ERROR\\0

Whoever configures a virus scanner means it: when it cannot be asked the message is put off, not let in unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from posthouse.errors import Temporary
from posthouse.limits import CLAMAV_ANSWER, CLAMAV_CHUNK, CLAMAV_TIMEOUT
from posthouse.store.model import Content


class Scanned(msgspec.Struct, frozen=True):
    """What the scanner said."""

    virus: str
    """Its name; empty: none found."""


class ClamAv:
    """A client of clamd. `place`: "unix:PATH" or "host:port"."""

    def __init__(self, place: str, timeout: float = CLAMAV_TIMEOUT) -> None:
        self._place = place
        self._timeout = timeout

    async def scan(self, content: Content) -> Scanned:
        """Ask. Raises Temporary when the daemon cannot say."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._ask(content)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as fault:
            raise Temporary("the virus scanner cannot be asked now, try again later") from fault
        text = answer.rstrip(b"\0\n").decode("ascii", "replace")
        if text.endswith(" FOUND"):
            return Scanned(text.removesuffix(" FOUND").partition(": ")[2] or "unnamed")
        if text.endswith("OK"):
            return Scanned("")
        raise Temporary("the virus scanner cannot read this now, try again later")

    async def _ask(self, content: Content) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(b"zINSTREAM\0")
            async for block in _blocks(content):
                writer.write(len(block).to_bytes(4, "big") + block)
                try:
                    await writer.drain()
                except ConnectionError:
                    break  # it has heard enough (its StreamMaxLength): the answer says so
            if not writer.is_closing():
                writer.write(bytes(4))
            return (await reader.read(CLAMAV_ANSWER)) or b"no answer ERROR"
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._place.startswith("unix:"):
            return await asyncio.open_unix_connection(self._place.removeprefix("unix:"))
        host, _, port = self._place.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


async def _blocks(content: Content) -> AsyncIterator[bytes]:
    """The octets in pieces; those of a staged message are read in a thread."""
    blocks = content.blocks(CLAMAV_CHUNK)
    while block := (
        next(blocks, b"") if content.path is None else await asyncio.to_thread(next, blocks, b"")
    ):
        for start in range(0, len(block), CLAMAV_CHUNK):
            yield block[start : start + CLAMAV_CHUNK]
