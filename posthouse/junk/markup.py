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

from posthouse.junk.look_alike import registrable
from posthouse.limits import MARKUP_LINKS, MARKUP_TAGS

_LINK: Final = re.compile(r"(?<=://)(?:[^/\s\"'<>@]{1,64}@)?([\w.-]{1,100})")
_SCHEMES: Final = ("http", "https")
_UNSEEN: Final = re.compile(r"<(?:(!--)|(style|script)\b)")
_NUMBERED: Final = re.compile(r"&#(?:x([0-9a-f]{1,6}+)|([0-9]{1,7}+));?")
_IN_LINKS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.:/@-_")
_TAG: Final = re.compile(r"<([a-z][a-z0-9]{0,9})\b")
_ANCHOR: Final = re.compile(  # a link, and what stands first in it, be it in elements of its own
    r"<a\b[^>]{0,300}?href\s*=\s*[\"']?https?://(?:[^/\s\"'<>@]{0,64}@)?([\w.-]{1,100})[^>]{0,500}>"
    r"\s*+(?:<(?!a\b)[a-z][^<>]{0,200}>\s*+){0,4}+(https?://)?([\w-]++(?:\.[\w-]++)++)(?!@)"
)
_FILES: Final = frozenset(
    {
        *("avi", "csv", "doc", "docx", "gif", "htm", "html", "ics", "jpeg", "jpg", "js"),
        *("json", "key", "mp3", "mp4", "odp", "ods", "odt", "pdf", "png", "ppt", "pptx"),
        *("rar", "rtf", "svg", "txt", "xls", "xlsx", "xml"),
    }
)
"""Endings of names of files: `invoice.pdf` in a link is no host."""
_COUNT: Final = re.compile(r"\d{1,2}")
_HIDING: Final = tuple(
    (name, re.compile(name + rest))
    for name, rest in (
        ("display", r"\s*:\s*none"),
        ("visibility", r"\s*:\s*hidden"),
        ("font-size", r"\s*:\s*[01](?:px|pt|em)?\s*[;\"']"),
        ("opacity", r"\s*:\s*0\s*[;\"']"),
    )
)


def without_unseen(lower: str) -> str:
    """A source (lower case) without comments and what stands in styles and scripts: no reader meets them."""
    out: list[str] = []
    position = 0
    while (found := _UNSEEN.search(lower, position)) is not None:
        out.append(lower[position : found.start() if found[1] else found.end()])
        end = lower.find("-->" if found[1] else f"</{found[2]}", found.end())
        position = len(lower) if end < 0 else end + (3 if found[1] else 0)
    out.append(lower[position:])
    return "".join(out)


def without_numbers(lower: str) -> str:
    """A source (lower case) with characters by number as themselves, as far as links are made of them."""
    return _NUMBERED.sub(_letter, lower) if "&#" in lower else lower


def _letter(found: re.Match[str]) -> str:
    number = int(found[1], 16) if found[1] else int(found[2])
    letter = chr(number).lower() if number < 128 else ""
    return letter if letter in _IN_LINKS else found[0]


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
        real, scheme, shown = found.groups()
        if _is_host(shown, bool(scheme)) and registrable(real) != registrable(shown):
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


def _is_host(shown: str, has_scheme: bool) -> bool:
    """Whether a reader takes it for a host: not the name of a file, nor a number before a word (`1.Read`)."""
    name, _, ending = shown.rpartition(".")
    if has_scheme or not ending.isalpha():
        return ending.isalpha()
    return ending.isascii() and len(ending) > 1 and ending not in _FILES and not _COUNT.fullmatch(name)
