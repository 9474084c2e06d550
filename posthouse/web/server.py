"""HTTP/1.1 for an ASGI application on a connection of ours (RFC 9112): keep-alive, streaming both ways, WebSocket.

Listeners, TLS, the PROXY protocol, the count of connections and draining are those of every other protocol
(`net`). Each wait has a limit: for a request, for its head, for each piece of a body, for the peer to read.
Framing of responses is decided here; the application gives status, fields and pieces.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from posthouse import limits
from posthouse.net.connection import Connection
from posthouse.net.faults import ConnectionFault
from posthouse.web.http_reader import BadRequest, Head, RequestReader
from posthouse.web.websocket import WebSocketExchange, is_websocket

log: Final = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 30\r\nConnection: close\r\n\r\n"
)
"""What the listener says to a connection over the limit."""

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_HOST: Final = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
"""RFC 9112 §3.2: uri-host [":" port]."""
_NO_BODY: Final = frozenset({204, 304})


class WebServer:
    """Serves connections; `serve` is what a listener calls."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def serve(self, connection: Connection) -> None:
        """Answer requests until the peer leaves or breaks the rules. The caller closes the connection."""
        reader = RequestReader(connection, is_websocket)
        try:
            while await self._one(connection, reader):
                await connection.drain()
        except BadRequest as fault:
            _refuse(connection, fault.status)
        except ConnectionFault as fault:
            log.debug("ended session=%s reason=%s", connection.session_id, fault)

    async def _one(self, connection: Connection, reader: RequestReader) -> bool:
        """One request and its response; whether another may follow."""
        connection.set_idle_timeout(limits.HTTP_KEEP_ALIVE)
        connection.set_total_timeout(limits.HTTP_KEEP_ALIVE + limits.HTTP_HEAD_TIME)
        head = await reader.head()
        if head is None:
            return False
        connection.set_total_timeout(_body_time(head))
        connection.set_idle_timeout(limits.HTTP_BODY_WAIT)
        _check(head)
        if head.upgrade and is_websocket(head):
            await WebSocketExchange(self._application, scope_of(head, connection, websocket=True), head).run(
                connection, reader.trailing
            )
            return False
        exchange = Exchange(head, connection, reader)
        await exchange.run(self._application)
        return await exchange.finished()


def _check(head: Head) -> None:
    """What llhttp leaves to us."""
    hosts = [value for name, value in head.headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and head.version == "1.1"):  # RFC 9112 §3.2: 400 for none or several
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    codings = [value.lower() for name, value in head.headers if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):  # RFC 9112 §6.1: 501 for a coding that we do not undo
        raise BadRequest(HTTPStatus.NOT_IMPLEMENTED)
    if head.version not in {"1.0", "1.1"}:
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if not head.target.startswith(b"/") and not head.target.startswith((b"http://", b"https://", b"*")):
        raise BadRequest(HTTPStatus.BAD_REQUEST)


def _body_time(head: Head) -> float | None:
    """Seconds that a request's body may take in all, so that a drip does not help; None: it has none."""
    if head.first(b"transfer-encoding") is not None:
        return limits.HTTP_BODY_TIME
    length = head.first(b"content-length") or b"0"
    octets = int(length) if length.isdigit() else 0
    if not octets:
        return None
    return min(limits.TRANSFER_GRACE + octets / limits.TRANSFER_RATE, limits.HTTP_BODY_TIME)


