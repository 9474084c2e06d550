"""Visible text of HTML mail, for search and previews: a bounded stripper, no renderer.

One pass, linear in the size of the source, never raises. Scripts, styles and comments are left out, block
elements end a line, character references are resolved. What looks like no tag stays text.
"""

from __future__ import annotations

import html
import re
from typing import Final

# A value in quotes may hold `>`: `<img alt="Shop now >">`.
_WITHIN: Final = r"""(?:[^<>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+"""
_MARK: Final = re.compile(rf"<(?:(!--)|/?([A-Za-z][A-Za-z0-9]*+){_WITHIN}>?|[!?][^<>]*+>?)")
_DIGITS: Final = 7
"""Of the highest character's number."""
_LONG_NUMBER: Final = re.compile(rf"&#([0-9]{{{_DIGITS + 1},}}+)")
_HIDDEN: Final = {
    name: re.compile(f"</{name}", re.IGNORECASE)
    for name in ("script", "style", "head", "template", "svg", "math")
}
_BREAKING: Final = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "caption",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    }
)
"""Elements that end a line of text."""


def html_text(source: str, enough: int | None = None) -> str:
    """The text of an HTML source that a reader would see, lines apart as blocks are.

    `enough`: end where so many characters (without the white space between elements) have been found.
    """
    out: list[str] = []
    position, left = 0, len(source) + 1 if enough is None else enough
    while left > 0 and (match := _MARK.search(source, position)) is not None:
        piece = source[position : match.start()]
        out.append(piece)
        if enough is not None and not piece.isspace():
            left -= len(piece)
        position = match.end()
        if match[1] is not None:
            end = source.find("-->", position - 2)  # `<!-->` is one too
            position = len(source) if end < 0 else end + 3
            continue
        name = match[2].lower() if match[2] else ""
        if name in _BREAKING:
            out.append("\n")
        elif name in _HIDDEN and source[match.start() + 1] != "/":
            closing = _HIDDEN[name].search(source, position)
            # A head that is never closed hides nothing: browsers end it at the first visible element.
            position = closing.start() if closing else (position if name == "head" else len(source))
    if left > 0:
        out.append(source[position:])
    text = "".join(out)
    return html.unescape(_LONG_NUMBER.sub(_short_number, text)) if "&" in text else text


def _short_number(found: re.Match[str]) -> str:
    """A character by number as short as it can be: Python reads no number of thousands of digits."""
    digits = found[1].lstrip("0") or "0"
    return f"&#{digits}" if len(digits) <= _DIGITS else "\ufffd"
