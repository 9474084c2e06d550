"""What one message is for search: its folded texts, their terms, and whether it contains a needle.

`contains` is the definition of a match (RFC 9051 §6.4.4); the index only saves asking it. `analyse` gives the terms
of the very same texts, so that no term can be missing. Pure functions over the raw message.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.limits import SEARCH_HEAD, SEARCH_TERMS
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mime import scan
from posthouse.message.text import SEPARATOR, text_of
from posthouse.message.words import fold, terms

HEADER: Final = "h"
"""Class of terms: all header text."""
BODY: Final = "b"
"""Class of terms: all body text."""
NAME: Final = "n"
"""Class of terms: names of header fields."""
HEADS: Final = {"subject": "s", "from": "f", "to": "t", "cc": "c"}
"""Header fields that people search in: each has a class of its own, and its text stands in the index."""

_LONGEST_NAME: Final = 200
"""Characters of a header field's name that is indexed."""
_PRIVATE: Final = 0xE100
"""Where ASCII punctuation of a header name goes, because the index takes it for the end of a term."""
# What may hide text from a look at the octets; see `_surely_not_in`.
_VEILS: Final = (
    b"=?",
    b"base64",
    b"quoted-printable",
    b"html",
    b"iso-2022",
    b"utf-7",
    b"utf-16",
    b"utf-32",
    b"hz-gb",
    b"\x1b",
    b"\\",
    b"*",
)


class Document(msgspec.Struct, frozen=True):
    """A message as the index holds it."""

    heads: tuple[str, ...] | None
    """Folded texts of the fields of HEADS in their order, several fields of a name on lines; None: too long."""
    terms: dict[str, set[str]]
    """The terms of each class."""


def writable(document: Document | None) -> Document | None:
    """The document. Raises UnicodeEncodeError when no database could take it: that would stop a batch for ever."""
    if document is not None:
        for text in (*(document.heads or ()), *document.terms.values()):
            "".join(text).encode("utf-8")
    return document


def analyse(raw: bytes) -> Document | None:
    """What the index holds of a message; None when it has too many terms and must be scanned each time."""
    headers = Headers.scan(raw)
    header_text, body_text = text_of(raw, scan(raw, headers))
    found = {HEADER: terms(fold(header_text)), BODY: terms(fold(body_text))}
    if len(found[HEADER]) + len(found[BODY]) > SEARCH_TERMS:
        return None
    heads = tuple("\n".join(field_texts(headers, name)) for name in HEADS)
    for class_, text in zip(HEADS.values(), heads, strict=True):
        found[class_] = terms(text)
    names = (name_term(field.name.decode("utf-8", "replace")) for field in headers)
    found[NAME] = {name for name in names if name}
    return Document(heads if sum(map(len, heads)) <= SEARCH_HEAD else None, found)


def field_texts(headers: Headers, name: str) -> list[str]:
    """The folded texts of all fields of a name."""
    return [fold(decode_value(value).replace(SEPARATOR, " ")) for value in headers.all(name)]


def name_term(name: str) -> str | None:
    """A header field's name as a term, or None when it is too long for one."""
    if len(name) > _LONGEST_NAME:
        return None
    return "".join([c if c.isalnum() or ord(c) > 0x7F else chr(_PRIVATE + ord(c)) for c in name.lower()])


def contains(raw: bytes, field: str, needle: str) -> bool:
    """Whether a message contains a folded needle in a field: "text", "body" or "header:NAME"."""
    if field.startswith("header:"):
        texts = field_texts(Headers.scan(raw), field.removeprefix("header:"))
        return any(needle in text for text in texts)
    if not needle:
        return True
    if _surely_not_in(raw, needle):
        return False
    header_text, body_text = text_of(raw, scan(raw))
    if field == "text" and needle in fold(header_text):
        return True
    return needle in fold(body_text)


def _surely_not_in(raw: bytes, needle: str) -> bool:
    """Whether a look at the octets is enough to say no: all is plain ASCII, and a word of the needle is nowhere."""
    if not (raw.isascii() and needle.isascii()):
        return False
    lower = raw.lower()
    if any(veil in lower for veil in _VEILS):
        return False
    return any(word.encode("ascii") not in lower for word in needle.split())
