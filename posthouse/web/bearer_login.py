"""Two ways to be known without a name: a browser's session cookie, and a program's bearer token (RFC 6750)."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from posthouse.accounts.bearers import Bearers, by_bearer
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import LoginFailed
from posthouse.accounts.throttle import stand_in
from posthouse.web import cookies
from posthouse.web.login import Caller, caller_of, peer_of
from posthouse.web.origin import from_our_page, is_secure, site_of


class SessionCookie:
    """The cookie that the login page set. Requests made by other sites' pages are not believed, cookie or not."""

    challenge = ""

    def __init__(self, bearers: Bearers, public_url: str) -> None:
        self._bearers = bearers
        self._public_url = public_url

    async def identify(self, request: HTTPConnection) -> Caller | None:
        """As `Authenticator.identify`."""
        site = site_of(request, self._public_url)
        secret = cookies.read(request, cookies.SESSION, secure=is_secure(site))
        if not secret or "authorization" in request.headers or not from_our_page(request, site):
            return None
        found = await self._bearers.session(secret, peer_of(request).host)
        return None if found is None else caller_of(by_bearer(found, "SESSION"))


class BearerToken:
    """`Authorization: Bearer` with a token made in the settings (RFC 6750 §2.1)."""

    challenge = 'Bearer realm="Posthouse"'

    def __init__(self, bearers: Bearers, directory: Directory) -> None:
        self._bearers = bearers
        self._directory = directory

    async def identify(self, request: HTTPConnection) -> Caller | None:
        """As `Authenticator.identify`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        peer = peer_of(request).host
        found = await self._bearers.token(token.strip(), peer, "jmap")
        if found is None:
            await self._directory.refused(stand_in(peer), peer)
            raise LoginFailed("the token is not good")
        return caller_of(by_bearer(found, "BEARER"))
