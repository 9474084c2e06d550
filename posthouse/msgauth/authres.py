"""Authentication-Results: written for those who read the message after us, read, and cleaned of forgeries (RFC 8601).

A field counts only when the host that it names is believed, so a field that names us and came from outside is a
forgery: `forged` finds it, whatever comments, case or quoting hide the name in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from posthouse.limits import AUTHRES_FIELD, COMMENT_DEPTH
from posthouse.msgauth.results import Authentication, Disposition, Dkim, Dmarc, Iprev, Result, Spf

NAME: Final = b"authentication-results"
POLICY: Final = "policy.dmarc"
"""What must be done with a message that fails: none, quarantine or reject. For a host of ours that believes us."""

_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"?|([;=/])|([^\s";=/()]+)|\s+', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_PLAIN: Final = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z@:/]+")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_LOOSE: Final = re.compile(r'[\s"\\\x00-\x1f\x7f]+')
"""What a loose reader passes over in the name of a host."""
_BEHIND_HOST: Final = re.compile(r"\.?[0-9]*(?:[;/]|$)")
_LINE: Final = 76
_VALUE: Final = 320
"""Characters of a value: what an address may have (RFC 5321 §4.5.3.1)."""


class MethodResult(msgspec.Struct, frozen=True, kw_only=True):
    """One method's result in a field that was read."""

    method: str
    result: str
    properties: dict[str, str]
    """"header.d" → value."""


class AuthResults(msgspec.Struct, frozen=True, kw_only=True):
    """A field as read (RFC 8601 §2.2)."""

    host: str
    """authserv-id, lower case."""
    results: tuple[MethodResult, ...]


class AuthResultsError(ValueError):
    """The field is not well formed."""


# --- writing -------------------------------------------------------------------------------------------------


def write_authres(host: str, found: Authentication) -> bytes:
    """The field with its CRLF."""
    items = [*_dkim_items(found.dkim), _spf_item(found.spf)]
    if found.arc.result is not Result.NONE:
        items.append(_item("arc", found.arc.result, found.arc.reason))
    items += map(_dmarc_item, found.dmarc)
    items.append(_iprev_item(found.iprev))
    return _folded(f"Authentication-Results: {host}", items)


def write_vouched(host: str, said: AuthResults) -> bytes:
    """The findings of another host of ours in our name: the same results, and who found them, with their CRLF."""
    items = []
    for one in said.results:
        properties = {name: value for name, value in one.properties.items() if _PLAIN.fullmatch(name)}
        if _PLAIN.fullmatch(one.method) and _PLAIN.fullmatch(one.result):
            items.append(_item(one.method, one.result, "", **properties))
    return _folded(f"Authentication-Results: {host} (found by {_comment(said.host)})", items)


def _dkim_items(signatures: Iterable[Dkim]) -> list[str]:
    items = []
    for one in signatures:
        properties = {"header.d": one.domain, "header.s": one.selector, "header.a": one.algorithm}
        items.append(_item("dkim", one.result, one.reason, **properties, **{"header.b": one.mark}))
    return items or ["dkim=none"]


def _spf_item(found: Spf) -> str:
    name = "smtp.mailfrom" if found.scope == "mailfrom" else "smtp.helo"
    identity = found.identity if found.identity.isascii() else found.domain
    return _item("spf", found.result, found.reason, **{name: identity})


def _dmarc_item(found: Dmarc) -> str:
    words = found.reason
    if found.policy_domain:
        words = f"p={found.policy}" + (f", {words}" if words else "")
    asked = found.disposition if found.disposition is not Disposition.NONE else ""
    return _item("dmarc", found.result, words, **{"header.from": found.domain, POLICY: asked})


def _iprev_item(found: Iprev) -> str:
    return _item("iprev", found.result, "", **{"policy.iprev": found.name})


def _item(method: str, result: str, reason: str, **properties: str) -> str:
    words = [f"{method}={result}"]
    if reason:
        words.append(f"({_comment(reason)})")
    words += [f"{name}={_value(value)}" for name, value in properties.items() if value]
    return " ".join(words)


