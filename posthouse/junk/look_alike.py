"""Domains that look like others: confusable characters, one letter more, less, other, or two changed about.

A reader compares shapes, so the comparison is of skeletons: Unicode labels with look-alikes of other scripts put back
into Latin (UTS 39's idea, for the letters that domains are really forged with), digits that pass for letters, `rn`
that passes for `m`. Pure; time is linear in the number of domains compared with.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

_FOREIGN: Final = str.maketrans(
    "асеорхуіјѕһԁԛԝɡӏαοινρτυκհոսցօΙΟ",
    "aceopxyijshdqwgiaoivptukhnugoio",
)
_SHAPES: Final = str.maketrans("0135l|i", "oiesiii")
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SHORT: Final = 5
"""Names with fewer characters differ by one from half the world."""


def looks_like(domain: str, others: Iterable[str]) -> str:
    """Which of the others (A-labels, lower case) a domain may be taken for without being it; empty: none."""
    name = registrable(domain)
    mine = skeleton(name)
    for other in others:
        theirs = registrable(other)
        if theirs == name:
            continue
        shape = skeleton(theirs)
        if shape == mine or _alike(mine, shape):
            return other
    return ""


def skeleton(domain: str) -> str:
    """How a domain looks."""
    text = ".".join(_unicode(label) for label in domain.lower().split("."))
    text = unicodedata.normalize("NFKD", text).translate(_FOREIGN)
    text = "".join(c for c in text if not unicodedata.combining(c)).translate(_SHAPES)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def registrable(domain: str) -> str:
    """The last two labels, three where the second is one of those that many share (co.uk, com.cn)."""
    labels = domain.lower().rstrip(".").split(".")
    shared = (
        len(labels) > 2
        and len(labels[-1]) == 2
        and labels[-2] in {"co", "com", "net", "org", "gov", "edu", "ac"}
    )
    return ".".join(labels[-3 if shared else -2 :])


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _alike(one: str, other: str) -> bool:
    """One edit apart (Damerau's), in the name or its ending, and long enough for that to mean something."""
    name, _, ending = one.partition(".")
    other_name, _, other_ending = other.partition(".")
    if min(len(name), len(other_name)) < _SHORT:
        return False
    if name == other_name:
        return ending != other_ending and _one_edit(ending, other_ending)
    return ending == other_ending and _one_edit(name, other_name)


def _one_edit(one: str, other: str) -> bool:
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    if one[start + 1 :] == other[start + 1 :]:
        return True
    return one[start : start + 2] == other[start : start + 2][::-1] and one[start + 2 :] == other[start + 2 :]
