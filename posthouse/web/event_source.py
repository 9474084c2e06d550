"""EventSource (RFC 8620 §7.3): a response that never ends and says what changed.

One task and a few small objects for each open page. Whatever happens at once is told at once; the client's
Last-Event-ID says what it knows, so nothing is missed between two connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.accounts.model import Login
from posthouse.jmap.context import Services
from posthouse.jmap.push import Watched, state_change
from posthouse.web.busy import Busy, TooBusy
from posthouse.web.login import Gate
from posthouse.web.problems import problem
from posthouse.web.server import Receive, Send


class EventSourcePages:
    """The endpoint."""

    def __init__(self, services: Services, gate: Gate, types: frozenset[str]) -> None:
        """`types`: those of items that may be told."""
        self._services = services
        self._gate = gate
        self._types = types
        self._busy = Busy(limits.JMAP_STREAMS)

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [
            Route("/jmap/eventsource/", self.stream, methods=["GET"]),
            Route("/jmap/eventsource", self.stream, methods=["GET"]),
        ]

    async def stream(self, request: Request) -> Response:
        """Begin a stream. Which types, when to close, how often to ping: RFC 8620 §7.3."""
        caller = await self._gate.caller(request)
        asked = request.query_params.get("types", "*")
        wanted = None if asked == "*" else frozenset(asked.split(","))
        close_after = request.query_params.get("closeafter", "no")
        ping = request.query_params.get("ping", "0")
        if close_after not in {"state", "no"} or not (ping.isascii() and ping.isdigit()):
            return problem(400, "about:blank", "closeafter is state or no, ping a number of seconds")
        watched = Watched(self._services.store, caller.account.account_id, self._types, wanted)
        await watched.begin(request.headers.get("last-event-id"))

        async def is_known() -> bool:
            return await self._gate.again(request, caller) is not None

        visit = Visit(login=caller.login(), is_known=is_known)
        interval = _interval(int(ping))
        return EventStream(self._services, watched, visit, interval, close_after == "state", self._busy)


def _interval(asked: int) -> float:
    """RFC 8620 §7.3: the server may choose another interval, and says which."""
    if asked == 0:
        return 0.0
    return float(min(max(asked, limits.JMAP_PING_LEAST), limits.JMAP_PING_MOST))


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Whose stream it is."""

    login: Login
    is_known: Callable[[], Awaitable[bool]]
    """Whether the credentials that the stream began with are still good."""


class EventStream(Response):
    """The response."""

    def __init__(
        self,
        services: Services,
        watched: Watched,
        visit: Visit,
        interval: float,
        close_after: bool,
        busy: Busy,
    ) -> None:
        self.background = None
        self._services = services
        self._watched = watched
        self._visit = visit
        self._interval = interval
        self._close_after = close_after
        self._busy = busy
        self._wake: asyncio.Future[None] | None = None
        self._changed = True
        self._sent_away = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Tell until the client goes away."""
        try:
            with self._busy.one(self._watched.account_id):
                await self._tell(receive, send)
        except TooBusy:
            await problem(429, "about:blank", "too many streams are open")(scope, receive, send)

    async def _tell(self, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        headers.append((b"x-accel-buffering", b"no"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
        gone = asyncio.ensure_future(_until_gone(receive))
        gone.add_done_callback(self._note)
        self._watched.watch(self._heard)
        log_out = self._services.directory.open_logins.add(self._visit.login, "jmap", self._send_away)
        try:
            while not gone.done() and not self._sent_away:
                if self._changed:
                    self._changed = False
                    if not await self._visit.is_known():
                        break  # nothing more is told to who was logged out
                    if await self._tell_news(send) and self._close_after:
                        break
                elif not await self._wait() and not gone.done() and not self._sent_away:
                    await self._send(send, "ping", {"interval": int(self._interval)})
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            pass  # the client is gone
        finally:
            log_out()
            self._watched.end()
            gone.cancel()

    async def _tell_news(self, send: Send) -> bool:
        news = await self._watched.news()
        if news:
            await self._send(send, "state", state_change(news), self._watched.mark)
        return bool(news)

    async def _send(self, send: Send, event: str, data: Any, mark: str = "") -> None:
        name = f"id: {mark}\n" if mark else ""
        text = f"event: {event}\n{name}data: {msgspec.json.encode(data).decode()}\n\n"
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def _wait(self) -> bool:
        """Until something happens; False: it is time for a ping."""
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_later(self._interval, self._note) if self._interval else None
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()
        return self._changed

    def _heard(self) -> None:
        self._changed = True
        self._note()

    def _send_away(self) -> None:
        """The login is good no more."""
        self._sent_away = True
        self._note()

    def _note(self, _done: object = None) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
