"""What the reading pane needs beside JMAP: the closed frame, HTML made safe, remote pictures through our proxy.

The frame is an empty document with a policy of its own: no script runs in it, nothing but our own pictures loads,
no form is sent, and only our own pages may hold it. The application writes into it what it has sanitised again.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from posthouse.limits import MAIL_HTML, MAIL_HTML_AT_ONCE
from posthouse.web.image_proxy import PATH, ImageProxy, NoPicture
from posthouse.web.login import Gate
from posthouse.web.mail_html import TooComplex, make_safe
from posthouse.web.problems import problem

_FRAME_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
        "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
    )
)
"""allow-same-origin lets our page write into the frame and its pictures carry our cookie; scripts stay off."""
_FRAME: Final = (
    b'<!doctype html><html><head><meta charset="utf-8"><title>-</title></head><body></body></html>'
)
_FRAME_FIELDS: Final = {
    "content-security-policy": _FRAME_POLICY,
    "x-frame-options": "SAMEORIGIN",
    "cache-control": "private, max-age=86400",
}
_PICTURE_FIELDS: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, max-age=86400, immutable",
    "cross-origin-resource-policy": "same-origin",
}


class Reading:
    """The routes. All but the empty frame ask the gate who is there."""

    def __init__(self, gate: Gate, proxy: ImageProxy) -> None:
        self._gate = gate
        self._proxy = proxy
        self._turns = asyncio.Semaphore(MAIL_HTML_AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [
            Route("/mail/frame", self.frame, methods=["GET"]),
            Route("/mail/safe", self.safe, methods=["POST"]),
            Route(PATH, self.image, methods=["GET"]),
        ]

    async def frame(self, _request: Request) -> Response:
        """The empty document that a mail is shown in."""
        return Response(_FRAME, HTTPStatus.OK, _FRAME_FIELDS, "text/html; charset=utf-8")

    async def safe(self, request: Request) -> Response:
        """HTML (UTF-8) in, its harmless form out: `SafeHtml` as JSON."""
        await self._gate.caller(request)
        pieces: list[bytes] = []
        octets = 0
        try:
            async for piece in request.stream():
                octets += len(piece)
                if octets > MAIL_HTML:
                    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "about:blank", "the text is too long")
                pieces.append(piece)
        except ClientDisconnect:
            return problem(HTTPStatus.BAD_REQUEST, "about:blank", "the request stopped halfway")
        source = b"".join(pieces).decode("utf-8", "replace")
        try:
            async with self._turns:
                found = await asyncio.to_thread(make_safe, source, self._proxy.proxied)
        except TooComplex as fault:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "about:blank", fault.public)
        return Response(
            msgspec.json.encode(found), HTTPStatus.OK, {"cache-control": "no-store"}, "application/json"
        )

    async def image(self, request: Request) -> Response:
        """A remote picture whose address we signed."""
        await self._gate.caller(request)
        address, key = request.query_params.get("url", ""), request.query_params.get("key", "")
        if not self._proxy.is_ours(address, key):
            return problem(HTTPStatus.FORBIDDEN, "about:blank", "this address was not given out here")
        try:
            picture = await self._proxy.fetch(address)
        except NoPicture as fault:
            return problem(HTTPStatus.NOT_FOUND, "about:blank", fault.public)
        return Response(picture.content, HTTPStatus.OK, _PICTURE_FIELDS, picture.media_type)
