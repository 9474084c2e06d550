"""Authentication-Results read, and forgeries found (RFC 8601). `authres_write` writes them.

A field counts only when the host that it names is believed, so a field that names us and came from outside is a
forgery: `forged` finds it, whatever comments, case or quoting hide the name in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from posthouse.limits import AUTHRES_FIELD, COMMENT_DEPTH
from posthouse.message.address import spellings

NAME: Final = b"authentication-results"
POLICY: Final = "policy.dmarc"
"""What must be done with a message that fails: none, quarantine or reject. For a host of ours that believes us."""
PEER_NAME: Final = "policy.name"
"""The name of the address in policy.iprev, for the same."""

_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"?|([;=/])|([^\s";=/()]+)|\s+', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
PLAIN: Final = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+")
"""A value that needs no quotes: a token of RFC 2045 §5.1."""
_LOOSE: Final = re.compile(r'[\s"\\\x00-\x1f\x7f]+')
"""What a loose reader passes over in the name of a host."""
_BEHIND_HOST: Final = re.compile(r"\.?[0-9]*(?:[;/]|$)")


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


def parse_authres(value: bytes) -> AuthResults:
    """Read a field's unfolded value. Raises AuthResultsError."""
    tokens = list(_tokens(value[:AUTHRES_FIELD].decode("utf-8", "replace")))
    if not tokens or tokens[0].is_mark:
        raise AuthResultsError("no host")
    if _version(tokens) != 1:
        # RFC 8601 §2.6: what follows may mean anything.
        raise AuthResultsError("unknown version")
    mark = next((number for number, token in enumerate(tokens) if token.is_mark), len(tokens))
    results = [_method(item) for item in _split(tokens[mark:]) if item]
    return AuthResults(host=tokens[0].text.lower(), results=tuple(one for one in results if one is not None))


class _Token(NamedTuple):
    text: str
    is_mark: bool = False
    """One of ; = / that was not quoted."""


def _tokens(text: str) -> Iterator[_Token]:
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
            yield _Token(_QUOTED_PAIR.sub(r"\1", match[1]))
        elif match.lastindex:
            yield _Token(match[0], is_mark=match[2] is not None)


def _version(tokens: Sequence[_Token]) -> int:
    """The version behind the host (RFC 8601 §2.2): there is only 1, and nothing means 1."""
    if len(tokens) < 2 or tokens[1].is_mark:
        return 1
    return _number(tokens[1].text)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


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


def _split(tokens: Iterable[_Token]) -> Iterator[list[_Token]]:
    item: list[_Token] = []
    for token in tokens:
        if token == (";", True):
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _method(item: list[_Token]) -> MethodResult | None:
    if item == [("none", False)]:
        return None
    words = _Words(item)
    method = words.name().lower()
    version = words.word() if words.skip("/") else "1"
    if not method or not words.skip("=") or not (result := words.word()):
        raise AuthResultsError(f"not a result: {' '.join(token.text for token in item)[:60]}")
    properties: dict[str, str] = {}
    while (name := words.name().lower()) and words.skip("="):
        properties.setdefault(name, words.value())
    # RFC 8601 §2.6: a result of another version of the method means something else.
    return (
        MethodResult(method=method, result=result.lower(), properties=properties)
        if _number(version) == 1
        else None
    )


class _Words:
    """The tokens of one result, taken one by one."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _next(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def skip(self, mark: str) -> bool:
        """Whether this mark stood there."""
        found = self._next() == (mark, True)
        self._at += found
        return found

    def word(self) -> str:
        """One word; empty: there is none."""
        token = self._next()
        if token is None or token.is_mark:
            return ""
        self._at += 1
        return token.text

    def name(self) -> str:
        """All words to the next mark: white space and comments may stand about the dot of a property."""
        name = ""
        while word := self.word():
            name += word
        return name

    def value(self) -> str:
        """A word, with what belongs to it: the domain behind a quoted local part, what others do not quote."""
        value = self.word()
        while (token := self._next()) is not None and (token.is_mark or token.text[:1] == "@"):
            value += token.text
            self._at += 1
            ahead = self._tokens[self._at + 1 : self._at + 2]
            if token.text == "/" or (token.is_mark and ahead != [("=", True)]):
                value += self.word()  # not the name of the next property
        return value


# --- forgeries -----------------------------------------------------------------------------------------------


def forged(value: bytes, ours: Iterable[str]) -> bool:
    """RFC 8601 §5: whether a field that came from outside must go.

    That is one that names a host of ours, or whose version is not the one that our readers know. Where the name cannot
    be told, the field goes when ours stands anywhere in it: readers differ in what they accept. So do those whose name
    is only seen when encoded words are decoded (RFC 2047 §5 has none there), and those so long that we would not read
    their end.
    """
    if len(value) > AUTHRES_FIELD:
        return True
    # In A-labels and in U-labels, for the field may have either.
    names = {spelling for name in ours for spelling in spellings(name)}
    text = value.decode("utf-8", "replace").lower()
    tokens = list(islice(_tokens(text), 2))
    first = tokens[0].text.rstrip(".") if tokens else ""
    if not names.isdisjoint(spellings(first)) or _is_of_another_version(tokens):
        return True
    bare = _LOOSE.sub("", _without_comments(text))
    if "=?" in bare.partition(";")[0] or any(_begins_with(bare, name) for name in names):
        return True
    plain = first and PLAIN.fullmatch(first) is not None
    return not plain and any(name in text or name in bare for name in names)


def _is_of_another_version(tokens: Sequence[_Token]) -> bool:
    if len(tokens) < 2 or tokens[1].is_mark:
        return False
    return tokens[1].text.isdecimal() and _number(tokens[1].text) != 1


def _without_comments(text: str) -> str:
    pieces, position = [], 0
    while (start := text.find("(", position)) >= 0:
        pieces.append(text[position:start])
        position = _behind_comment(text, start)
    return "".join([*pieces, text[position:]])


def _begins_with(bare: str, name: str) -> bool:
    """Whether a host stands first, with or without a dot and a version behind it."""
    return bare.startswith(name) and _BEHIND_HOST.match(bare, len(name)) is not None
