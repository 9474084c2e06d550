"""The login page as HTML: one card on paper. Everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final
from urllib.parse import urlencode

import msgspec

SEAL: Final = (
    '<svg class="seal" viewBox="0 0 64 64" aria-hidden="true">'
    '<rect x="2" y="2" width="60" height="60" rx="9" fill="#b8321f"/>'
    '<rect x="6.5" y="6.5" width="51" height="51" rx="5.5" fill="none" stroke="#fff" stroke-opacity=".55"'
    ' stroke-width="1.5"/><g fill="none" stroke="#fff" stroke-width="4.2" stroke-linecap="square">'
    '<path d="M14 17h13l-1.6 14.5"/><path d="M17.4 19.5 15.8 32h13.4l-1.4 13.2c-.3 2.6-1.6 3-4.8 2.6"/>'
    '<path d="M13.6 41.5 23 39.4"/><path d="M34 16.6h15.2C46.4 23.4 41 28.4 34.4 30.8"/>'
    '<path d="M37.4 18.6c2.8 5.6 7.6 9.8 13.8 12"/><path d="M36 36.4h13.6"/><path d="M33.4 43.2h18.8"/>'
    '<path d="M42.8 31.5v20.3"/></g></svg>'
)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows."""

    words: Mapping[str, str]
    form: str
    """The form's token."""
    onward: str
    """Where to go after the login."""
    fault: str = ""
    """A key of the words."""
    login: str = ""
    """What was typed as the name."""
    passkeys: bool = False
    """The connection allows passkeys."""


def password_page(view: View) -> str:
    """Name and password."""
    words = view.words
    focus_name, focus_password = ("", " autofocus") if view.login else (" autofocus", "")
    passkey = (
        f'<div class="or" id="passkey" hidden><button type="button" class="quiet">{escape(words["passkey"])}'
        "</button></div>"
        if view.passkeys
        else ""
    )
    fields = (
        f'<label for="login">{escape(words["address"])}</label>'
        f'<input id="login" name="login" type="text" inputmode="email" autocomplete="username"'
        f' autocapitalize="none" spellcheck="false" required maxlength="320" value="{escape(view.login)}"'
        f"{_faulty(view)}{focus_name}>"
        f'<label for="password">{escape(words["password"])}</label>'
        f'<input id="password" name="password" type="password" autocomplete="current-password" required'
        f' maxlength="1024"{_faulty(view)}{focus_password}>'
        f'<button type="submit">{escape(words["submit"])}</button>'
    )
    return _page(view, words["title"], _form(view, "/login", fields) + passkey)


def code_page(view: View) -> str:
    """The second step."""
    words = view.words
    fields = (
        f'<p class="hint" id="hint">{escape(words["code-hint"])}</p>'
        f'<label for="code">{escape(words["code"])}</label>'
        f'<input id="code" name="code" type="text" inputmode="text" autocomplete="one-time-code" required'
        f' maxlength="40" spellcheck="false" autocapitalize="none" autofocus{_faulty(view, "hint")}>'
        f'<button type="submit">{escape(words["go-on"])}</button>'
    )
    back = f'<p class="or"><a href="/login?again=1">{escape(words["back"])}</a></p>'
    return _page(view, words["code-title"], _form(view, "/login/code", fields) + back)


def logout_page(view: View) -> str:
    """For those who come to /logout by a link: a link alone must not log anybody out."""
    words = view.words
    fields = (
        f'<p class="hint">{escape(words["sign-out-text"])}</p>'
        f'<button type="submit">{escape(words["sign-out"])}</button>'
    )
    return _page(view, words["sign-out"], _form(view, "/logout", fields))


def _faulty(view: View, hint: str = "") -> str:
    described = " ".join(filter(None, (hint, "fault" if view.fault else "")))
    text = ' aria-invalid="true"' if view.fault.startswith("wrong") else ""
    return text + (f' aria-describedby="{described}"' if described else "")


def _form(view: View, action: str, fields: str) -> str:
    return (
        f'<form method="post" action="{action}">'
        f'<input type="hidden" name="form" value="{escape(view.form)}">'
        f'<input type="hidden" name="next" value="{escape(view.onward)}">{fields}</form>'
    )


def _page(view: View, title: str, body: str) -> str:
    words = view.words
    fault = ""
    if view.fault:
        fault = f'<p class="fault" id="fault" role="alert">{escape(words[view.fault])}</p>'
    language = urlencode({"lang": words["other-code"], "next": view.onward})
    return card(
        words,
        title,
        fault + body,
        switch=f"/login?{language}",
        head='<script src="/login/passkey.js" defer></script>',
        onward=view.onward,
    )


def card(
    words: Mapping[str, str], title: str, inside: str, *, switch: str, head: str = "", onward: str = ""
) -> str:
    """A page of one card. `switch`: where it is in the other language."""
    return (
        f'<!doctype html><html lang="{words["lang"]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · {escape(words['name'])}</title>"
        '<link rel="icon" href="/login/seal.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="/login/style.css">{head}</head>'
        f'<body data-next="{escape(onward)}"><main>{SEAL}<h1>{escape(words["name"])}</h1>'
        f'<section class="card" aria-label="{escape(title)}"><h2>{escape(title)}</h2>{inside}</section>'
        f'<p class="language"><a href="{escape(switch)}" hreflang="{words["other-code"]}"'
        f' lang="{words["other-code"]}">{words["other"]}</a></p></main></body></html>'
    )
