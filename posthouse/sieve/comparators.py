"""The comparators that need no `require` (RFC 5228 §2.7.3, RFC 4790 §9)."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Comparator

_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def ascii_casemap(text: str) -> str:
    """RFC 4790 §9.2: letters of ASCII without case; all else is as it is."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def _octet(text: str) -> str:
    return text


ASCII_CASEMAP: Final = Comparator(name="i;ascii-casemap", key=ascii_casemap)
OCTET: Final = Comparator(name="i;octet", key=_octet)
