"""Errors of the web as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response


def problem(status: int, kind: str, detail: str, **more: Any) -> Response:
    """A response that says what went wrong; `kind` is the problem's type URI."""
    body = {"type": kind, "status": int(status), "title": HTTPStatus(status).phrase, "detail": detail} | more
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")
