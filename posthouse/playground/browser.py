"""A browser of the tour: JMAP over HTTPS as a page's script speaks it, and the stream that tells what changed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from posthouse.errors import Temporary
from posthouse.playground.conversation import Conversation, Say

_USING = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail")


class Browser:
    """One user's browser."""

    def __init__(self, address: str, port: int, user: str, password: str, say: Say) -> None:
        self._address = address
        self._port = port
        self._say = say
        token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        self._head = f"HTTP/1.1\r\nHost: {address}:{port}\r\nAuthorization: Basic {token}"
        self._account_id = ""
        self._stream: Conversation | None = None

    async def log_in(self) -> Self:
        """Fetch the Session object (RFC 8620 §2)."""
        session = await self._fetch("GET /.well-known/jmap", b"")
        (self._account_id,) = session["accounts"]
        return self

    async def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """One method call, shown with its answer. Temporary when it is an error."""
        call = [name, {"accountId": self._account_id} | arguments, "a"]
        body = msgspec.json.encode({"using": _USING, "methodCalls": [call]})
        self._say(f"   C: POST /jmap/ {_short(call)}")
        ((answered, answer, _),) = (await self._fetch("POST /jmap/", body))["methodResponses"]
        self._say(f"   S: {_short([answered, answer])}")
        if answered != name:
            raise Temporary(f"{name}: {answer}")
        found: dict[str, Any] = answer
        return found

    async def listen(self) -> None:
        """Open the stream of changes (RFC 8620 §7.3)."""
        self._stream = talk = await Conversation.open(self._address, self._port, self._say, tls=True)
        talk.send(
            f"GET /jmap/eventsource/?types=*&closeafter=no&ping=0 {self._head}\r\n",
            shown="GET /jmap/eventsource/?types=*&closeafter=no&ping=0",
        )
        while not (await talk.line(quiet=True)).startswith(": here"):
            pass

    async def heard(self) -> str:
        """The next StateChange on the stream."""
        assert self._stream is not None
        while True:
            line = await self._stream.line(quiet=True)
            if line.startswith("data: "):
                self._say(f"   S: {line}")
                return line

    def close(self) -> None:
        """Close the page."""
        if self._stream is not None:
            self._stream.close()

    async def _fetch(self, request: str, body: bytes) -> Any:
        talk = await Conversation.open(self._address, self._port, _silent, tls=True)
        try:
            fields = "Content-Type: application/json\r\nConnection: close\r\n"
            talk.send(f"{request} {self._head}\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body.decode()}")
            status = await talk.line(quiet=True)
            if " 200 " not in status:
                raise Temporary(f"{request}: {status}")
            while await talk.line(quiet=True):
                pass
            return msgspec.json.decode(await talk.line(quiet=True))
        finally:
            talk.close()


def _short(value: Sequence[Any]) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"


def _silent(_: str) -> None:
    """Say nothing."""
