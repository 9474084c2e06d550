"""JMAP over HTTP (RFC 8620 §2.2, §3): the Session object and the API endpoint."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.jmap.call import as_request, read_json
from posthouse.jmap.context import Services
from posthouse.jmap.dispatch import Dispatcher
from posthouse.jmap.errors import RequestError
from posthouse.jmap.session import session_object
from posthouse.jmap.via import Via
from posthouse.web.busy import Busy, TooBusy
from posthouse.web.login import Caller, Gate, peer_of
from posthouse.web.origin import site_of
from posthouse.web.packing import packed
from posthouse.web.problems import problem

NEVER_KEPT: Final = {"cache-control": "no-cache, no-store, must-revalidate"}
"""RFC 8620 §2: caching the Session object may confuse clients; answers are private anyway."""


class JmapPages:
    """The endpoints. Each asks the gate first who is there."""

    def __init__(self, services: Services, dispatcher: Dispatcher, gate: Gate, public_url: str) -> None:
        """`public_url`: our address as clients see it; empty: as the request says."""
        self._services = services
        self._dispatcher = dispatcher
        self._gate = gate
        self._public_url = public_url.rstrip("/")
        self._busy = Busy(limits.JMAP_REQUESTS)

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [
            Route("/.well-known/jmap", self.session, methods=["GET"]),
            Route("/jmap/session", self.session, methods=["GET"]),
            Route("/jmap", self.api, methods=["POST"]),
            Route("/jmap/", self.api, methods=["POST"]),
        ]

    async def session(self, request: Request) -> Response:
        """The Session object."""
        caller = await self._gate.caller(request)
        found = await session_object(self._services, caller.account, self._base(request))
        return Response(msgspec.json.encode(found), HTTPStatus.OK, NEVER_KEPT, media_type="application/json")

    def _base(self, request: HTTPConnection) -> str:
        if self._public_url:
            return self._public_url
        scheme = "https" if request.url.scheme in {"https", "wss"} else "http"
        return f"{scheme}://{request.url.netloc}"

    async def api(self, request: Request) -> Response:
        """One request of method calls."""
        caller = await self._gate.caller(request)
        try:
            with self._busy.one(caller.account.account_id):
                raw = await _whole(request)
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "application/json":
                    raise RequestError("notJSON", "the content type is not application/json")
                via = via_of(request, caller, self._public_url)
                asked = as_request(await read_json(raw))
                answer = await self._dispatcher.process(asked, caller.account, caller.app_password_id, via)
        except RequestError as fault:
            return refusal(fault)
        except TooBusy:
            return refusal(RequestError("limit", "too many requests at once", limit="maxConcurrentRequests"))
        body, fields = await packed(request, msgspec.json.encode(answer))
        return Response(body, HTTPStatus.OK, NEVER_KEPT | fields, media_type="application/json")


def via_of(request: HTTPConnection, caller: Caller, public_url: str) -> Via:
    """How somebody has proved who they are."""
    return Via(
        mechanism=caller.mechanism,
        credential_id=caller.credential_id or 0,
        app_password=caller.app_password_id is not None,
        peer=peer_of(request).host,
        site=site_of(request, public_url),
    )


def refusal(fault: RequestError) -> Response:
    """RFC 8620 §3.6.1."""
    more = {"limit": fault.limit} if fault.limit else {}
    return problem(HTTPStatus.BAD_REQUEST, fault.kind, fault.public, **more)


async def _whole(request: Request) -> bytes:
    """The body. RequestError when it is longer than JMAP_REQUEST_SIZE."""
    too_large = RequestError("limit", "the request is too large", limit="maxSizeRequest")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limits.JMAP_REQUEST_SIZE:
        raise too_large
    pieces: list[bytes] = []
    octets = 0
    try:
        async for piece in request.stream():
            octets += len(piece)
            if octets > limits.JMAP_REQUEST_SIZE:
                raise too_large
            pieces.append(piece)
    except ClientDisconnect as fault:
        raise RequestError("notJSON", "the request stopped halfway") from fault
    return b"".join(pieces)
