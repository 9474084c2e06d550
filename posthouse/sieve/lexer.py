"""The tokens of a script (RFC 5228 §8.1).

Text is UTF-8 and has no NUL. Lines end with CRLF or, as scripts on disks have it, with LF; in the values of strings
every line end is CRLF, as the RFC has it. Each token is found by one regular expression that never backtracks, so the
time is linear in the size of the script.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

from posthouse.limits import SIEVE_NUMBER, SIEVE_SCRIPT
from posthouse.sieve.faults import ScriptFault, SieveError

_TOKEN: Final = re.compile(
    r"""[ \t\n]++                                                     # RFC 5228 §2.2
    |   \#[^\n]*+                                                     # §2.3
    |   /\*(?:[^*]|\*(?!/))*+(?P<comment>\*/)?
    |   (?i:text:)[ \t]*+(?:\#[^\n]*+)?\n                             # §2.4.2
        (?P<lines>(?:(?!\.\n|\.\Z)[^\n]*+\n)*+)(?P<dot>\.(?:\n|\Z))?
    |   (?P<identifier>[A-Za-z_][A-Za-z0-9_]*+)
    |   :(?P<tag>[A-Za-z_][A-Za-z0-9_]*+)
    |   (?P<number>[0-9]++)(?P<quantifier>[KkMmGg]?)(?![A-Za-z0-9_])
    |   "(?P<quoted>(?:[^"\\]|\\.)*+)(?P<quote>")?
    |   (?P<mark>[;,(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_STUFFED: Final = re.compile(r"^\.\.", re.MULTILINE)
_QUANTIFIERS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_MARK: Final = "\ufeff"
"""Some editors begin every file in UTF-8 with it."""
_DIGITS: Final = len(str(SIEVE_NUMBER))


class TokenKind(enum.Enum):
    """What a token is; the value is how people are told of it."""

    IDENTIFIER = "a command"
    TAG = "a tag"
    NUMBER = "a number"
    STRING = "a string"
    MARK = "a mark"
    END = "the end of the script"


class Token(msgspec.Struct, frozen=True):
    """One token, and the line where it begins."""

    kind: TokenKind
    text: str
    """An identifier or tag in lower case (tokens have no case, RFC 5228 §2.1), a string's value, or the mark."""
    line: int
    number: int = 0

    def __str__(self) -> str:
        if self.kind in {TokenKind.END, TokenKind.STRING}:
            return str(self.kind.value)
        colon = ":" if self.kind is TokenKind.TAG else ""
        return f'"{colon}{self.text}"'


def tokens(script: bytes) -> list[Token]:
    """All tokens of a script, with one of kind END behind them. SieveError when it is no text of tokens."""
    text = _text_of(script)
    found: list[Token] = []
    position, line, end = 0, 1, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position, line)
        token = _token(match, line)
        if token is not None:
            found.append(token)
        line += text.count("\n", position, match.end())
        position = match.end()
    found.append(Token(TokenKind.END, "", line))
    return found


def _text_of(script: bytes) -> str:
    if len(script) > SIEVE_SCRIPT:
        raise SieveError(ScriptFault(1, f"the script is longer than {SIEVE_SCRIPT:,} octets"))
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError as error:
        line = script.count(b"\n", 0, error.start) + 1
        raise SieveError(ScriptFault(line, "the text is not UTF-8")) from None
    text = text.removeprefix(_MARK).replace("\r\n", "\n")
    for forbidden, name in (("\0", "NUL character"), ("\r", "carriage return without a line feed")):
        at = text.find(forbidden)
        if at >= 0:
            raise SieveError(ScriptFault(text.count("\n", 0, at) + 1, f"a {name} in the script"))
    return text


def _token(match: re.Match[str], line: int) -> Token | None:
    """What a match stands for; None: white space or a comment."""
    match match.lastgroup:
        case "identifier":
            return Token(TokenKind.IDENTIFIER, match["identifier"].lower(), line)
        case "tag":
            return Token(TokenKind.TAG, match["tag"].lower(), line)
        case "quantifier":
            return Token(TokenKind.NUMBER, match[0], line, _number(match, line))
        case "quote":
            value = _QUOTED_PAIR.sub(r"\1", match["quoted"])  # RFC 5228 §2.4.2: "\a" is just "a"
            return Token(TokenKind.STRING, _with_crlf(value), line)
        case "quoted":
            raise SieveError(ScriptFault(line, 'this string has no closing quote (")'))
        case "dot":
            return Token(TokenKind.STRING, _with_crlf(_unstuffed(match["lines"])), line)
        case "lines":
            raise SieveError(ScriptFault(line, "this text: has no line with a single dot at its end"))
        case "mark":
            return Token(TokenKind.MARK, match["mark"], line)
    if match[0].startswith("/*") and match["comment"] is None:
        raise SieveError(ScriptFault(line, "this comment has no closing */"))
    return None


def _number(match: re.Match[str], line: int) -> int:
    digits = match["number"].lstrip("0") or "0"
    value = (
        int(digits) * _QUANTIFIERS[match["quantifier"].upper()]
        if len(digits) <= _DIGITS
        else SIEVE_NUMBER + 1
    )
    if value > SIEVE_NUMBER:
        raise SieveError(ScriptFault(line, f"{match[0][:40]} is too large a number"))
    return value


def _unstuffed(text: str) -> str:
    return _STUFFED.sub(".", text)


def _with_crlf(text: str) -> str:
    return text.replace("\n", "\r\n") if "\n" in text else text


def _unreadable(text: str, position: int, line: int) -> SieveError:
    word = re.compile(r"[^\s;,(){}\[\]\"]{1,40}").match(text, position)
    shown = word[0] if word is not None else text[position]
    if shown[0].isdigit():
        return SieveError(ScriptFault(line, f'"{shown}" is not a number; numbers may end with K, M or G'))
    return SieveError(ScriptFault(line, f'"{shown}" cannot stand here'))
