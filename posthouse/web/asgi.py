"""The web application: one table of routes, the security fields around it, refusals in one place.

A part of the web tier is a class with `routes()`; its row stands in `build`. Whoever adds a way to log in adds an
`Authenticator` to the list there.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from posthouse.accounts.security import Security
from posthouse.errors import Temporary
from posthouse.jmap.capabilities import KNOWN, OURS
from posthouse.jmap.context import Services
from posthouse.jmap.dispatch import Dispatcher
from posthouse.jmap.methods import METHODS, TOLD_TYPES
from posthouse.web.bearer_login import BearerToken, SessionCookie
from posthouse.web.entrance.routes import Entrance
from posthouse.web.event_source import EventSourcePages
from posthouse.web.headers import Headers
from posthouse.web.image_proxy import ImageProxy
from posthouse.web.jmap import JmapPages
from posthouse.web.jmap_blobs import BlobPages
from posthouse.web.jmap_websocket import WebSocketPages
from posthouse.web.login import Authenticator, Basic, Gate, Refused
from posthouse.web.pages import Pages
from posthouse.web.problems import problem
from posthouse.web.reading import Reading
from posthouse.web.server import Application


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about the web tier."""

    plaintext: str = "loopback"
    """`auth.plaintext`."""
    public_url: str = ""
    """Our address as browsers see it, when a proxy stands before us; empty: as each request says."""


def build(
    services: Services,
    settings: Settings,
    pages: Pages,
    images: ImageProxy,
    security: Security,
    well_known: Sequence[BaseRoute],
) -> Application:
    """The application. `pages` is loaded already; `well_known`: what is answered to anybody, beside."""
    directory, public_url = services.directory, settings.public_url
    authenticators: list[Authenticator] = [
        SessionCookie(security.bearers, public_url),
        BearerToken(security.bearers, directory),
        Basic(directory, settings.plaintext),
    ]
    gate = Gate(authenticators)
    dispatcher = Dispatcher(services, METHODS, KNOWN | OURS)
    routes: list[BaseRoute] = [
        *JmapPages(services, dispatcher, gate, settings.public_url).routes(),
        *Entrance(directory, security, plaintext=settings.plaintext, public_url=public_url).routes(),
        *well_known,
        *BlobPages(services, gate).routes(),
        *EventSourcePages(services, gate, TOLD_TYPES).routes(),
        *WebSocketPages(services, dispatcher, gate, public_url, TOLD_TYPES).routes(),
        *Reading(gate, images).routes(),
        Route("/{path:path}", pages.answer, methods=["GET"]),
    ]
    handlers = {Refused: _refused, Temporary: _unavailable}
    return Headers(Starlette(routes=routes, exception_handlers=handlers))


async def _refused(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Refused)
    return fault.response


async def _unavailable(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Temporary)
    response = problem(503, "about:blank", fault.public)
    response.headers["retry-after"] = "30"
    return response
