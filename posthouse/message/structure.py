"""BODYSTRUCTURE and BODY as ready IMAP text (RFC 9051 §7.5.2, grammar in §9); ENVELOPE is `message.envelope`.

Types are in lower case, sizes those of the encoded body. One departure from a SHOULD of RFC 9051 §7.5.2: a
parameter in RFC 2231's extended form comes out joined, in UTF-8 and under its name with `*`, but still in
that form (`utf-8''%E4…`), since every known client decodes that and few take bare UTF-8 there. When the
decoded value is ASCII it goes out under the plain name.
"""

from __future__ import annotations

from posthouse.message.envelope import envelope, nstring
from posthouse.message.mime import Part
from posthouse.message.parameters import Parameters, extended_value

__all__ = ["body", "body_structure", "envelope"]


def body_structure(part: Part, raw: bytes = b"") -> bytes:
    """BODYSTRUCTURE of a message, with extension data. (`raw` is not needed: the tree holds everything.)"""
    return _body(part, extended=True).encode("utf-8", "surrogateescape")


def body(part: Part) -> bytes:
    """BODY of a message: BODYSTRUCTURE without extension data (RFC 9051 §6.4.5)."""
    return _body(part, extended=False).encode("utf-8", "surrogateescape")


def _body(part: Part, *, extended: bool) -> str:
    if part.children:
        return _multipart(part, extended)
    fields = [
        nstring(part.type),
        nstring(part.subtype),
        _parameters(part.parameters),
        _raw(part.id),
        _raw(part.description),
        nstring(part.encoding),
        str(part.size),
    ]
    if part.message is not None:
        embedded = part.envelope.decode("utf-8", "surrogateescape")
        fields += (embedded, _body(part.message, extended=extended), str(part.lines))
    elif part.type == "text":
        fields.append(str(part.lines))
    if extended:
        fields += (_raw(part.md5), _disposition(part), _languages(part), _raw(part.location))
    return f"({' '.join(fields)})"


def _multipart(part: Part, extended: bool) -> str:
    children = "".join([_body(child, extended=extended) for child in part.children])
    if not extended:
        return f"({children} {nstring(part.subtype)})"
    extension = (
        f"{_parameters(part.parameters)} {_disposition(part)} {_languages(part)} {_raw(part.location)}"
    )
    return f"({children} {nstring(part.subtype)} {extension})"


def _raw(value: bytes | None) -> str:
    return "NIL" if value is None else nstring(value.decode("utf-8", "surrogateescape"))


def _parameters(parameters: Parameters) -> str:
    if not parameters:
        return "NIL"
    words = []
    for name, value in parameters:
        words.append(nstring(name))
        words.append(nstring(extended_value(value) if name.endswith("*") else value))
    return f"({' '.join(words)})"


def _disposition(part: Part) -> str:
    if not part.disposition:
        return "NIL"
    return f"({nstring(part.disposition)} {_parameters(part.disposition_parameters)})"


def _languages(part: Part) -> str:
    if not part.languages:
        return "NIL"
    if len(part.languages) == 1:
        return nstring(part.languages[0])
    return f"({' '.join([nstring(language) for language in part.languages])})"