def _comment(text: str) -> str:
    """Safe within parentheses: what strangers published may stand in it."""
    text = _UNPRINTABLE.sub("?", text)[:200]
    return text.replace("(", "[").replace(")", "]").replace("\\", "/")


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text[:_VALUE]
    text = _UNPRINTABLE.sub("?", text)[:_VALUE]
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _folded(start: str, items: list[str]) -> bytes:
    lines = [start + ";"]
    for number, item in enumerate(items):
        text = item + ("" if number == len(items) - 1 else ";")
        if len(text) + len("\t") <= _LINE:
            lines.append("\t" + text)
            continue
        while len(text) + len("\t") > _LINE:
            at = text.rfind(" ", 1, _LINE)  # no word begins behind the end of a line
            at = at if at > 0 else text.find(" ", _LINE)
            if at < 0:
                break
            lines.append("\t" + text[:at])
            text = text[at + 1 :]
        lines.append("\t" + text)
    return "\r\n".join(lines).encode("ascii", "replace") + b"\r\n"


# --- reading -------------------------------------------------------------------------------------------------


def parse_authres(value: bytes) -> AuthResults:
    """Read a field's unfolded value. Raises AuthResultsError."""
    tokens = list(_tokens(value[:AUTHRES_FIELD].decode("utf-8", "replace")))
    if not tokens or tokens[0] in (";", "=", "/"):
        raise AuthResultsError("no host")
    host = tokens[0].lower()
    rest = tokens[1:]
    if rest and rest[0].isdigit():  # the version (RFC 8601 §2.2): there is only 1
        if rest[0] != "1":
            raise AuthResultsError("unknown version")
        rest = rest[1:]
    results = [_method(item) for item in _split(rest) if item]
    return AuthResults(host=host, results=tuple(one for one in results if one is not None))


def _tokens(text: str) -> Iterator[str]:
    """Words, quoted strings and the marks ; = /, comments left out."""
    position = 0
    while position < len(text):
        if text[position] == "(":
            position = _behind_comment(text, position)
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            position += 1
            continue
        position = match.end()
        if match[1] is not None:
            yield _QUOTED_PAIR.sub(r"\1", match[1])
        elif match.lastindex:
            yield match[0]


def _behind_comment(text: str, position: int) -> int:
    depth = 0
    while position < len(text):
        mark = text[position]
        if mark == "\\":
            position += 1
        elif mark == "(":
            depth = min(depth + 1, COMMENT_DEPTH)
        elif mark == ")":
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    return position


def _split(tokens: list[str]) -> Iterator[list[str]]:
    item: list[str] = []
    for token in tokens:
        if token == ";":
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _method(item: list[str]) -> MethodResult | None:
    if item == ["none"]:
        return None
    if len(item) > 3 and item[1] == "/":  # method/version
        item = [item[0], *item[3:]]
    if len(item) < 3 or item[1] != "=":
        raise AuthResultsError(f"not a result: {' '.join(item)[:60]}")
    properties: dict[str, str] = {}
    position = 3
    while position + 2 < len(item) + 0 and item[position + 1] == "=":
        end = position + 3
        while end + 1 < len(item) and item[end + 1] != "=" and item[end] in ("/", "="):
            end += 2
        properties.setdefault(item[position].lower(), "".join(item[position + 2 : end]))
        position = end
    return MethodResult(method=item[0].lower(), result=item[2].lower(), properties=properties)


# --- forgeries -----------------------------------------------------------------------------------------------


def forged(value: bytes, ours: Iterable[str]) -> bool:
    """RFC 8601 §5: whether a field that came from outside names one of our hosts.

    Where the name cannot be told, the field goes when ours stands anywhere in it: readers differ in what they accept.
    So do those whose name is only seen when encoded words are decoded (RFC 2047 §5 has none there), and those so long
    that we would not read their end.
    """
    if len(value) > AUTHRES_FIELD:
        return True
    names = {name.lower().rstrip(".") for name in ours}
    text = value.decode("utf-8", "replace").lower()
    first = next(_tokens(text), "").rstrip(".")
    if first in names:
        return True
    bare = _LOOSE.sub("", _without_comments(text))
    if "=?" in bare.partition(";")[0] or any(_begins_with(bare, name) for name in names):
        return True
    plain = first and _PLAIN.fullmatch(first) is not None
    return not plain and any(name in text or name in bare for name in names)


def _without_comments(text: str) -> str:
    pieces, position = [], 0
    while (start := text.find("(", position)) >= 0:
        pieces.append(text[position:start])
        position = _behind_comment(text, start)
    return "".join([*pieces, text[position:]])


def _begins_with(bare: str, name: str) -> bool:
    """Whether a host stands first, with or without a dot and a version behind it."""
    return bare.startswith(name) and _BEHIND_HOST.match(bare, len(name)) is not None
