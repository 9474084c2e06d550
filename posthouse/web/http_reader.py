"""Reading HTTP/1.1 requests from a connection (RFC 9112), with limits on heads and on time; bodies stream.

llhttp (httptools) does the grammar and refuses what two parsers might read differently: two lengths, a length
beside chunks, spaces before colons, bare LF in heads. What it has parsed waits in a short queue, so that pipelined
requests keep their order; nothing more is read from the peer while anything waits.
"""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import Final

import httptools
import msgspec

from posthouse import limits
from posthouse.errors import RemoteProtocolError
from posthouse.net.connection import Connection


class BadRequest(RemoteProtocolError):
    """The peer's HTTP is broken or over a limit: it is told so, and the connection ends."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Request line and fields."""

    method: str
    target: bytes
    """The request target as sent (RFC 9112 §3.2)."""
    headers: list[tuple[bytes, bytes]]
    """Names in lower case, in the order sent."""
    version: str
    keep_alive: bool
    upgrade: bool
    """The client asks for another protocol on this connection (RFC 9110 §7.8)."""

    def first(self, name: bytes) -> bytes | None:
        """The first field of a name (lower case)."""
        return next((value for other, value in self.headers if other == name), None)


class _End:
    """The end of a request's body."""


_END: Final = _End()


class RequestReader:
    """The requests of one connection: `head`, then `body` until None, then `head` again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Head | bytes | _End] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._fields_octets = 0
        self._head_octets = 0
        self._in_body = False
        self.trailing = b""
        """What came behind the head of a request for another protocol."""

    # --- for the server ------------------------------------------------------------------------------

    async def head(self) -> Head | None:
        """The next request; None: the peer has ended. BadRequest, ConnectionFault."""
        while not self._queue:
            await self._feed()
        found = self._queue.popleft()
        assert isinstance(found, Head)
        return found

    async def body(self) -> bytes | None:
        """The next piece of this request's body; None at its end. BadRequest, ConnectionFault."""
        while not self._queue:
            await self._feed()
        found = self._queue.popleft()
        if isinstance(found, _End):
            return None
        assert isinstance(found, bytes)
        return found

    async def discard(self, octets: int) -> bool:
        """Pass over the rest of the body when it is not longer than this; whether its end was reached."""
        while (piece := await self.body()) is not None:
            octets -= len(piece)
            if octets < 0:
                return False
        return True

    async def closed(self) -> None:
        """Until the peer goes away. What it pipelines meanwhile waits its turn. ConnectionFault at the end."""
        while not self._queue:
            await self._feed()
        await self._connection.wait_closed()

    async def _feed(self) -> None:
        data = await self._connection.read_some(limits.HTTP_READ)
        if not self._in_body:
            self._head_octets += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.trailing = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as fault:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from fault
        except httptools.HttpParserInvalidMethodError as fault:
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED) from fault
        except httptools.HttpParserError as fault:
            raise BadRequest(HTTPStatus.BAD_REQUEST) from fault
        if not self._in_body and self._head_octets > limits.HTTP_HEAD:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    # --- called by the parser ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = []
        self._target = b""
        self._fields_octets = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grown(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._grown(len(name) + len(value))

    def _grown(self, octets: int) -> None:
        self._fields_octets += octets
        if self._fields_octets > limits.HTTP_HEAD or len(self._headers) > limits.HTTP_FIELDS:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_body = True
        parser = self._parser
        self._queue.append(
            Head(
                method=parser.get_method().decode("ascii"),
                target=self._target,
                headers=self._headers,
                version=parser.get_http_version(),
                keep_alive=parser.should_keep_alive(),
                upgrade=parser.should_upgrade(),
            )
        )

    def on_body(self, body: bytes) -> None:
        self._queue.append(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_octets = 0
        self._queue.append(_END)
