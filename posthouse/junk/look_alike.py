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
_SHARED: Final = frozenset({"co", "com", "net", "org", "gov", "edu", "ac"})
"""Second labels under which a country registers names."""
_SHARED_IN: Final = {
    country: frozenset(labels.split())
    for country, labels in {
        "at": "or gv",
        "au": "id asn",
        "br": "adv art blog eco eng ind inf leg med mus pro tur tv",
        "hk": "idv",
        "id": "biz desa go mil my or sch web",
        "il": "idf k12 muni",
        "in": "firm gen ind nic res",
        "jp": "ad ed go gr lg ne or",
        "kr": "es go hs kg mil ms ne or pe re sc",
        "nz": "geek gen govt iwi kiwi maori mil school",
        "th": "go in mi or",
        "tr": "av bel bbs biz dr gen info k12 name pol tel tv web",
        "tw": "club ebiz game idv mil",
        "uk": "ltd me nhs plc police sch",
        "za": "law nom school web",
    }.items()
}
"""More of them, in single countries."""
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
    """The last two labels as people read them, three where the second is one that many share (co.uk, ne.jp)."""
    labels = [_unicode(label) for label in domain.lower().rstrip(".").split(".")[-3:]]
    country = labels[-1]
    shared = (
        len(labels) > 2
        and len(country) == 2
        and (labels[-2] in _SHARED or labels[-2] in _SHARED_IN.get(country, ()))
    )
    return ".".join(labels if shared else labels[-2:])


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        text = label.removeprefix("xn--").encode("ascii").decode("punycode")
        text.encode("utf-8")  # punycode can spell half a surrogate pair
        return text
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
