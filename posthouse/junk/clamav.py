"""Asking ClamAV's daemon about a message: INSTREAM over TCP or a Unix socket (clamd's manual).

    zINSTREAM\\0  (length, octets)…  (0)   →   stream: OK\\0 | stream: NAME FOUND\\0 | … ERROR\\0

Whoever configures a virus scanner means it: when it cannot be asked the message is put off, not let in unseen, and one
that is larger than the daemon reads (its StreamMaxLength) is refused for good, since coming again would not help.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from posthouse.errors import Permanent, Temporary
from posthouse.limits import CLAMAV_ANSWER, CLAMAV_CHUNK, CLAMAV_TIMEOUT
from posthouse.store.model import Content


class Scanned(msgspec.Struct, frozen=True):
    """What the scanner said."""

    virus: str
    """Its name; empty: none found."""


class ClamAv:
    """A client of clamd. `place`: "unix:PATH" or "host:port"."""

    def __init__(self, place: str) -> None:
        self._place = place

    async def scan(self, content: Content) -> Scanned:
        """Ask. Raises Temporary when the daemon cannot say, Permanent when the message is too large for it."""
        try:
            async with asyncio.timeout(CLAMAV_TIMEOUT):
                answer = await self._ask(content)
        except (OSError, TimeoutError) as fault:
            raise Temporary("the virus scanner cannot be asked now, try again later") from fault
        text = answer.rstrip(b"\0\n").decode("ascii", "replace")
        if text.endswith(" FOUND"):
            return Scanned(text.removesuffix(" FOUND").partition(": ")[2] or "unnamed")
        if text.endswith("OK"):
            return Scanned("")
        if "size limit exceeded" in text:
            raise Permanent("The message is larger than the virus scanner here reads")
        raise Temporary("the virus scanner cannot read this now, try again later")

    async def _ask(self, content: Content) -> bytes:
        loop = asyncio.get_running_loop()
        # A plain socket: a transport would throw away the answer of a daemon that has heard enough and closed.
        connection = await self._connect(loop)
        try:
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connection, b"zINSTREAM\0")
                async for block in _blocks(content):
                    await loop.sock_sendall(connection, len(block).to_bytes(4, "big") + block)
                await loop.sock_sendall(connection, bytes(4))
            answer = b""
            while len(answer) < CLAMAV_ANSWER and not answer.endswith(b"\0"):
                piece = await loop.sock_recv(connection, CLAMAV_ANSWER)
                if not piece:
                    break
                answer += piece
            return answer
        finally:
            connection.close()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if self._place.startswith("unix:"):
            return await _connected(loop, socket.AF_UNIX, self._place.removeprefix("unix:"))
        host, _, port = self._place.rpartition(":")
        places = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        for kind, _, _, _, where in places[:-1]:
            with contextlib.suppress(OSError):
                return await _connected(loop, kind, where)
        return await _connected(loop, places[-1][0], places[-1][4])


async def _connected(loop: asyncio.AbstractEventLoop, kind: int, where: Any) -> socket.socket:
    connection = socket.socket(kind, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await loop.sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _blocks(content: Content) -> AsyncIterator[bytes]:
    """The octets in pieces; those of a staged message are read in a thread."""
    blocks = content.blocks(CLAMAV_CHUNK)
    while block := (
        next(blocks, b"") if content.path is None else await asyncio.to_thread(next, blocks, b"")
    ):
        for start in range(0, len(block), CLAMAV_CHUNK):
            yield block[start : start + CLAMAV_CHUNK]
