"""One connection for every protocol, both roles: own buffer, backpressure both ways, time limits.

A Protocol of our own on any event loop (uvloop in service), no streams. Reads that find their data buffered
return without suspending. Reading stops above READ_HIGH_WATER; `drain` waits above WRITE_HIGH_WATER. A read
waits at most the idle limit (for a whole line: since the read began, so a drip does not help), a transfer
must also keep TRANSFER_RATE, and everything ends at the total limit. One task reads and one writes; they may
be two. Compression (`start_deflate`) stands below, between this and the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from posthouse.errors import LocalProtocolError
from posthouse.limits import DEFLATE_END, TRANSFER_GRACE, TRANSFER_RATE
from posthouse.net.buffer import BareLineFeed, LineTooLong
from posthouse.net.deflate_layer import DeflateLayer
from posthouse.net.endpoint import Endpoint
from posthouse.net.faults import (
    BadlyCompressed,
    ConnectionClosed,
    ConnectionFault,
    IdleTimeout,
    SentAway,
    ShuttingDown,
    TlsFailed,
    TooSlow,
    TotalTimeout,
    WriteTimeout,
)
from posthouse.net.timers import NEVER
from posthouse.net.tls import TlsInfo, peer_chain
from posthouse.net.wire import ANY, Wire

__all__ = [
    "BadlyCompressed",
    "BareLineFeed",
    "Connection",
    "ConnectionClosed",
    "ConnectionFault",
    "Endpoint",
    "IdleTimeout",
    "LineTooLong",
    "SentAway",
    "ShuttingDown",
    "TlsFailed",
    "TlsInfo",
    "TooSlow",
    "TotalTimeout",
    "WriteTimeout",
]


class Transfer:
    """The budget of one transfer: seconds waited for the peer against octets received."""

    __slots__ = ("octets", "waited")

    def __init__(self) -> None:
        self.octets = 0
        self.waited = 0.0


class Connection(Wire):
    """A connection in either role. Reads raise ConnectionFault and its kinds (`net.faults`)."""

    __slots__ = ()

    # --- time limits -------------------------------------------------------------------------------

    def set_idle_timeout(self, seconds: float | None) -> None:
        """How long reads that begin from now on wait for the peer (a line: for its end). None: for ever."""
        self._idle = NEVER if seconds is None else seconds

    def set_total_timeout(self, seconds: float | None) -> None:
        """When, from now, reads end whatever comes; holds until set again. None: never."""
        self._total_at = NEVER if seconds is None else self._loop.time() + seconds

    def set_write_timeout(self, seconds: float) -> None:
        """In how long the peer must read enough (at TRANSFER_RATE) while `drain` waits. WRITE_TIMEOUT at first."""
        self._patience = seconds

    def peer_chain(self) -> list[bytes]:
        """The certificates that the peer showed (DER), its own first; nobody has verified them. Empty without TLS."""
        found = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        return peer_chain(found) if found is not None else []

    # --- compression --------------------------------------------------------------------------------

    def start_deflate(self, may_end: Callable[[bytes], bool] | None = None) -> None:
        """From here on both sides send raw DEFLATE (RFC 1951). Write the go-ahead before.

        What is buffered came behind the request: it is compressed already. `may_end` knows a line, at the end of
        what is inflated, behind which the peer may compress no more.
        """
        if self._transport is None:
            raise self._fault or ConnectionClosed("connection closed")
        if self.deflated:
            raise LocalProtocolError("compressed already")
        received = self._buffer.take_all()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        layer = DeflateLayer(self, self._transport, writable=self._writable, may_end=may_end)
        self._transport = layer
        if received:
            layer.data_received(received)

    async def stop_deflate(self) -> None:
        """From here on nothing is compressed. What the peer sent behind its last line is clear text already.

        Raises BadlyCompressed when it cannot be told where that begins.
        """
        await self.drain()
        layer = self._transport
        if not isinstance(layer, DeflateLayer):
            raise self._fault or LocalProtocolError("not compressed")
        # The last line may be here before the last octets of its flush are. (Of other flushes there are none.)
        for _ in range(10):
            if layer.may_be_taken_out:
                break
            await asyncio.sleep(DEFLATE_END / 10)
        below, received = layer.take_out(len(self._buffer))
        if self._fault is layer.fault:
            self._fault = None
        self._buffer.clear()
        self._transport = below
        self._paused = False
        below.set_protocol(self)
        below.resume_reading()
        if received:
            self.data_received(received)

    # --- reading ---------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """Octets received and not yet read."""
        return len(self._buffer)

    @property
    def bare_cr_or_lf(self) -> bool:
        """Whether the last dotted text had a CR or LF outside a CR LF (RFC 5321 §2.3.8)."""
        return self._buffer.bare_cr_or_lf

    def take_line(self, limit: int) -> bytes | None:
        """One line as `read_line` gives it when it is wholly here, else None: nothing is waited for."""
        return self._buffer.take_line(limit)

    async def read_line(self, limit: int) -> bytes:
        """One line without CR LF; `limit` counts them.

        LineTooLong and BareLineFeed leave the next line readable.
        """
        line = self._buffer.take_line(limit)
        if line is None:
            deadline = self._loop.time() + self._idle
            while line is None:
                await self._more(limit, deadline, IdleTimeout)
                line = self._buffer.take_line(limit)
        return line

    async def read_exactly(self, count: int) -> bytes:
        """Exactly `count` octets as one value: for what the caller has bounded. Larger things: `octets`."""
        data = self._buffer.take_exactly(count)
        if data is None:
            transfer = Transfer()
            while data is None:
                await self._receive(transfer)
                data = self._buffer.take_exactly(count)
        return data

    async def read_some(self, limit: int) -> bytes:
        """At least one octet, at most `limit`."""
        if not self._buffer:
            await self._receive(Transfer())
        return self._buffer.take_some(limit)

    async def octets(self, count: int) -> AsyncIterator[bytes]:
        """Exactly `count` octets in the pieces they come in."""
        transfer = Transfer()
        while count:
            if not self._buffer:
                await self._receive(transfer)
            piece = self._buffer.take_some(count)
            count -= len(piece)
            yield piece

    async def dotted(self) -> AsyncIterator[bytes]:
        """Dot-stuffed text to its end, dots removed, in the pieces it comes in.

        Read it to the end, or close.
        """
        transfer = Transfer()
        end = False
        while not end:
            piece = self._buffer.take_dotted()
            if piece is None:
                await self._receive(transfer)
                continue
            text, end = piece
            if text:
                yield text

    async def _receive(self, transfer: Transfer) -> None:
        """Wait for any octets, within the idle limit and the transfer's budget."""
        before, began = len(self._buffer), self._loop.time()
        left = TRANSFER_GRACE + transfer.octets / TRANSFER_RATE - transfer.waited
        if left < self._idle:
            await self._more(ANY, began + left, TooSlow)
        else:
            await self._more(ANY, began + self._idle, IdleTimeout)
        transfer.waited += self._loop.time() - began
        transfer.octets += len(self._buffer) - before

    # --- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send octets, in order. Once the connection is gone this does nothing.

        The next read or drain tells.
        """
        if self._transport is not None and not self._closing:
            self._transport.write(data)

    def writelines(self, parts: Sequence[bytes]) -> None:
        """Send several pieces in order without joining them here."""
        if self._transport is not None and not self._closing:
            self._transport.writelines(parts)

    async def drain(self) -> None:
        """Wait while more than WRITE_HIGH_WATER is unsent. Raises WriteTimeout, ConnectionClosed."""
        if self._transport is None:
            raise self._fault or ConnectionClosed("connection closed")
        if self._writable:
            return
        if self._drainer is not None and not self._drainer.done():
            raise LocalProtocolError("two drains at once")
        self._drainer = self._loop.create_future()
        self._unsent = self._transport.get_write_buffer_size()
        self._write_deadline = self._loop.time() + self._patience
        self._wheel.look_at(self, self._write_deadline)
        await self._drainer
