"""One DNS packet out, one answer back: UDP first, TCP when the answer was cut short (RFC 7766 §5).

Each question has a socket of its own, connected to its server, so the kernel drops what others send and a
closed port is heard at once. Nothing here knows what is asked: the caller's `accept` says which packet is the
answer. Waits are bounded by the caller's deadline, stray packets by DNS_STRAY_PACKETS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from posthouse import limits
from posthouse.name_servers import NameServer

M = TypeVar("M")


class _Datagram(asyncio.DatagramProtocol, Generic[M]):
    """Waits for the one datagram that is the answer."""

    def __init__(self, accept: Callable[[bytes], M | None]) -> None:
        self.answer: asyncio.Future[M] = asyncio.get_running_loop().create_future()
        self._accept = accept
        self._strays = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.answer.done():
            return
        found = self._accept(data)
        if found is not None:
            self.answer.set_result(found)
            return
        self._strays += 1
        if self._strays > limits.DNS_STRAY_PACKETS:
            self.answer.set_exception(OSError("too many packets that answer another question"))

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or OSError("closed"))


class _Stream(asyncio.Protocol, Generic[M]):
    """Sends one packet with its length before it, and waits for one such packet (RFC 1035 §4.2.2)."""

    def __init__(self, query: bytes, accept: Callable[[bytes], M | None]) -> None:
        self.answer: asyncio.Future[M] = asyncio.get_running_loop().create_future()
        self._query = query
        self._accept = accept
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(len(self._query).to_bytes(2, "big") + self._query)

    def data_received(self, data: bytes) -> None:
        if self.answer.done():
            return
        self._got += data
        # The length has two octets, so at most 64 KB are ever waited for.
        size = int.from_bytes(self._got[:2], "big") + 2
        if len(self._got) < 2 or len(self._got) < size:
            return
        found = self._accept(bytes(self._got[2:size]))
        if found is None:
            self.answer.set_exception(OSError("the answer belongs to another question"))
        else:
            self.answer.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or OSError("the name server closed the connection"))


async def ask_by_udp(server: NameServer, query: bytes, accept: Callable[[bytes], M | None]) -> M:
    """The answer by UDP. Raises OSError; the caller bounds the time."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagram(accept), remote_addr=(server.address, server.port)
    )
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        _forget(protocol.answer)
        transport.close()


async def ask_by_tcp(server: NameServer, query: bytes, accept: Callable[[bytes], M | None]) -> M:
    """The answer by TCP. Raises OSError; the caller bounds the time."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: _Stream(query, accept), server.address, server.port
    )
    try:
        return await protocol.answer
    finally:
        _forget(protocol.answer)
        transport.abort()


def _forget(answer: asyncio.Future[M]) -> None:
    """Nobody waits any more: what still comes must not be reported as an exception never looked at."""
    if not answer.done():
        answer.cancel()
