"""MIME field values with parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, RFC 2183, RFC 2231).

Tolerant: missing semicolons' spaces, unquoted values with odd characters, comments, RFC 2047 words where RFC
2231 is meant. A parameter that came in RFC 2231's extended form (with a charset) and is not plain ASCII keeps
a `*` at the end of its name and holds the decoded text. Raw 8-bit octets are read as UTF-8, or their charset
is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from posthouse.limits import COMMENT_DEPTH, HEADER_PARAMETERS, MEDIA_TYPE_KEPT, MEDIA_TYPES_KEPT
from posthouse.message.charsets import decode, decode_unlabelled
from posthouse.message.headers import decode_value

Parameters = tuple[tuple[str, str], ...]
"""Pairs of (name in lower case, value)."""

_TYPE: Final = re.compile(r"\s*+([^\s/;()\"]++)\s*+(?:/\s*+([^\s/;()\",]++))?")
_PARAMETER: Final = re.compile(  # the semicolon may be missing; an unquoted value may hold spaces
    r'(?:;|(?<=\s))\s*+([^\s=;"]++)\s*+=\s*+'
    r'(?:"((?:[^"\\]|\\.)*+)"?|([^;\s]*+(?:\s++(?![^\s=;]++=)[^;\s]++)*+))',
    re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_STOP: Final = re.compile(r'[()"\\]')
_EXTENDED: Final = re.compile(r"([^'%]*)'([^']*)'(.*)", re.DOTALL)


def parse_media_type(raw: bytes) -> tuple[str, str, Parameters]:
    """(type, subtype, parameters) of a Content-Type value, names in lower case; empty where there is none."""
    # Most parts of most mail say one of a few dozen short values, `text/html; charset=utf-8` and its like.
    return _remembered(raw) if len(raw) <= MEDIA_TYPE_KEPT else _read_media_type(raw)


def _read_media_type(raw: bytes) -> tuple[str, str, Parameters]:
    text = without_comments(decode_unlabelled(raw))
    match = _TYPE.match(text)
    if match is None:
        return "", "", parse_parameters(text)
    return match[1].lower(), (match[2] or "").lower(), parse_parameters(text, match.end())


_remembered: Final = lru_cache(MEDIA_TYPES_KEPT)(_read_media_type)


def parse_disposition(raw: bytes) -> tuple[str, Parameters]:
    """(disposition type in lower case, parameters) of a Content-Disposition value."""
    text = without_comments(decode_unlabelled(raw))
    match = _TYPE.match(text)
    if match is None or "=" in match[1]:  # a bare `filename=…`: RFC 2183 §2.8, unknown is attachment
        return "attachment", parse_parameters(";" + text)
    return match[1].lower(), parse_parameters(text, match.end())


def parse_parameters(text: str, start: int = 0) -> Parameters:
    """The parameters in a text from an offset, RFC 2231 pieces joined; at most HEADER_PARAMETERS."""
    pairs: list[tuple[str, str]] = []
    extended = False
    for match in _PARAMETER.finditer(text, start):
        name, quoted, plain = match.groups()
        if quoted is None:
            value = plain
        else:
            value = _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted
        name = name.lower()
        extended = extended or "*" in name
        pairs.append((name, value))
        if len(pairs) == HEADER_PARAMETERS:
            break
    return tuple(_join_pieces(pairs)) if extended else tuple(_first_of_each(pairs))


def _first_of_each(pairs: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    if len(pairs) < 2:
        return pairs
    values: dict[str, str] = {}
    for name, value in pairs:
        values.setdefault(name, value)
    return values.items()


def _join_pieces(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put RFC 2231 §3 pieces together in the order of their numbers, and decode §4 values."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, value in pairs:
        base, star, rest = name.partition("*")
        if not star:
            plain.setdefault(base, value)
            continue
        encoded = rest.endswith("*") or not rest
        number = rest.removesuffix("*")
        if number and not (number.isascii() and number.isdigit()):
            plain.setdefault(name, value)
            continue
        pieces.setdefault(base, {}).setdefault(int(number[:6] or "0"), (encoded, value))
    for base, found in pieces.items():
        value, encoded = _decode_pieces([found[number] for number in sorted(found)])
        # Where both are given, the extended form is the one that its sender trusts more.
        plain.pop(base, None)
        plain[base if value.isascii() or not encoded else base + "*"] = value
    return list(plain.items())


def _decode_pieces(pieces: list[tuple[bool, str]]) -> tuple[str, bool]:
    """(text, whether any piece was in the extended form)."""
    if not any(encoded for encoded, _ in pieces):
        return "".join(value for _, value in pieces), False
    charset = ""
    octets: list[bytes] = []
    pending = ""  # of neighbouring pieces: an octet may be cut between them
    for i, (encoded, value) in enumerate(pieces):
        if not encoded:
            octets += (unquote_to_bytes(pending.encode("utf-8")), value.encode("utf-8"))
            pending = ""
            continue
        match = _EXTENDED.fullmatch(value) if i == 0 else None
        if match is not None:
            charset, value = match[1], match[3]
        pending += value
    octets.append(unquote_to_bytes(pending.encode("utf-8")))
    return decode(b"".join(octets), charset or None), True


def parameter(parameters: Parameters, name: str) -> str | None:
    """A parameter's value, in whichever form it came."""
    for key, value in parameters:
        if key == name or key == name + "*":
            return value
    return None


def parameter_text(parameters: Parameters, name: str) -> str | None:
    """A parameter's value for people: RFC 2047 words, which have no right to be there, are decoded too."""
    value = parameter(parameters, name)
    return None if value is None else decode_value(value.encode("utf-8"))


def extended_value(value: str) -> str:
    """A text in RFC 2231 §4 extended form, in UTF-8."""
    return "utf-8''" + quote(value.encode("utf-8"), safe="!#$&+-.^_`|~")


def without_comments(text: str) -> str:
    """The text with its comments (RFC 2045 §5.1 allows them) made blank; parentheses within quoted strings stay."""
    if "(" not in text:
        return text
    out: list[str] = []
    depth = start = position = 0
    quoted = False
    while (match := _COMMENT_STOP.search(text, position)) is not None:
        position = match.end()
        mark = match[0]
        if mark == "\\":
            position += 1
        elif mark == '"':
            quoted = quoted ^ (depth == 0)
        elif quoted:
            continue
        elif mark == "(":
            if depth == 0:
                out.append(text[start : match.start()])
            depth += 1
            if depth > COMMENT_DEPTH:
                return "".join(out)
        elif depth:
            depth -= 1
            start = position
    if depth == 0:
        out.append(text[start:])
    return " ".join(out)
