"""JMAP over WebSocket (RFC 8887): requests and answers as messages, pushes between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.jmap.call import as_request, read_json
from posthouse.jmap.context import Services
from posthouse.jmap.dispatch import Dispatcher
from posthouse.jmap.errors import RequestError
from posthouse.jmap.push import Watched, state_change
from posthouse.jmap.via import Via
from posthouse.web.busy import Busy, TooBusy
from posthouse.web.jmap import via_of
from posthouse.web.login import Caller, Gate, Refused

log: Final = logging.getLogger(__name__)

SUBPROTOCOL: Final = "jmap"
LOGGED_OUT: Final = 1008
"""RFC 6455 §7.4.1: a policy is broken."""
TRY_AGAIN: Final = 1013
"""The registry of RFC 6455 §11.7: try again later."""


class WebSocketPages:
    """The endpoint."""

    def __init__(
        self,
        services: Services,
        dispatcher: Dispatcher,
        gate: Gate,
        public_url: str,
        types: frozenset[str],
    ) -> None:
        """`public_url`: as for `JmapPages`; `types`: those of items that may be told."""
        self._services = services
        self._dispatcher = dispatcher
        self._gate = gate
        self._public_url = public_url.rstrip("/")
        self._types = types
        self._busy = Busy(limits.JMAP_STREAMS)

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [WebSocketRoute("/jmap/ws", self.talk), WebSocketRoute("/jmap/ws/", self.talk)]

    async def talk(self, socket: WebSocket) -> None:
        """One client, until it leaves."""
        try:
            if not _same_origin(socket):
                await socket.close(4403)
                return
            caller = await self._gate.caller(socket)
        except Refused as refused:
            await socket.send_denial_response(refused.response)
            return
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            await socket.close(1002)  # RFC 8887 §3: the client must offer it
            return
        try:
            with self._busy.one(caller.account.account_id):
                await socket.accept(SUBPROTOCOL)
                visit = _Visit(self._gate, socket, caller, self._public_url)
                await _Talk(self._services, self._dispatcher, visit, self._types).run()
        except TooBusy:
            await socket.close(TRY_AGAIN)
        except (WebSocketDisconnect, OSError):
            pass


def _same_origin(socket: WebSocket) -> bool:
    """A page of another origin may speak only with credentials that its script brings (no cookie of ours)."""
    origin = socket.headers.get("origin")
    if origin is None or "authorization" in socket.headers:
        return True
    return urlsplit(origin).netloc == socket.headers.get("host")


class _Visit:
    """A client and who it is, asked anew for each message: a session may end, a token be revoked meanwhile."""

    def __init__(self, gate: Gate, socket: WebSocket, caller: Caller, public_url: str) -> None:
        self.socket = socket
        self.caller = caller
        self._gate = gate
        self._public_url = public_url

    async def check(self) -> None:
        """WebSocketDisconnect when the credentials are good no more; the socket is closed then."""
        found = await self._gate.again(self.socket, self.caller)
        if found is None:
            with contextlib.suppress(RuntimeError):  # closed already, by whoever saw it first
                await self.socket.close(LOGGED_OUT)
            raise WebSocketDisconnect(LOGGED_OUT)
        self.caller = found

    @property
    def via(self) -> Via:
        """How the client has proved who it is."""
        return via_of(self.socket, self.caller, self._public_url)


class _Talk:
    def __init__(
        self, services: Services, dispatcher: Dispatcher, visit: _Visit, types: frozenset[str]
    ) -> None:
        self._services = services
        self._dispatcher = dispatcher
        self._visit = visit
        self._socket = visit.socket
        self._types = types
        self._turn = asyncio.Lock()
        self._pusher: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answer messages in order, until the client leaves or its login is good no more."""
        logins = self._services.directory.open_logins
        log_out = logins.add(self._visit.caller.login(), "jmap", self._send_away)
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._visit.check()
                await self._message(message.get("text"))
        finally:
            log_out()
            await self._end_push()

    def _send_away(self) -> None:
        self._closing = asyncio.create_task(self._close())

    async def _close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            async with self._turn:
                await self._socket.close(LOGGED_OUT)

    async def _message(self, text: str | None) -> None:
        request_id = None
        try:
            if text is None:
                raise RequestError("notJSON", "messages are text")  # RFC 8887 §4.1
            tree = await read_json(text.encode("utf-8", "replace"))
            if not isinstance(tree, dict):
                raise RequestError("notRequest", "an object is wanted")
            request_id = tree.get("id")
            await self._object(tree)
        except RequestError as fault:
            error: dict[str, Any] = {"@type": "RequestError", "requestId": request_id, "type": fault.kind}
            error |= {"status": 400, "detail": fault.public}
            await self._send(error | ({"limit": fault.limit} if fault.limit else {}))

    async def _object(self, tree: dict[str, Any]) -> None:
        kind = tree.get("@type")
        if kind == "Request":
            request = as_request({k: v for k, v in tree.items() if k not in {"@type", "id"}})
            caller = self._visit.caller
            answer = await self._dispatcher.process(
                request, caller.account, caller.app_password_id, self._visit.via
            )
            response = msgspec.to_builtins(answer)
            named = {"requestId": tree["id"]} if tree.get("id") is not None else {}
            await self._send({"@type": "Response"} | named | response)
        elif kind == "WebSocketPushEnable":
            types, state = tree.get("dataTypes"), tree.get("pushState")
            if not (types is None or isinstance(types, list)) or not (
                state is None or isinstance(state, str)
            ):
                raise RequestError("notRequest", "dataTypes is an array or null")
            await self._end_push()
            wanted = None if types is None else frozenset(map(str, types))
            watched = Watched(
                self._services.store, self._visit.caller.account.account_id, self._types, wanted
            )
            await watched.begin(state)
            self._pusher = asyncio.create_task(self._push(watched))
        elif kind == "WebSocketPushDisable":
            await self._end_push()
        else:
            raise RequestError("notRequest", "no such @type")

    async def _send(self, value: Any) -> None:
        async with self._turn:
            if self._closing is not None:
                raise WebSocketDisconnect(LOGGED_OUT)
            await self._socket.send_text(msgspec.json.encode(value).decode())

    async def _push(self, watched: Watched) -> None:
        changed = asyncio.Event()
        changed.set()
        watched.watch(changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                await self._visit.check()
                news = await watched.news()
                if news:
                    await self._send(state_change(news, watched.mark))
        except (OSError, RuntimeError, WebSocketDisconnect):
            pass  # the socket is closed; the other task hears it too
        except Temporary as fault:
            # Who comes back with its pushState misses nothing; who stayed would wait for ever.
            log.warning("push account=%d ended: %s", watched.account_id, fault.public)
            with contextlib.suppress(OSError, RuntimeError):
                await self._socket.close(TRY_AGAIN)
        finally:
            watched.end()

    async def _end_push(self) -> None:
        pusher, self._pusher = self._pusher, None
        if pusher is not None:
            pusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pusher
