"""The lower half of a connection: sockets, TLS, what the event loop tells us, time limits, the end.

`net.connection` adds reading and writing for protocols; nothing else uses this. Only public interfaces of the
event loop are used, so the stock loop serves as well as uvloop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Self, cast

from posthouse.errors import LocalProtocolError
from posthouse.limits import (
    CLOSE_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    READ_HIGH_WATER,
    SENT_AWAY_TIME,
    TRANSFER_RATE,
    WRITE_HIGH_WATER,
    WRITE_TIMEOUT,
)
from posthouse.net.buffer import ReceiveBuffer
from posthouse.net.deflate_layer import DeflateLayer
from posthouse.net.endpoint import NOWHERE, Endpoint, endpoint_of
from posthouse.net.faults import (
    ConnectionClosed,
    ConnectionFault,
    IdleTimeout,
    SentAway,
    ShuttingDown,
    TlsFailed,
    TotalTimeout,
    WriteTimeout,
)
from posthouse.net.timers import NEVER, TimerWheel
from posthouse.net.tls import ServerContext, TlsInfo, tls_info

ANY: Final = -1
"""In place of a line's limit: wake the reader for any octet."""


class Wire(asyncio.Protocol):
    """A transport with one waiting reader, one waiting writer and their deadlines."""

    __slots__ = (
        "_buffer",
        "_closed",
        "_closing",
        "_deadline",
        "_drainer",
        "_fault",
        "_idle",
        "_line_limit",
        "_loop",
        "_on_lost",
        "_overdue",
        "_patience",
        "_paused",
        "_reader",
        "_total_at",
        "_transport",
        "_unsent",
        "_wheel",
        "_writable",
        "_write_deadline",
        "counted",
        "local",
        "peer",
        "regard",
        "server_end_point",
        "session_id",
        "slot",
        "tls",
    )

    exporter: Final[bytes | None] = None
    """`tls-exporter` channel binding (RFC 9266): Python's ssl module has no way to obtain it."""

    def __init__(self, session_id: str, on_lost: Callable[[Any], None] | None = None) -> None:
        """`on_lost` is called once, when the connection is gone."""
        self._loop = asyncio.get_running_loop()
        self._wheel = TimerWheel.of(self._loop)
        self._buffer = ReceiveBuffer()
        self._transport: asyncio.Transport | None = None
        self._on_lost = on_lost
        self._reader: asyncio.Future[None] | None = None
        self._drainer: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._fault: ConnectionFault | None = None
        self._line_limit = ANY
        self._idle = NEVER
        self._total_at = NEVER
        self._deadline = NEVER
        self._overdue: type[ConnectionFault] = IdleTimeout
        self._write_deadline = NEVER
        self._patience = WRITE_TIMEOUT
        self._unsent = 0
        self._paused = False
        self._writable = True
        self._closing = False
        self.slot = 0
        self.session_id = session_id
        self.peer = self.counted = NOWHERE
        """Who is talking, and as whom the listener's gate counts it."""
        self.regard: Callable[[Endpoint], bool] | None = None
        """Of a host that may tell whose connection it hands on: counts it as that one's. False: it has too many."""
        self.local = NOWHERE
        self.tls: TlsInfo | None = None
        self.server_end_point: bytes | None = None

    # --- opening ---------------------------------------------------------------------------------

    @classmethod
    async def connect(
        cls, address: str, port: int, *, source: str | None = None, timeout: float, session_id: str
    ) -> Self:
        """Connect to an IP address, from `source` if given. Raises OSError (TimeoutError is one)."""
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        async with asyncio.timeout(timeout):
            _, connection = await loop.create_connection(
                lambda: cls(session_id), address, port, local_addr=local
            )
        return connection

    async def accept(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Server side of a fresh socket, with TLS from its first octet if given.

        Raises OSError, TlsFailed.
        """
        if context is None:
            await self._loop.connect_accepted_socket(self._self, sock)
            return
        try:
            await self._loop.connect_accepted_socket(
                self._self,
                sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=CLOSE_TIMEOUT,
            )
        except (OSError, EOFError) as error:
            raise TlsFailed(f"TLS handshake failed: {error}") from error
        self._bind_channel(context)

    def _self(self) -> Self:
        return self

    def _bind_channel(self, context: ssl.SSLContext) -> None:
        if isinstance(context, ServerContext):
            self.server_end_point = context.server_end_point

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Server side of a TLS upgrade. Write the go-ahead before. Raises TlsFailed."""
        await self._upgrade(context, server_side=True, server_name=None)
        self._bind_channel(context)

    async def start_tls_client(self, context: ssl.SSLContext, server_name: str) -> None:
        """Client side of a TLS upgrade; `server_name` (A-label) is asked for and verified.

        Raises TlsFailed.
        """
        await self._upgrade(context, server_side=False, server_name=server_name)

    async def _upgrade(self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None) -> None:
        if self._transport is None or self._fault is not None:
            raise self._fault or ConnectionClosed("connection closed")
        if self.deflated:
            raise LocalProtocolError("TLS cannot begin below compression")
        # RFC 3207 §4.2: what came in clear text before the handshake is never interpreted.
        self._buffer.clear()
        below = self._transport
        try:
            transport = await self._loop.start_tls(
                below,
                self,
                context,
                server_side=server_side,
                server_hostname=server_name,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=CLOSE_TIMEOUT,
            )
            if transport is None:
                raise ConnectionResetError("connection lost in the TLS handshake")
        except (OSError, EOFError, ValueError) as error:
            # ssl.SSLError is an OSError; a host's name that TLS cannot ask for gives a ValueError.
            self.abort()
            self.connection_lost(None)  # a loop tells it only to a protocol whose handshake was finished
            raise TlsFailed(f"TLS handshake failed: {error}") from error
        except asyncio.CancelledError:
            self.abort()
            self.connection_lost(None)
            raise
        # The first octets under TLS may be here already: they stay. Were they many, we paused the one below.
        if self._paused:
            self._paused = False
            below.resume_reading()
        self._writable = True  # the new transport begins empty, and the old one tells us nothing more
        self._attach(transport, server_name or "")

    def _attach(self, transport: asyncio.Transport, server_name: str = "") -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self.tls = tls_info(ssl_object, server_name)

    @property
    def deflated(self) -> bool:
        """Whether both directions are compressed."""
        return isinstance(self._transport, DeflateLayer)

    # --- what the loop tells us ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach(cast(asyncio.Transport, transport))  # all loops give stream protocols a Transport
        if self.peer is NOWHERE:
            self.peer = endpoint_of(transport.get_extra_info("peername"))
        if self.local is NOWHERE:
            self.local = endpoint_of(transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        if self._closing or isinstance(self._fault, SentAway):
            return
        buffer = self._buffer
        buffer.feed(data)
        reader = self._reader
        if reader is not None:
            if len(buffer) > self._line_limit or b"\n" in data:
                self._reader = None
                if not reader.done():
                    reader.set_result(None)
        elif len(buffer) > READ_HIGH_WATER and not self._paused:
            self._paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self.end_reads(ConnectionClosed("the peer closed the connection"))
        # Half-closed: lines that wait are still answered. Under TLS no event loop can do that.
        return self.tls is None and not self._closing

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if not self._closing:
            self._write_deadline = NEVER
        self._wake_drainer(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._wheel.forget(self)
        fault = ConnectionClosed("connection closed" if exc is None else f"connection lost: {exc}")
        self.end_reads(fault)
        self._wake_drainer(self._fault)
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        if self._on_lost is not None:
            self._on_lost(self)
            self._on_lost = None

    def end_reads(self, fault: ConnectionFault) -> None:
        """No more will come: what is buffered can still be read, then `fault` is raised."""
        if self._fault is None:
            self._fault = fault
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_exception(self._fault)

    def _wake_drainer(self, fault: ConnectionFault | None) -> None:
        drainer, self._drainer = self._drainer, None
        if drainer is not None and not drainer.done():
            if fault is None:
                drainer.set_result(None)
            else:
                drainer.set_exception(fault)

    # --- waiting -----------------------------------------------------------------------------------

    def _more(self, line_limit: int, deadline: float, overdue: type[ConnectionFault]) -> asyncio.Future[None]:
        """The future of more octets: a line end, or more than `line_limit` octets buffered."""
        if self._fault is not None:
            raise self._fault
        if self._reader is not None and not self._reader.done():
            raise LocalProtocolError("two reads at once")
        if deadline > self._total_at:
            deadline, overdue = self._total_at, TotalTimeout
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._line_limit = line_limit
        self._deadline = deadline
        self._overdue = overdue
        if deadline != NEVER:
            self._wheel.look_at(self, deadline)
        self._reader = reader = self._loop.create_future()
        return reader

    def on_deadline(self, now: float) -> float:
        """For the timer wheel: end what is overdue, and tell the next deadline."""
        reader = self._reader
        if reader is not None and now >= self._deadline:
            self._reader = None
            if not reader.done():
                reader.set_exception(self._overdue("time limit passed"))
        if now >= self._write_deadline:
            self._write_overdue(now)
        return min(self._write_deadline, NEVER if self._reader is None else self._deadline)

    def _write_overdue(self, now: float) -> None:
        self._write_deadline = NEVER
        if self._transport is None:
            return
        unsent = self._transport.get_write_buffer_size()
        if not self._closing and self._unsent - unsent >= TRANSFER_RATE * self._patience:
            self._unsent = unsent
            self._write_deadline = now + self._patience
            return
        fault = WriteTimeout("the peer does not read")
        self.end_reads(fault)
        self._wake_drainer(fault)
        self._transport.abort()

    # --- ending ----------------------------------------------------------------------------------

    @property
    def is_loopback(self) -> bool:
        """Whether the peer is on this machine."""
        return self.peer.is_loopback

    def shut_down(self) -> None:
        """Let the session end soon: the next read that would wait (or waits now) raises ShuttingDown."""
        self.end_reads(ShuttingDown("shutting down"))

    def send_away(self) -> None:
        """Let the session end now: what is read from now on raises SentAway; after SENT_AWAY_TIME we close anyhow."""
        self._buffer.clear()
        self.end_reads(SentAway("sent away"))
        self._loop.call_later(SENT_AWAY_TIME, self.abort)

    def close(self, *, still_coming: bool = False) -> None:
        """Send what is unsent, within CLOSE_TIMEOUT, and close. Reads end at once.

        `still_coming`: the peer is known to be sending, though nothing may be buffered at this moment.
        """
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = True
        # To close with octets unread would make the system reset the connection, and our last reply with it:
        # then end our side first, and pass over what still comes until the peer ends its own.
        # Of a compressed command the last octets, a flush, may still be under way when it has been read whole.
        unread = still_coming or self._paused or self.deflated or len(self._buffer) > 0
        linger = self._fault is None and self.tls is None and unread
        self.end_reads(ConnectionClosed("closed by us"))
        self._buffer.clear()
        self._write_deadline = self._loop.time() + CLOSE_TIMEOUT
        self._wheel.look_at(self, self._write_deadline)
        if not linger:
            transport.close()
            return
        transport.write_eof()
        if self._paused:
            transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection and everything unsent."""
        if self._transport is not None:
            self.end_reads(ConnectionClosed("aborted by us"))
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Until the connection is gone; after `close` that is CLOSE_TIMEOUT at most."""
        if self._transport is None:
            return
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)
