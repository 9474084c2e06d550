"""HTML mail made harmless on the server: the first of three layers (the browser sanitises again, in a closed frame).

Tags and attributes by a list of what may stay; scripts, forms, frames, SVG and MathML are not on it. Nothing in the
result loads by itself: remote images become `remote:` addresses that lead through our own proxy once the reader
wants them, `cid:` images stay names, other schemes go. Links open apart and say nothing of where they were clicked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec
import nh3

from posthouse.errors import PosthouseError
from posthouse.limits import MAIL_ADDRESS, MAIL_HTML_TAGS
from posthouse.web.mail_css import safe_declarations, safe_sheet

_TAG_NAMES: Final = """
a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main
mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th
thead time tr tt u ul var wbr
"""
_TAGS: Final = frozenset(_TAG_NAMES.split())
_UNSEEN_NAMES: Final = """
script style title head template noscript noframes noembed iframe object applet svg math select textarea
"""
_UNSEEN: Final = frozenset(_UNSEEN_NAMES.split())
"""Elements that go with all that is in them."""
_SIZES: Final = {"width", "height", "align", "valign", "bgcolor"}
_ATTRIBUTES: Final = {
    "*": {"style", "class", "dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "border", "hspace", "vspace", *_SIZES},
    "table": {"border", "cellpadding", "cellspacing", "summary", "rules", "frame", *_SIZES},
    "td": {"colspan", "rowspan", "nowrap", "headers", "abbr", *_SIZES},
    "th": {"colspan", "rowspan", "nowrap", "scope", "abbr", *_SIZES},
    "tr": _SIZES,
    "tbody": _SIZES,
    "thead": _SIZES,
    "tfoot": _SIZES,
    "col": {"span", *_SIZES},
    "colgroup": {"span", *_SIZES},
    "div": {"align", "bgcolor"},
    "p": {"align"},
    **{f"h{level}": {"align"} for level in range(1, 7)},
    "hr": {"size", "noshade", "color", *_SIZES},
    "font": {"color", "face", "size"},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value", "type"},
    "blockquote": {"type"},
    "details": {"open"},
    "time": {"datetime"},
}
_SCHEMES: Final = {"http", "https", "mailto", "tel", "sms", "xmpp", "cid", "data"}
_LINKS: Final = frozenset({"http", "https", "mailto", "tel", "sms", "xmpp"})
_PICTURE: Final = re.compile(
    r"data:image/(?:png|gif|jpe?g|webp|bmp|avif);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE
)
"""Pictures in the message itself; never SVG, which is a document."""
_SHEET_BEGINS: Final = re.compile(r"<style\b[^>]{0,1000}>", re.IGNORECASE)
_SHEET_ENDS: Final = re.compile(r"</style", re.IGNORECASE)
_START_TAG: Final = re.compile(r"<[a-zA-Z]")
_BODY: Final = re.compile(r"<(/?)body\b", re.IGNORECASE)

REMOTE: Final = "remote:"
"""Stands before the proxy's address of a picture that is loaded only when the reader wants it."""


class TooComplex(PosthouseError):
    """A text that nobody wrote to be read: making it safe would take too long."""


class SafeHtml(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of HTML that may be shown."""

    html: str
    style_sheet: str
    """CSS for a `style` element of the same document."""
    remote_images: int
    """How many pictures wait behind `remote:` addresses."""


def make_safe(source: str, proxied: Callable[[str], str]) -> SafeHtml:
    """The harmless form of an HTML mail. Blocking: some milliseconds per 100 KB, so call it in a thread.

    `proxied` gives the proxy's address for a remote picture's. TooComplex: show the plain text instead.
    """
    remote = 0

    def filtered(tag: str, attribute: str, value: str) -> str | None:
        nonlocal remote
        if attribute == "style":
            return safe_declarations(value) or None
        if tag == "a" and attribute == "href":
            return value if _scheme(value) in _LINKS else None
        if tag == "img" and attribute == "src":
            found = _picture(value, proxied)
            remote += found is not None and found.startswith(REMOTE)
            return found
        return value

    if len(_START_TAG.findall(source)) > MAIL_HTML_TAGS:
        raise TooComplex("the text has too many tags to be shown")
    sheet = safe_sheet("\n".join(_sheets(source)))
    # What a body element says of colours would be lost with it; what stands there is sanitised like all else.
    html = nh3.clean(
        _BODY.sub(r"<\1div", source, count=2),
        tags=set(_TAGS),
        clean_content_tags=set(_UNSEEN),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=filtered,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"loading": "lazy"}},
    )
    return SafeHtml(html=html, style_sheet=sheet, remote_images=remote)


def _sheets(source: str) -> Iterator[str]:
    """The texts of all `style` elements."""
    position = 0
    while (begin := _SHEET_BEGINS.search(source, position)) is not None:
        end = _SHEET_ENDS.search(source, begin.end())
        if end is None:
            return
        yield source[begin.end() : end.start()]
        position = end.end()


def _scheme(address: str) -> str:
    try:
        return urlsplit(address.strip()).scheme.lower() if len(address) <= MAIL_ADDRESS else ""
    except ValueError:
        return ""


def _picture(value: str, proxied: Callable[[str], str]) -> str | None:
    value = value.strip()
    if _PICTURE.fullmatch(value):
        return value
    match _scheme(value):
        case "http" | "https":
            return REMOTE + proxied(value)
        case "cid":
            return value
    return None
