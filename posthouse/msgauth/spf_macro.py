"""SPF macros: `%{i}`, `%{d2r}`, … become text (RFC 7208 §7).

The syntax was checked when the record was read; texts behind `exp=` are read here, and any error in them means that
there is no explanation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from posthouse.limits import DOMAIN

_MACRO: Final = re.compile(r"%(?:([%_-])|\{([a-z])(\d*)(r?)([.\-+,/_=]*)\}|)", re.IGNORECASE)
_PLAIN: Final = {"%": "%", "_": " ", "-": "%20"}
DOMAIN_LETTERS: Final = frozenset("slodiphv")
EXP_LETTERS: Final = DOMAIN_LETTERS | frozenset("crt")


class MacroError(ValueError):
    """A macro that there is not (permerror, or no explanation)."""


def expand(text: str, values: Mapping[str, str], letters: frozenset[str] = DOMAIN_LETTERS) -> str:
    """Replace every macro. `values` by lower case letter. Raises MacroError."""
    if "%" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        plain, letter, digits, reverse, delimiters = match.groups()
        if plain is not None:
            return _PLAIN[plain]
        if letter is None or letter.lower() not in letters:
            raise MacroError(f"unknown macro {match[0]}")
        value = _transform(values[letter.lower()], digits, bool(reverse), delimiters)
        # RFC 7208 §7.3: an upper case letter means that the value is URL-escaped.
        return quote(value, safe="") if letter.isupper() else value

    return _MACRO.sub(replace, text)


def _transform(value: str, digits: str, reverse: bool, delimiters: str) -> str:
    if not (digits or reverse or delimiters):
        return value
    parts = re.split(f"[{re.escape(delimiters)}]", value) if delimiters else value.split(".")
    if reverse:
        parts.reverse()
    if digits:
        wanted = int(digits)
        if not wanted:
            raise MacroError("a macro for no part at all")
        parts = parts[-wanted:]
    return ".".join(parts)


def fit(domain: str) -> str:
    """RFC 7208 §7.3: a name over 253 characters loses labels on its left until it fits."""
    while len(domain) > DOMAIN and "." in domain:
        domain = domain.partition(".")[2]
    return domain


def address_values(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> dict[str, str]:
    """The values of i, c and v."""
    if address.version == 4:
        return {"i": str(address), "c": str(address), "v": "in-addr"}
    nibbles = address.exploded.replace(":", "").upper()
    return {"i": ".".join(nibbles), "c": str(address), "v": "ip6"}
