"""The comparators that need no `require` (RFC 5228 §2.7.3, RFC 4790 §9)."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Comparator

_UPPER: Final = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def ascii_casemap(text: str) -> str:
    """RFC 4790 §9.2: letters of ASCII as capitals; all else is as it is."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def _octet(text: str) -> str:
    return text


ASCII_CASEMAP: Final = Comparator(name="i;ascii-casemap", key=ascii_casemap, octets=True)
OCTET: Final = Comparator(name="i;octet", key=_octet, octets=True)
