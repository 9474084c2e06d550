"""WebSocket on a connection (RFC 6455) for ASGI: the handshake here, frames by wsproto.

No compression: its state would take ten times the memory of the rest. Messages have a size limit; a peer that says
nothing for HTTP_WEBSOCKET_IDLE seconds is pinged, and is gone when it says nothing for as long again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from posthouse import limits
from posthouse.net.connection import Connection
from posthouse.net.faults import ConnectionFault, IdleTimeout
from posthouse.web.http_reader import Head

log: Final = logging.getLogger(__name__)

Message = MutableMapping[str, Any]


def is_websocket(head: Head) -> bool:
    """Whether the request opens a WebSocket as RFC 6455 §4.2.1 wants it."""
    return (
        head.method == "GET"
        and head.version == "1.1"
        and (head.first(b"upgrade") or b"").lower() == b"websocket"
        and head.first(b"sec-websocket-version") == b"13"
        and bool(head.first(b"sec-websocket-key"))
    )


def _listed(head: Head, name: bytes) -> list[str]:
    joined = b",".join(value for other, value in head.headers if other == name)
    return [item.strip().decode("latin-1") for item in joined.split(b",") if item.strip()]


class WebSocketExchange:
    """One WebSocket, from the handshake to its end."""

    def __init__(
        self, application: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any], head: Head
    ) -> None:
        scope["subprotocols"] = _listed(head, b"sec-websocket-protocol")
        scope["extensions"] = {"websocket.http.response": {}}
        self._application = application
        self._scope = scope
        self._head = head
        self._events: deque[Event] = deque()
        self._text: list[str] = []
        self._bytes: list[bytes] = []
        self._octets = 0
        self._told_connect = False
        self._refusal: Message | None = None
        self._frames: Frames | None = None
        self._closed = False
        self._draining = asyncio.Lock()
        """Who receives answers pings while another task sends."""

    async def run(self, connection: Connection, trailing: bytes) -> None:
        """Let the application speak. A fault of its own closes with 1011."""
        self._connection = connection
        self._trailing = trailing
        connection.set_idle_timeout(limits.HTTP_WEBSOCKET_IDLE)
        try:
            await self._application(self._scope, self._receive, self._send)
        except (ConnectionFault, OSError):
            return
        except Exception:
            log.exception("fault session=%s", connection.session_id)
            self._close(1011)
        if not self._closed:
            self._close(1000)

    # --- from the peer -------------------------------------------------------------------------------

    async def _receive(self) -> Message:
        if not self._told_connect:
            self._told_connect = True
            return {"type": "websocket.connect"}
        if self._frames is None:
            raise RuntimeError("receive before accept")
        while not self._closed:
            try:
                message = await self._next()
            except (RemoteProtocolError, UnicodeDecodeError):
                self._close(1002)
                break
            except ConnectionFault:
                self._closed = True
                return {"type": "websocket.disconnect", "code": 1006}
            if message is not None:
                return message
        return {"type": "websocket.disconnect", "code": 1000}

    async def _next(self) -> Message | None:
        assert self._frames is not None
        if not self._events:
            data = await self._read()
            self._frames.receive_data(data)
            self._events.extend(self._frames.events())
            return None
        event = self._events.popleft()
        if isinstance(event, Ping):
            self._connection.write(self._frames.send(event.response()))
            await self._drain()  # or who pings and never reads fills our memory
        elif isinstance(event, CloseConnection):
            self._connection.write(self._frames.send(event.response()))
            self._closed = True
            return {"type": "websocket.disconnect", "code": int(event.code)}
        elif isinstance(event, TextMessage | BytesMessage):
            return self._gather(event)
        return None

    async def _read(self) -> bytes:
        assert self._frames is not None
        try:
            return await self._connection.read_some(limits.HTTP_READ)
        except IdleTimeout:
            self._connection.write(self._frames.send(Ping()))
            return await self._connection.read_some(limits.HTTP_READ)

    def _gather(self, event: TextMessage | BytesMessage) -> Message | None:
        self._octets += len(event.data)
        if self._octets > limits.JMAP_REQUEST_SIZE:
            self._close(1009)
            return None
        if isinstance(event, TextMessage) and event.data:  # empty fragments would add up without end
            self._text.append(event.data)
        elif isinstance(event, BytesMessage) and event.data:
            self._bytes.append(bytes(event.data))
        if not event.message_finished:
            return None
        message: Message = {"type": "websocket.receive"}
        if isinstance(event, TextMessage):
            message["text"] = "".join(self._text)
        else:
            message["bytes"] = b"".join(self._bytes)
        self._text, self._bytes, self._octets = [], [], 0
        return message

    # --- from the application ------------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._close(message.get("code", 1000))
        elif kind == "websocket.http.response.start":
            self._refusal = message
        elif kind == "websocket.http.response.body":
            self._refuse(message.get("body", b""))
        elif self._frames is not None and not self._closed:
            text, data = message.get("text"), message.get("bytes")
            event = TextMessage(data=text) if text is not None else BytesMessage(data=data or b"")
            self._connection.write(self._frames.send(event))
        try:
            await self._drain()
        except ConnectionFault as fault:
            self._closed = True
            raise OSError("the peer is gone") from fault

    async def _drain(self) -> None:
        async with self._draining:
            await self._connection.drain()

    def _accept(self, message: Message) -> None:
        lines = [
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n",
            b"sec-websocket-accept: %b\r\n"
            % generate_accept_token(self._head.first(b"sec-websocket-key") or b""),
        ]
        if message.get("subprotocol"):
            lines.append(b"sec-websocket-protocol: %b\r\n" % message["subprotocol"].encode())
        self._frames = Frames(ConnectionType.SERVER, trailing_data=self._trailing)
        self._events.extend(self._frames.events())
        self._connection.write(b"".join((*lines, b"\r\n")))

    def _refuse(self, body: bytes) -> None:
        start = self._refusal or {"status": 403, "headers": []}
        lines = [b"HTTP/1.1 %d Refused\r\n" % start["status"]]
        lines += [b"%b: %b\r\n" % pair for pair in start["headers"] if pair[0] != b"content-length"]
        lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self._connection.write(b"".join((*lines, body)))
        self._closed = True

    def _close(self, code: int) -> None:
        if self._closed:
            return
        if self._frames is None:
            self._refuse(b"")
            return
        self._closed = True
        try:
            self._connection.write(self._frames.send(CloseConnection(code=code)))
        except LocalProtocolError:
            pass  # it was closed by the peer already
