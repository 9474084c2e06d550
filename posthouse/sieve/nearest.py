"""What somebody may have meant by a word that we do not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 40
"""Characters of a word that is compared with known ones, whose names are all shorter."""


def meant(word: str, known: Iterable[str], before: str = "") -> str:
    """`; did you mean "…"?`, or nothing when no known word is like it."""
    if len(word) > _LONGEST:
        return ""
    found = difflib.get_close_matches(word.lower(), list(known), 1, 0.7)
    return f'; did you mean "{before}{found[0]}"?' if found else ""
