"""The comparators that need no `require` (RFC 5228 §2.7.3, RFC 4790 §9)."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Comparator


def ascii_casemap(text: str) -> str:
    """RFC 4790 §9.2: letters of ASCII as capitals; all else is as it is."""
    if text.isascii():
        return text.upper()
    # Of octets just these letters have capitals; octets of others are none of theirs in UTF-8.
    return text.encode("utf-8", "surrogatepass").upper().decode("utf-8", "surrogatepass")


def _octet(text: str) -> str:
    return text


ASCII_CASEMAP: Final = Comparator(name="i;ascii-casemap", key=ascii_casemap, octets=True)
OCTET: Final = Comparator(name="i;octet", key=_octet, octets=True)
