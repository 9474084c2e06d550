"""What a load balancer asks: is this node alive, and should it be sent anybody?

`GET /health`: 200 as long as the process answers. `GET /ready`: 200 while it serves, 503 while it starts, is about to
stop, or cannot reach its store. `GET /metrics`: numbers for whoever watches the house (Prometheus). One request a
connection; everything else is 404 or 405.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from posthouse.errors import RemoteProtocolError
from posthouse.limits import HEALTH_LINE, HEALTH_LINES, HEALTH_TIMEOUT
from posthouse.net.connection import Connection

BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The text format of Prometheus."""
_WORDS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Answers questions about health."""

    def __init__(self, why_not: Callable[[], str], metrics: Callable[[], Awaitable[str]]) -> None:
        """`why_not`: why nobody should be sent here; empty: send them. `metrics`: the numbers, as they are told."""
        self._why_not = why_not
        self._metrics = metrics

    async def serve(self, connection: Connection) -> None:
        """One connection."""
        connection.set_total_timeout(HEALTH_TIMEOUT)
        try:
            request = (await connection.read_line(HEALTH_LINE)).split()
            for _ in range(HEALTH_LINES):
                if not (await connection.read_line(HEALTH_LINE)).strip():
                    break
        except (RemoteProtocolError, EOFError):
            return
        method, path = (request[0], request[1]) if len(request) > 1 else (b"", b"")
        code, text, kind = await self._answer(method, path.partition(b"?")[0])
        body = b"" if method == b"HEAD" else text.encode()
        head = (
            f"HTTP/1.1 {code} {_WORDS[code]}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(text.encode())}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        connection.write(head.encode() + body)
        await connection.drain()

    async def _answer(self, method: bytes, path: bytes) -> tuple[int, str, str]:
        if method not in {b"GET", b"HEAD", b"OPTIONS"}:
            return 405, "GET or HEAD\n", _TEXT
        match path:
            case b"/health":
                return 200, "alive\n", _TEXT
            case b"/ready":
                reason = self._why_not()
                return (503, f"{reason}\n", _TEXT) if reason else (200, "ready\n", _TEXT)
            case b"/metrics":
                return 200, await self._metrics(), _METRICS
        return 404, "/health, /ready or /metrics\n", _TEXT
