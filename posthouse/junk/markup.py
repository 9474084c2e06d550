"""What a text says besides its words: where its links lead, what its HTML is made of, and whether some of it is hidden.

Patterns run over the source in lower case and begin with letters that stand there plainly, so that the search for them
is a search for octets; each is bounded, and a sender decides nothing but how soon a bound is met.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from posthouse.limits import MARKUP_LINKS, MARKUP_TAGS

_LINK: Final = re.compile(r"(?<=://)(?:[^/\s\"'<>@]{1,64}@)?([\w.-]{1,100})")
_SCHEMES: Final = ("http", "https")
_TAG: Final = re.compile(r"<([a-z][a-z0-9]{0,9})\b")
_ANCHOR: Final = re.compile(
    r"<a\b[^>]{0,300}?href\s*=\s*[\"']?https?://([\w.-]{1,100})[^>]{0,500}>\s*(?:https?://)?([\w-]+(?:\.[\w-]+)+)"
)
_HIDING: Final = tuple(
    (name, re.compile(name + rest))
    for name, rest in (
        ("display", r"\s*:\s*none"),
        ("visibility", r"\s*:\s*hidden"),
        ("font-size", r"\s*:\s*[01](?:px|pt|em)?\s*[;\"']"),
        ("opacity", r"\s*:\s*0\s*[;\"']"),
    )
)


def hosts_linked(lower: str) -> Iterator[str]:
    """Hosts of the web that a text (lower case) leads to."""
    at = lower.find("://")
    for _ in range(MARKUP_LINKS):
        if at < 0:
            return
        found = _LINK.match(lower, at + 3)
        if found is not None and lower.endswith(_SCHEMES, max(0, at - 5), at):
            yield found[1].rstrip(".")
        at = lower.find("://", at + 3)


def misleading_links(lower: str) -> Iterator[str]:
    """Links that show one host and lead to another, as "shown > real"."""
    for found in itertools.islice(_ANCHOR.finditer(lower), MARKUP_LINKS):
        real, shown = found[1], found[2]
        if _organisation(real) != _organisation(shown) and shown.rpartition(".")[2].isalpha():
            yield f"{shown} > {real}"


def hides(lower: str) -> bool:
    """Whether some of a source's text is not to be seen."""
    return any(name in lower and pattern.search(lower) for name, pattern in _HIDING)


def tag_tokens(lower: str) -> Iterator[str]:
    """Its elements, with how many there are in powers of two."""
    counts = Counter(_TAG.findall(lower))
    for tag, count in itertools.islice(counts.items(), MARKUP_TAGS):
        yield f"t:{tag}:{count.bit_length()}"
    if counts["img"] and len(lower) < 2000:
        yield "t:picture-only"


def _organisation(host: str) -> str:
    return ".".join(host.removeprefix("www.").split(".")[-2:])
