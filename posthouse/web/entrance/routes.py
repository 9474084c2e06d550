"""Logging in and out in the browser: password, second factor or passkey → a session cookie.

A new session has a new secret, whatever the browser brought (no fixation). Forms carry a token sealed for the
browser's own cookie, and are taken from our own pages only. Delays and bans are the directory's, shared with every
other door. The page never says whether a name exists.
"""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import LoginDelayed, LoginFailed
from posthouse.accounts.security import Security
from posthouse.accounts.throttle import stand_in
from posthouse.errors import StoreUnavailable, Temporary
from posthouse.store.model import Account
from posthouse.web import cookies
from posthouse.web.entrance.page import SEAL, View, code_page, logout_page, password_page
from posthouse.web.entrance.words import words_for
from posthouse.web.login import may_send_password, peer_of
from posthouse.web.origin import from_our_page, inner_path, is_secure, site_of

log: Final = logging.getLogger(__name__)
_FORM: Final = "form"
_STEP: Final = "step"
_FAULTS: Final = {"wrong-passkey", "expired"}
"""What the address may say went wrong."""


class PasskeyAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page's script sends."""

    ticket: str
    answer: dict[str, Any]


class Entrance:
    """The pages. `plaintext` is `auth.plaintext`, `public_url` is `web.url`."""

    def __init__(self, directory: Directory, security: Security, *, plaintext: str, public_url: str) -> None:
        self._directory = directory
        self._security = security
        self._plaintext = plaintext
        self._public_url = public_url

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [
            Route("/login", self.form, methods=["GET"]),
            Route("/login", self.password, methods=["POST"]),
            Route("/login/code", self.code, methods=["POST"]),
            Route("/login/passkey", self.ask_passkey, methods=["GET"]),
            Route("/login/passkey", self.passkey, methods=["POST"]),
            Route("/login/style.css", _file("style.css", "text/css; charset=utf-8")),
            Route("/login/passkey.js", _file("passkey.js", "text/javascript; charset=utf-8")),
            Route("/login/seal.svg", _seal),
            Route("/logout", self.ask_logout, methods=["GET"]),
            Route("/logout", self.logout, methods=["POST"]),
        ]

    # --- pages ---------------------------------------------------------------------------------------

    async def form(self, request: Request) -> Response:
        """The first page; the second one when a password was given just now."""
        fault = request.query_params.get("fault", "")
        asked = request.query_params
        onward = inner_path(asked.get("to") or asked.get("next") or "/")
        again = "again" in request.query_params
        step = not again and await self._stepped(request) is not None
        response = self._show(
            request, onward, fault=fault if fault in _FAULTS else "", step=step, status=HTTPStatus.OK
        )
        if again:
            cookies.drop(response, cookies.STEP, secure=is_secure(site_of(request, self._public_url)))
        if (wish := request.query_params.get("lang")) in {"en", "zh-CN"}:
            secure = is_secure(site_of(request, self._public_url))
            response.set_cookie(
                cookies.LOCALE, str(wish), max_age=limits.WEB_SESSION_LIFE, secure=secure, samesite="strict"
            )
        return response

    def _show(
        self,
        request: Request,
        onward: str,
        *,
        fault: str = "",
        login: str = "",
        step: bool = False,
        status: int = HTTPStatus.UNAUTHORIZED,
        page: Any = None,
    ) -> Response:
        site = site_of(request, self._public_url)
        secure = is_secure(site)
        known = cookies.read(request, cookies.FORM, secure=secure)
        mark = known or secrets.token_urlsafe(18)
        if not fault and not may_send_password(request, self._plaintext):
            fault = "clear"
        view = View(
            words=words_for(request),
            form=self._security.tickets.seal(_FORM, mark, limits.LOGIN_FORM_TIME),
            onward=onward,
            fault=fault,
            login=login,
            passkeys=secure or site.host in {"localhost", "127.0.0.1"},
        )
        shown = page or (code_page if step else password_page)
        # With "no-referrer" browsers would send our own form with "Origin: null".
        headers = {"cache-control": "no-store", "referrer-policy": "same-origin"}
        response = HTMLResponse(shown(view), status, headers)
        if not known:
            cookies.put(response, cookies.FORM, mark, secure=secure)
        return response

    # --- the steps -----------------------------------------------------------------------------------

    async def password(self, request: Request) -> Response:
        """Name and password came."""
        fields, onward, fault = await self._fields(request)
        login = fields.get("login", "")[:320]
        if not fault and not may_send_password(request, self._plaintext):
            fault = "clear"
        if fault:
            return self._show(request, onward, fault=fault, login=login, status=HTTPStatus.FORBIDDEN)
        peer = peer_of(request).host
        try:
            proved = await self._directory.authenticate(login, fields.get("password", ""), peer, "FORM", "")
            if not await self._directory.second_factor(proved.account):
                return await self._enter(request, proved.account, onward, "password")
        except LoginDelayed:
            return self._busy(request, onward, login=login)
        except LoginFailed:
            log.info("refused login peer=%s page=password", peer)
            return self._show(request, onward, fault="wrong", login=login)
        except (StoreUnavailable, Temporary):
            return self._unavailable(request, onward, login=login)
        target = "/login?" + urlencode({"next": onward})
        response = RedirectResponse(target, HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
        secure = is_secure(site_of(request, self._public_url))
        ticket = self._security.tickets.seal(_STEP, _step_of(proved.account), limits.LOGIN_STEP)
        cookies.put(response, cookies.STEP, ticket, secure=secure, seconds=int(limits.LOGIN_STEP))
        return response

    async def code(self, request: Request) -> Response:
        """The second factor came."""
        fields, onward, fault = await self._fields(request)
        if fault:
            return self._show(request, onward, fault=fault, status=HTTPStatus.FORBIDDEN)
        account = await self._stepped(request)
        if account is None:
            return self._show(request, onward, fault="expired")
        peer = peer_of(request).host
        try:
            self._directory.admit(account.address, peer)
            if await self._security.factors.check_code(account, fields.get("code", "")[:40]):
                self._directory.succeeded(account, peer)
                return await self._enter(request, account, onward, "password+code")
            await self._directory.refused(account.address, peer)
        except LoginDelayed:
            return self._busy(request, onward, step=True)
        except LoginFailed:
            log.info("refused login peer=%s account=%s page=code", peer, account.address)
        except (StoreUnavailable, Temporary):
            return self._unavailable(request, onward, step=True)
        return self._show(request, onward, fault="wrong-code", step=True)

    async def _stepped(self, request: Request) -> Account | None:
        """Who gave the right password just now."""
        secure = is_secure(site_of(request, self._public_url))
        ticket = cookies.read(request, cookies.STEP, secure=secure)
        text = self._security.tickets.open(_STEP, ticket) if ticket else None
        if text is None:
            return None
        account = await self._directory.account(text.partition(" ")[0])
        if account is None or account.disabled or _step_of(account) != text:
            return None
        return account

    async def ask_passkey(self, request: Request) -> Response:
        """The challenge for the page's script."""
        asked = self._security.passkeys.ask(site_of(request, self._public_url))
        body = {"options": asked.options, "ticket": asked.ticket}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    async def passkey(self, request: Request) -> Response:
        """The passkey's answer."""
        site = site_of(request, self._public_url)
        if not from_our_page(request, site):
            return JSONResponse({"fault": "foreign"}, HTTPStatus.FORBIDDEN)
        peer = peer_of(request).host
        try:
            sent = msgspec.json.decode(await _body(request), type=PasskeyAnswer)
            self._directory.admit(stand_in(peer), peer)
            account = await self._security.passkeys.prove(site, ticket=sent.ticket, answer=sent.answer)
        except (msgspec.DecodeError, RecursionError, _TooLong):
            return JSONResponse({"fault": "wrong-passkey"}, HTTPStatus.BAD_REQUEST)
        except LoginDelayed:
            return JSONResponse({"fault": "delayed"}, HTTPStatus.TOO_MANY_REQUESTS)
        except LoginFailed:
            log.info("refused login peer=%s page=passkey", peer)
            return await self._passkey_refused(peer)
        return await self._enter(request, account, "/", "passkey", redirect=False)

    async def _passkey_refused(self, peer: str) -> Response:
        """No name is known: the address stands for it in the count."""
        try:
            await self._directory.refused(stand_in(peer), peer)
        except LoginDelayed:
            return JSONResponse({"fault": "delayed"}, HTTPStatus.TOO_MANY_REQUESTS)
        except LoginFailed:
            pass
        return JSONResponse({"fault": "wrong-passkey"}, HTTPStatus.UNAUTHORIZED)

    async def _enter(
        self, request: Request, account: Account, onward: str, how: str, *, redirect: bool = True
    ) -> Response:
        """Open a session: a new secret, and the marks of the steps go."""
        peer = peer_of(request).host
        agent = request.headers.get("user-agent", "")
        secure = is_secure(site_of(request, self._public_url))
        before = cookies.read(request, cookies.SESSION, secure=secure)
        if before:
            await self._security.bearers.end_session(before)
        secret = await self._security.bearers.open_session(account, peer=peer, agent=agent)
        log.info("login account=%s peer=%s mechanism=%s page=web", account.address, peer, how)
        headers = {"cache-control": "no-store"}
        response: Response = (
            RedirectResponse(onward, HTTPStatus.SEE_OTHER, headers)
            if redirect
            else JSONResponse({}, headers=headers)
        )
        cookies.put(response, cookies.SESSION, secret, secure=secure, seconds=limits.WEB_SESSION_LIFE)
        cookies.drop(response, cookies.STEP, secure=secure)
        cookies.drop(response, cookies.FORM, secure=secure)
        return response

    # --- out -----------------------------------------------------------------------------------------

    async def ask_logout(self, request: Request) -> Response:
        """A link must not log anybody out: a page with a button."""
        return self._show(request, "/login", status=HTTPStatus.OK, page=logout_page)

    async def logout(self, request: Request) -> Response:
        """End the session and forget what the browser keeps of it."""
        site = site_of(request, self._public_url)
        if not from_our_page(request, site):
            return self._show(request, "/", fault="foreign", status=HTTPStatus.FORBIDDEN)
        secure = is_secure(site)
        if secret := cookies.read(request, cookies.SESSION, secure=secure):
            await self._security.bearers.end_session(secret)
        headers = {"cache-control": "no-store", "clear-site-data": '"cache", "storage"'}
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER, headers)
        for name in (cookies.SESSION, cookies.STEP):
            cookies.drop(response, name, secure=secure)
        return response

    # --- what came -----------------------------------------------------------------------------------

    async def _fields(self, request: Request) -> tuple[dict[str, str], str, str]:
        """(fields of the form, where to go on, what is wrong with it)."""
        site = site_of(request, self._public_url)
        try:
            raw = await _body(request)
            fields = dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=16))
        except (ValueError, _TooLong):
            return {}, "/", "foreign"
        onward = inner_path(fields.get("next", "/"))
        if not from_our_page(request, site):
            return {}, onward, "foreign"
        mark = cookies.read(request, cookies.FORM, secure=is_secure(site))
        if not mark:
            return fields, onward, "cookies"
        sealed = self._security.tickets.open(_FORM, fields.get(_FORM, ""))
        if sealed is None or not secrets.compare_digest(sealed.encode(), mark.encode()):
            return fields, onward, "expired"
        return fields, onward, ""

    def _busy(self, request: Request, onward: str, *, login: str = "", step: bool = False) -> Response:
        status = HTTPStatus.TOO_MANY_REQUESTS
        response = self._show(request, onward, fault="delayed", login=login, step=step, status=status)
        response.headers["retry-after"] = str(limits.HTTP_RETRY_AFTER)
        return response

    def _unavailable(self, request: Request, onward: str, *, login: str = "", step: bool = False) -> Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return self._show(request, onward, fault="unavailable", login=login, step=step, status=status)


class _TooLong(Exception):
    """The body is larger than any form of ours."""


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > limits.LOGIN_FORM:
            raise _TooLong
    return bytes(found)


def _step_of(account: Account) -> str:
    """Names the account and the password that was right: a change of it ends the step."""
    return f"{account.address} {account.password[-16:]}"


def _file(name: str, kind: str) -> Any:
    body = (resources.files("posthouse.web.entrance") / name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(body, headers={"cache-control": "no-cache"}, media_type=kind)

    return answer


async def _seal(_request: Request) -> Response:
    drawn = SEAL.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return Response(drawn, headers={"cache-control": "no-cache"}, media_type="image/svg+xml")
