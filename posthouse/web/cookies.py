"""Cookies (RFC 6265), strict: for us alone, out of reach of scripts, never on requests from other sites.

SameSite=Strict, not Lax: our pages fetch with scripts of their own once they are open, so a link from elsewhere
still ends in an open mailbox, and no request that another site makes ever carries the session. Over TLS the name
has the prefix __Host-, so that no subdomain and no clear-text answer can plant one.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION: Final = "posthouse-session"
STEP: Final = "posthouse-step"
"""The first of two steps is done."""
FORM: Final = "posthouse-form"
"""Ties the form to the browser that asked for it."""
LOCALE: Final = "posthouse-locale"
"""The language chosen before logging in; scripts may read it."""


def name_of(name: str, *, secure: bool) -> str:
    """The name as it goes over the wire."""
    return f"__Host-{name}" if secure else name


def read(request: HTTPConnection, name: str, *, secure: bool) -> str:
    """A cookie's value, or nothing."""
    return request.cookies.get(name_of(name, secure=secure), "")


def put(response: Response, name: str, value: str, *, secure: bool, seconds: int | None = None) -> None:
    """Set one; without `seconds` it ends with the browser."""
    response.set_cookie(
        name_of(name, secure=secure),
        value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=name != LOCALE,
        samesite="strict",
    )


def drop(response: Response, name: str, *, secure: bool) -> None:
    """Take one away."""
    response.delete_cookie(
        name_of(name, secure=secure), path="/", secure=secure, httponly=True, samesite="strict"
    )
