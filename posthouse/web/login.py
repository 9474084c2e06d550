"""Who is asking: `Authenticator`s are asked in order, the first that finds its kind of credentials decides.

Basic (RFC 7617) with the account's password or an app password stands here; others join the list in `asgi.build`.
Guesses are delayed and counted by the directory as in every other protocol, and a password in clear text is
taken only where `auth.plaintext` allows it.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Protocol

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login, LoginDelayed, LoginFailed
from posthouse.errors import PosthouseError, Temporary
from posthouse.net.endpoint import Endpoint
from posthouse.store.model import Account
from posthouse.web.problems import problem


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has proved who they are."""

    account: Account
    mechanism: str
    """"BASIC", or what another authenticator calls itself."""
    app_password_id: int | None = None
    credential_id: int | None = None
    """The session or token."""
    expires_at: int = 0
    """POSIX seconds at which what was shown ends; 0: never."""

    def login(self) -> Login:
        """The same as other doors know it, for a connection that stays open."""
        return Login(
            account=self.account,
            mechanism=self.mechanism,
            app_password_id=self.app_password_id,
            credential_id=self.credential_id,
            expires_at=self.expires_at,
        )


def caller_of(login: Login) -> Caller:
    """Who has logged in so."""
    return Caller(
        account=login.account,
        mechanism=login.mechanism,
        app_password_id=login.app_password_id,
        credential_id=login.credential_id,
        expires_at=login.expires_at,
    )


class Refused(PosthouseError):
    """The request has no good credentials; `response` says so to the client."""

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


class Authenticator(Protocol):
    """One way to prove who one is."""

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate value that offers it (RFC 9110 §11.6.1); empty: it is not offered."""
        ...

    async def identify(self, request: HTTPConnection) -> Caller | None:
        """Who sent the request; None: it carries no credentials of this kind.

        Raises LoginFailed, LoginDelayed, Refused, and what the store raises.
        """
        ...


class Basic:
    """Name and password in every request (RFC 7617)."""

    challenge = 'Basic realm="Posthouse", charset="UTF-8"'

    def __init__(self, directory: Directory, plaintext: str) -> None:
        """`plaintext`: `auth.plaintext`."""
        self._directory = directory
        self._plaintext = plaintext

    async def identify(self, request: HTTPConnection) -> Caller | None:
        """As `Authenticator.identify`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        peer = peer_of(request)
        if not may_send_password(request, self._plaintext):
            text = "a password may not be sent without TLS"
            raise Refused(problem(HTTPStatus.FORBIDDEN, "about:blank", text))
        try:
            name, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
        except ValueError as fault:  # no base64 (nor even ASCII), or no UTF-8 in it
            raise LoginFailed("the credentials cannot be read") from fault
        if not colon or len(token) > limits.HTTP_HEAD:
            raise LoginFailed("the credentials cannot be read")
        login = await self._directory.authenticate(name, password, peer.host, "BASIC", "jmap")
        return caller_of(login)


def peer_of(request: HTTPConnection) -> Endpoint:
    """The client's end of the connection."""
    client = request.client
    return Endpoint(client.host, client.port) if client is not None else Endpoint("", 0)


def may_send_password(request: HTTPConnection, plaintext: str) -> bool:
    """Whether `auth.plaintext` lets a password travel on this connection."""
    if request.url.scheme in {"https", "wss"} or plaintext == "always":
        return True
    return plaintext == "loopback" and peer_of(request).is_loopback


class Gate:
    """Asks the authenticators, and words the refusals."""

    def __init__(self, authenticators: list[Authenticator]) -> None:
        self._authenticators = authenticators

    async def caller(self, request: HTTPConnection) -> Caller:
        """Who asks. Refused: with the response to send; else what the store raises."""
        try:
            for authenticator in self._authenticators:
                caller = await authenticator.identify(request)
                if caller is not None:
                    return caller
        except LoginDelayed as fault:
            response = problem(HTTPStatus.TOO_MANY_REQUESTS, "about:blank", fault.public)
            response.headers["retry-after"] = str(limits.HTTP_RETRY_AFTER)
            raise Refused(response) from fault
        except LoginFailed as fault:
            raise Refused(self._unauthorized(request, fault.public)) from fault
        raise Refused(self._unauthorized(request, "log in first"))

    async def again(self, request: HTTPConnection, known: Caller) -> Caller | None:
        """Who asks by now, on a connection that stays open; None: the credentials are good no more."""
        try:
            return await self.caller(request)
        except Refused as refused:
            return None if refused.response.status_code == HTTPStatus.UNAUTHORIZED else known
        except Temporary:
            return known  # a fault of ours ends nobody's connection

    def _unauthorized(self, request: HTTPConnection, text: str) -> Response:
        response = problem(HTTPStatus.UNAUTHORIZED, "about:blank", text)
        # A page of ours that asks by script shows its own login page; a challenge would open the browser's window.
        if request.headers.get("sec-fetch-site") != "same-origin":
            for authenticator in self._authenticators:
                if authenticator.challenge:
                    response.headers.append("www-authenticate", authenticator.challenge)
        return response