def _refuse(connection: Connection, status: HTTPStatus) -> None:
    connection.write(_STATUS_LINES[status] + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
    connection.close(still_coming=True)


def scope_of(head: Head, connection: Connection, *, websocket: bool = False) -> dict[str, Any]:
    """The ASGI scope of a request."""
    path, _, query = head.target.partition(b"?")
    if not path.startswith(b"/"):  # RFC 9112 §3.2.2: the absolute form, as proxies send it
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    secure = connection.tls is not None
    scheme = ("wss" if secure else "ws") if websocket else ("https" if secure else "http")
    return {
        "type": "websocket" if websocket else "http",
        # 2.4: `send` raises OSError once the peer is gone
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": head.version,
        "method": head.method,
        "scheme": scheme,
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": head.headers,
        "client": (connection.peer.host, connection.peer.port),
        "server": (connection.local.host, connection.local.port),
        "state": {},
        "session_id": connection.session_id,
    }


class Exchange:
    """One request and its response."""

    def __init__(self, head: Head, connection: Connection, reader: RequestReader) -> None:
        self._head = head
        self._connection = connection
        self._reader = reader
        self._body_ended = False
        self._expects = head.version == "1.1" and (head.first(b"expect") or b"").lower() == b"100-continue"
        self._started: Message | None = None
        self._head_sent = False
        self._complete = False
        self._chunked = False
        self._keep_alive = head.keep_alive
        self._gone = False

    async def run(self, application: Application) -> None:
        """Let the application answer. A fault of its own becomes 500, or cuts the connection in mid-response."""
        try:
            await application(scope_of(self._head, self._connection), self._receive, self._send)
        except (ConnectionFault, OSError):
            if not self._gone:
                raise
        except BadRequest:
            raise
        except Exception as fault:
            if self._gone:
                return
            number = secrets.token_hex(4)
            log.error("fault id=%s session=%s", number, self._connection.session_id, exc_info=fault)
            self._fail(number)

    def _fail(self, number: str) -> None:
        if self._head_sent:
            self._connection.abort()  # never let half a response look like a whole one
            self._gone = True
            return
        self._keep_alive = False
        text = f"fault {number}\n".encode()
        fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        self._started = {"status": 500, "headers": fields}
        self._connection.write(self._head_of(self._started, None) + text)
        self._head_sent = self._complete = True

    async def finished(self) -> bool:
        """Whether the connection can carry another request."""
        if self._gone:
            return False
        if not self._complete:
            self._fail("incomplete")
            return False
        if self._keep_alive and not self._body_ended and not self._expects:
            self._body_ended = await self._reader.discard(limits.HTTP_DISCARD)
        if not self._keep_alive or not self._body_ended:
            self._connection.close(still_coming=not self._body_ended)
            return False
        return True

    # --- what the application calls ------------------------------------------------------------------

    async def _receive(self) -> Message:
        if self._body_ended:
            self._connection.set_idle_timeout(None)  # a long answer: only its end, or the peer's, ends it
            try:
                await self._reader.closed()
            except ConnectionFault:
                pass
            self._gone = True
            return {"type": "http.disconnect"}
        if self._expects:
            # RFC 9110 §10.1.1: the client waits for our word before it sends the content.
            self._expects = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            piece = await self._reader.body()
        except ConnectionFault:
            self._gone = True
            return {"type": "http.disconnect"}
        self._body_ended = piece is None
        if self._body_ended:
            self._connection.set_total_timeout(None)  # an answer may take as long as it wants
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def _send(self, message: Message) -> None:
        if self._gone:
            raise OSError("the peer is gone")
        if message["type"] == "http.response.start":
            self._started = message
            return
        if self._started is None or self._complete:
            raise RuntimeError(f"{message['type']} out of order")
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        pieces = []
        if not self._head_sent:
            pieces.append(self._head_of(self._started, None if more else len(body)))
            self._head_sent = True
        if self._head.method != "HEAD" and self._started["status"] not in _NO_BODY:
            if self._chunked:
                if body:
                    pieces.append(b"%x\r\n%b\r\n" % (len(body), body))
                if not more:
                    pieces.append(b"0\r\n\r\n")
            elif body:
                pieces.append(body)
        self._complete = not more
        self._connection.writelines(pieces)
        try:
            await self._connection.drain()
        except ConnectionFault as fault:
            self._gone = True
            raise OSError("the peer is gone") from fault

    def _head_of(self, start: Message, length: int | None) -> bytes:
        """Status line and fields; `length`: of the whole body when it is known and not said."""
        status: int = start["status"]
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()]
        names = set()
        for name, value in start["headers"]:
            names.add(name.lower())
            lines.append(b"%b: %b\r\n" % (name, value))
        if b"content-length" not in names and status not in _NO_BODY:
            if length is not None:
                lines.append(b"content-length: %d\r\n" % length)
            elif self._head.version == "1.1":
                self._chunked = True  # RFC 9112 §7.1
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self._keep_alive = False  # RFC 9112 §6.3: the end of the connection ends the body
        if b"date" not in names:
            lines.append(b"date: %b\r\n" % _date())
        if not self._keep_alive:
            lines.append(b"connection: close\r\n")
        elif self._head.version == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


_date_cache: list[Any] = [0, b""]


def _date() -> bytes:
    """The Date field, made once a second (RFC 9110 §6.6.1)."""
    now = int(time.time())
    if _date_cache[0] != now:
        _date_cache[:] = [now, formatdate(now, usegmt=True).encode()]
    return bytes(_date_cache[1])
