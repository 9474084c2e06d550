"""Comparators that must be required, as `comparator-NAME` (RFC 5228 §2.7.3): i;ascii-numeric, i;unicode-casemap."""

from __future__ import annotations

import re
from typing import Final

from posthouse.message.sort_keys import unicode_casemap
from posthouse.sieve.tables import Comparator, Extension

_DIGITS: Final = re.compile(r"0*+([0-9]*+)")
_MOST: Final = 64
"""Digits of a number that are looked at: RFC 5231 §3 wants ten."""


def ascii_numeric(text: str) -> float:
    """RFC 4790 §9.1: the digits at the beginning as a number; without any it is more than every number."""
    if not text or not "0" <= text[0] <= "9":
        return float("inf")
    match = _DIGITS.match(text)
    digits = match[1] if match is not None else ""
    return int(digits or "0") if len(digits) <= _MOST else 10**_MOST


EXTENSION: Final = Extension(
    # The two that need not be required may be (RFC 5228 §6.2.3).
    capabilities=(
        "comparator-i;octet",
        "comparator-i;ascii-casemap",
        "comparator-i;ascii-numeric",
        "comparator-i;unicode-casemap",
    ),
    comparators=(
        Comparator(
            name="i;ascii-numeric",
            key=ascii_numeric,
            capability="comparator-i;ascii-numeric",
            substring=False,
        ),
        Comparator(
            name="i;unicode-casemap",
            key=unicode_casemap,
            capability="comparator-i;unicode-casemap",
            cost=100,
        ),
    ),
)
