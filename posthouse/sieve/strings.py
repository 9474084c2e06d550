"""What stands in strings: encoded characters (RFC 5228 §2.4.2.4) and variables (RFC 5229 §3).

Both are seen only by scripts that require them. Quoting is resolved before (`lexer.py`), then encoded characters,
then variables (RFC 5229 §3.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_EXPANDED, SIEVE_MATCH_VARIABLES, SIEVE_VARIABLE_NAME
from posthouse.sieve.tables import Reference, Template, Text, Value

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_BLANK: Final = r"[ \t\r\n]"
_ENCODED: Final = re.compile(
    rf"(?:\$\{{hex:{_BLANK}*+[0-9a-f]{{1,2}}(?:{_BLANK}++[0-9a-f]{{1,2}}(?![0-9a-f]))*+{_BLANK}*+\}})++"
    rf"|\$\{{unicode:{_BLANK}*+(?P<unicode>[0-9a-f]++(?:{_BLANK}++[0-9a-f]++)*+){_BLANK}*+\}}",
    re.IGNORECASE,
)
_HEX_PAIR: Final = re.compile(r"(?<![0-9a-z])[0-9a-f]{1,2}(?=[ \t\r\n}])", re.IGNORECASE)
_HIGHEST: Final = 0x10FFFF
IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*+"
_REFERENCE: Final = re.compile(
    rf"\$\{{((?:{IDENTIFIER}\.(?:(?:{IDENTIFIER}|[0-9]++)\.)*+)?)({IDENTIFIER}|[0-9]++)\}}"
)


class StringFault(ValueError):
    """A string that cannot be; the text is for people."""


def decode_characters(text: str) -> str:
    """`${hex:…}` and `${unicode:…}` as what they stand for."""
    if "${" not in text:
        return text
    return _ENCODED.sub(_decoded, text)


def _decoded(match: re.Match[str]) -> str:
    if match["unicode"] is None:
        # Octets that stand together may be one character; "hex" itself has no digits and is passed over.
        octets = bytes(int(pair, 16) for pair in _HEX_PAIR.findall(match[0]))
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise StringFault(f'"{match[0][:60]}" is not text in UTF-8') from None
    found = []
    for digits in match["unicode"].split():
        digits = digits.lstrip("0") or "0"
        value = int(digits, 16) if len(digits) <= 6 else _HIGHEST + 1
        if value > _HIGHEST or 0xD800 <= value <= 0xDFFF:
            raise StringFault(f'"{digits[:12]}" is not the number of a Unicode character')
        found.append(chr(value))
    return "".join(found)


def with_variables(text: str, namespaces: frozenset[str]) -> Text:
    """A string as a template, if variables are named in it. `namespaces`: those that the script may name."""
    if "${" not in text:
        return text
    pieces: list[str | Reference] = []
    position = 0
    for match in _REFERENCE.finditer(text):
        if match.start() > position:
            pieces.append(text[position : match.start()])
        pieces.append(Reference(_referred(match[1].lower(), match[2].lower(), namespaces)))
        position = match.end()
    if not pieces:
        return text
    if position < len(text):
        pieces.append(text[position:])
    return Template(tuple(pieces))


def _referred(namespace: str, name: str, namespaces: frozenset[str]) -> str | int:
    if namespace:
        first = namespace.split(".", 1)[0]
        if first not in namespaces:
            raise StringFault(f'"{first}" is not a namespace of variables that this script has required')
        return namespace + name
    if not name[0].isdigit():
        return checked_name(name)
    digits = name.lstrip("0") or "0"
    if len(digits) > 4 or int(digits) > SIEVE_MATCH_VARIABLES:
        raise StringFault(f"match variables go up to ${{{SIEVE_MATCH_VARIABLES}}}")
    return int(digits)


def checked_name(name: str) -> str:
    """The name of a variable (no match variable, no namespace), in lower case. StringFault when it is none."""
    if not re.fullmatch(IDENTIFIER, name):
        raise StringFault(f'"{name[:40]}" is not a name for a variable')
    if len(name) > SIEVE_VARIABLE_NAME:
        raise StringFault(f"names of variables have {SIEVE_VARIABLE_NAME} characters at most")
    return name.lower()


def expand(value: Value, machine: Machine) -> str:
    """A string with the values of its variables, cut off where it gets too long (RFC 5229 §6)."""
    if not isinstance(value, Template):
        return value if isinstance(value, str) else ""
    found: list[str] = []
    size = 0
    for piece in value.pieces:
        text = piece if isinstance(piece, str) else machine.variable(piece.name)
        found.append(text)
        size += len(text)
        if size > SIEVE_EXPANDED:
            break
    return "".join(found)[:SIEVE_EXPANDED]
