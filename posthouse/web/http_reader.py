"""Reading HTTP/1.1 requests from a connection (RFC 9112), with limits on heads and on time; bodies stream.

llhttp (httptools) does the grammar and refuses what two parsers might read differently: two lengths, a length
beside chunks, spaces before colons, bare LF in heads. What it has parsed waits in a short queue, so that pipelined
requests keep their order; nothing more is read from the peer while anything waits. A change of protocol that is not
taken up is read as if nobody had asked for it, with its body; trailers are passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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

    def __init__(self, connection: Connection, takes_over: Callable[[Head], bool]) -> None:
        """`takes_over`: whether a request for another protocol is one that we change to."""
        self._connection = connection
        self._takes_over = takes_over
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Head | bytes | _End] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._fields_octets = 0
        self._head_octets = 0
        self._in_body = False
        self._broken: HTTPStatus | None = None
        """What is to be said of what came behind the requests in the queue."""
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
        """Until the peer goes away, or we are to stop. What it pipelines meanwhile waits its turn. ConnectionFault."""
        waiting = 0
        while waiting <= limits.HTTP_PIPELINED:
            waiting += await self._read()
        await self._connection.wait_closed()

    async def _feed(self) -> None:
        if self._broken is None:
            await self._read()
        if self._broken is not None and not self._queue:
            raise BadRequest(self._broken)

    async def _read(self) -> int:
        """Parse what comes next; how much it was. Behind what is broken nothing is parsed any more."""
        data = await self._connection.read_some(limits.HTTP_READ)
        octets = len(data)
        if self._broken is not None:
            return octets
        if not self._in_body:
            self._head_octets += len(data)
        while data:
            data = self._parse(data)
        if not self._in_body and self._head_octets > limits.HTTP_HEAD:
            self._break(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return octets

    def _parse(self, data: bytes) -> bytes:
        """Give octets to the parser; what it has to be given next."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._changed(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            self._break(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except httptools.HttpParserInvalidMethodError:
            self._break(HTTPStatus.NOT_IMPLEMENTED)
        except httptools.HttpParserError:
            self._break(HTTPStatus.BAD_REQUEST)
        return b""

    def _changed(self, rest: bytes) -> bytes:
        """The parser stopped behind the head of a request for another protocol; what is to be parsed next.

        It takes such a request for one without a body. So when the protocol stays, the head is read anew without the
        wish (RFC 9110 §7.8: a server may ignore it), or else the body would be read as the next request.
        """
        self._queue.pop()
        head = self._queue.pop()
        assert isinstance(head, Head)
        if head.method == "CONNECT":  # RFC 9110 §9.3.6: we are no proxy
            self._break(HTTPStatus.NOT_IMPLEMENTED)
            return b""
        if self._takes_over(head):
            self._queue += (head, _END)
            self.trailing = rest
            return b""
        self._parser = httptools.HttpRequestParser(self)
        lines = [
            b"%b %b HTTP/%b" % (head.method.encode("ascii"), head.target, head.version.encode("ascii")),
            *(b"%b: %b" % field for field in head.headers if field[0] != b"upgrade"),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + rest

    def _break(self, status: HTTPStatus) -> None:
        """Nothing more can be read. Requests that came whole before it are answered first (RFC 9112 §9.3.2)."""
        while self._queue and not isinstance(self._queue[-1], _End):
            self._queue.pop()
        self._broken = status

    # --- called by the parser ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = []
        self._target = b""
        self._fields_octets = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grown(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # RFC 9110 §6.5.1: trailers never become fields of the head
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
