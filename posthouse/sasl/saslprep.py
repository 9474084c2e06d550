"""SASLprep (RFC 4013): the one form of a password, whichever keyboard it was typed on.

Unassigned code points are allowed both when a password is kept and when it is compared: passwords with characters
younger than Unicode 3.2 are wanted, and both sides then prepare them alike.
"""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """The prepared form. Raises ValueError on a prohibited character or broken bidirectional text."""
    if text.isascii():
        if not text.isprintable():
            raise ValueError("control characters are not allowed")  # RFC 4013 §2.3: table C.2.1
        return text
    # RFC 4013 §2.1: other spaces become a space, what is "commonly mapped to nothing" goes.
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    normal = unicodedata.normalize("NFKC", mapped)  # RFC 4013 §2.2
    if any(prohibited(c) for c in normal for prohibited in _PROHIBITED):
        raise ValueError("a prohibited character")  # RFC 4013 §2.3
    _check_direction(normal)
    return normal


def _check_direction(text: str) -> None:
    """RFC 3454 §6: text with right-to-left characters begins and ends with one and holds no left-to-right one."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise ValueError("text in two directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("right-to-left text must begin and end so")
