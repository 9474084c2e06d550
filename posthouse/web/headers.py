"""Fields that every response carries: what a browser must never do with our pages, and who may read JMAP.

A page gets the strict policy unless its own route sets another. JMAP may be read by pages of any origin, as RFC
8620 wants for clients of others; cookies never travel with such requests, because no origin is named.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from posthouse.web.server import Application, Message, Receive, Send

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "frame-src 'self' blob:",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    ),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""Over TLS only (RFC 6797 §7.2)."""
CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", b"86400"),
)
OPEN_TO_ALL: Final = ("/jmap", "/.well-known/jmap")
"""Paths that pages of other origins may read (their scripts must bring credentials of their own)."""


class Headers:
    """Wraps the application and adds the fields that it did not set itself."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        more = list(SECURITY)
        if scope["scheme"] == "https":
            more.append(HSTS)
        shared = scope["path"].startswith(OPEN_TO_ALL)
        if shared:
            more += CORS

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in more if pair[0] not in there)]
            await send(message)

        if shared and scope["method"] == "OPTIONS":
            await add({"type": "http.response.start", "status": 204, "headers": []})
            await add({"type": "http.response.body", "body": b""})
            return
        await self._application(scope, receive, add)
