"""What a load balancer asks: is this node alive, and should it be sent anybody?

`GET /health`: 200 as long as the process answers. `GET /ready`: 200 while it serves, 503 while it starts, is about to
stop, or cannot reach its store. One request a connection; everything else is 404 or 405.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from posthouse.errors import RemoteProtocolError
from posthouse.limits import HEALTH_LINE, HEALTH_LINES, HEALTH_TIMEOUT
from posthouse.net.connection import Connection

BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_WORDS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Answers questions about health. `why_not`: why nobody should be sent here; empty: send them."""

    def __init__(self, why_not: Callable[[], str]) -> None:
        self._why_not = why_not

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
        code, text = self._answer(method, path)
        body = b"" if method == b"HEAD" else text.encode()
        head = (
            f"HTTP/1.1 {code} {_WORDS[code]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text.encode())}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        connection.write(head.encode() + body)
        await connection.drain()

    def _answer(self, method: bytes, path: bytes) -> tuple[int, str]:
        if method not in {b"GET", b"HEAD", b"OPTIONS"}:
            return 405, "GET or HEAD\n"
        match path.partition(b"?")[0]:
            case b"/health":
                return 200, "alive\n"
            case b"/ready":
                reason = self._why_not()
                return (503, f"{reason}\n") if reason else (200, "ready\n")
        return 404, "/health or /ready\n"
