"""Leaving a mailing list by the link in its mail (RFC 8058): a POST leaves at once, a GET only shows a button.

Who reads mail follows links, and so do filters and previews: RFC 8058 §1 has them GET, so a GET changes nothing. The
link's token is all the proof there is (§3.1), no cookie or login counts. Who has none that is good hears the same
whether the list exists or not.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from html import escape
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.store.mailing_lists import MailingList
from posthouse.web.entrance.page import card
from posthouse.web.entrance.words import words_for

# RFC 8058 §3.1: the one pair that is posted, in either form of an HTML form (§3.2).
_PAIR: Final = ("List-Unsubscribe", "One-Click")
_IN_PARTS: Final = re.compile(
    rb'name="?List-Unsubscribe"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n[ \t]*One-Click[ \t]*\r\n', re.IGNORECASE
)
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "Leave a mailing list",
        "ask": "Do you want no more mail from {list}?",
        "leave": "Leave the list",
        "left-title": "You have left",
        "left": "No more mail from {list} will come to you. Some that is on its way may still arrive.",
        "bad-title": "This link is not good",
        "bad": "It is not whole, or whom it was made for has left the list already.",
    },
    "zh-CN": {
        "title": "退订邮件列表",
        "ask": "不再接收 {list} 的邮件？",
        "leave": "退订",
        "left-title": "已退订",
        "left": "今后不会再收到 {list} 的邮件；已在途中的可能仍会送到。",
        "bad-title": "链接无效",
        "bad": "链接不完整，或者对应的成员已经退出列表。",
    },
}


class Leave(Protocol):
    """`inbound.lists.MailingLists.leave`."""

    def __call__(self, address: str, token: str, *, really: bool) -> Awaitable[MailingList | None]:
        """Whose list a token lets its member leave, and with `really`: the member leaves."""
        ...


class LeavingPages:
    """The link's page."""

    def __init__(self, leave: Leave) -> None:
        self._leave = leave

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        path = "/unsubscribe/{address}/{token}"
        return [Route(path, self.ask, methods=["GET"]), Route(path, self.leave, methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """Somebody followed the link."""
        found = await self._found(request, really=False)
        return _page(request, found, "ask") if found is not None else _nobody(request)

    async def leave(self, request: Request) -> Response:
        """A mail program, or our own button, posts."""
        try:
            meant = await _is_meant(request)
        except ClientDisconnect:
            meant = False
        found = await self._found(request, really=meant)
        if found is None:
            return _nobody(request)
        return _page(request, found, "left" if meant else "ask", 200 if meant else HTTPStatus.BAD_REQUEST)

    async def _found(self, request: Request, *, really: bool) -> MailingList | None:
        given = request.path_params
        return await self._leave(given["address"], given["token"], really=really)


async def _is_meant(request: Request) -> bool:
    """Whether the body says that the member leaves."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.LEAVING_FORM:
            return False
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return _IN_PARTS.search(body) is not None
    return _PAIR in parse_qsl(body.decode("latin-1"))


def _page(request: Request, one: MailingList, key: str, status: int = HTTPStatus.OK) -> Response:
    words = {**(common := words_for(request)), **WORDS[common["lang"]]}
    name = f"{one.title} ({one.address})" if one.title else one.address
    inside = f'<p class="hint">{escape(words[key].format(list=name))}</p>'
    if key == "ask":
        inside += (
            f'<form method="post"><input type="hidden" name="{_PAIR[0]}" value="{_PAIR[1]}">'
            f'<button type="submit">{escape(words["leave"])}</button></form>'
        )
    return _shown(words, words["title" if key == "ask" else "left-title"], inside, status)


def _nobody(request: Request) -> Response:
    words = {**(common := words_for(request)), **WORDS[common["lang"]]}
    inside = f'<p class="hint">{escape(words["bad"])}</p>'
    return _shown(words, words["bad-title"], inside, HTTPStatus.NOT_FOUND)


def _shown(words: Mapping[str, str], title: str, inside: str, status: int) -> Response:
    page = card(words, title, inside, switch=f"?lang={words['other-code']}")
    return HTMLResponse(page, status, {"cache-control": "no-store"})
