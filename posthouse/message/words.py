"""How text is compared and cut into terms for full-text search; one rule for storing and for asking.

Comparing (`fold`): what nobody sees is left out (soft hyphens, joiners, marks of direction), then NFKC, then case
folding, and any run of white space counts as one space; between two Chinese or Japanese characters it counts for
nothing, because a line that was broken there was broken within a word, and names are drawn out with it. The i of
Turkish is an i with its dot or without, in either case. A needle matches a text when the folded needle is a substring
of the folded text: whatever contains it as it stands (RFC 9051 §6.4.4) does.

Terms (`terms`): runs of letters and digits; of Chinese, Japanese and Korean runs all overlapping pairs of
characters (a lone character stands for itself); of other symbols (emoji) each run. Runs longer than TERM_SIZE
are cut into overlapping pieces. Every term of a text is a substring of the folded text. `requirements` says
which terms a text must have to match a needle; nothing that matches is ever left out.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import Final

import msgspec

TERM_SIZE: Final = 40
"""Characters of the longest term; words are shorter, keys and hashes are not."""

REACH: Final = 21
"""Any substring so long lies wholly in one piece of a cut run: TERM_SIZE minus the step, plus one."""

RULES: Final = 2
"""Another number whenever `fold` or `terms` give otherwise: what was indexed before is then indexed anew."""

_STEP: Final = TERM_SIZE - REACH + 1
_COMBINING_RUN: Final = 30
"""UAX #15 §13: combining characters in a row; sorting longer ones would take quadratic time."""

# Han with extensions, Kana, Bopomofo, iteration marks; half-width forms are gone after NFKC.
_UNSPACED: Final = (  # the commonest first: they are tried in order
    "\u4e00-\u9fff\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_HANGUL: Final = "\uac00-\ud7ff\u1100-\u11ff\u3131-\u318e\ua960-\ua97f"
"""Has spaces between its words."""
_PAIRED: Final = _UNSPACED + _HANGUL
_JOINT: Final = re.compile(f" (?<=[{_UNSPACED}] )(?=[{_UNSPACED}])")
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")
_SYMBOLS: Final = "\u2190-\u2bff\U0001f000-\U0001faff"
_RUN: Final = re.compile(f"([{_PAIRED}]+)|([^\\W_{_PAIRED}]+)|([{_SYMBOLS}]+)")
_ASCII_ENDS: Final = bytes(c if c >= 0x80 or chr(c).isalnum() else 0x20 for c in range(256))
"""Blanks in place of the ASCII octets that end a run; what is left between blanks holds one run or several."""
_UNSEEN: Final = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]+"
)
"""Characters that Unicode's NFKC_Casefold leaves out too (UAX #31 §5.3), as far as mail has them."""
_LONG_MARKS: Final = re.compile(rf"[^\x00-\x7f\w\s]{{{_COMBINING_RUN + 1},}}")


class Kind(enum.Enum):
    """How a required term relates to the text of the requirement."""

    EQUALS = "equals"
    BEGINS = "begins"
    ENDS = "ends"
    CONTAINS = "contains"
    SPELT = "spelt"
    """Is spelt like the text, in which `[…]` stands for one of several letters; the rest are letters."""


class Requirement(msgspec.Struct, frozen=True):
    """Some term of the text stands in this relation to `text`."""

    kind: Kind
    text: str


class Requirements(msgspec.Struct, frozen=True):
    """What the terms of a matching text must satisfy, all of it."""

    all_of: tuple[Requirement, ...]
    """Empty: any text may match (the needle has no term)."""
    exact: bool
    """Whether satisfying them is also enough; else the text itself must be looked at."""


def fold(text: str) -> str:
    """A text in the form that is compared."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", stream_safe(_UNSEEN.sub("", text))).casefold()
    return _JOINT.sub("", " ".join(folded.replace("\u0131", "i").replace("i\u0307", "i").split()))


def fold_needle(text: str) -> str:
    """A needle in the form that is compared: like `fold`, but white space at its ends counts, beside words."""
    folded = fold(text)
    if not folded:
        return " " if text.isspace() else ""
    before = " " if text[0].isspace() and not is_unspaced(folded[0]) else ""
    return before + folded + (" " if text[-1].isspace() and not is_unspaced(folded[-1]) else "")


def is_unspaced(character: str) -> bool:
    """Whether it is of a writing without spaces: those between two such count for nothing."""
    return _IS_UNSPACED.match(character) is not None


def is_paired(character: str) -> bool:
    """Whether its writing is cut into pairs of characters instead of words."""
    return re.match(f"[{_PAIRED}]", character) is not None


def words(folded: str) -> list[str]:
    """What a folded text says, each once: its words, of Chinese, Japanese and Korean runs the pairs, its symbols."""
    found: list[str] = []
    for paired, word, symbols in _RUN.findall(folded):
        found += _pairs(paired) if paired else [word or symbols]
    return list(dict.fromkeys(found))


def stream_safe(text: str) -> str:
    """A text without long runs of combining marks, which would take quadratic time to sort."""
    if _LONG_MARKS.search(text) is None:
        return text
    return _LONG_MARKS.sub(_cut_marks, text)


def _cut_marks(match: re.Match[str]) -> str:
    marks = match[0]
    if not any(map(unicodedata.combining, marks)):
        return marks
    # UAX #15 §13.1: a combining grapheme joiner after each thirty.
    return "\u034f".join([marks[i : i + _COMBINING_RUN] for i in range(0, len(marks), _COMBINING_RUN)])


def terms(folded: str) -> set[str]:
    """The terms of a folded text."""
    # Replacing and splitting is four times as fast as a regular expression over the whole text.
    octets = folded.encode("utf-8", "surrogatepass").translate(_ASCII_ENDS)
    found = set(octets.decode("utf-8", "surrogatepass").split())
    if folded.isascii():
        return _with_long_cut(found)
    for coarse in [run for run in found if not run.isascii()]:
        found.discard(coarse)
        for paired, word, symbols in _RUN.findall(coarse):
            if paired:
                found.update(_pairs(paired))
            else:
                found.add(word or symbols)
    return _with_long_cut(found)


def _with_long_cut(found: set[str]) -> set[str]:
    long = [term for term in found if len(term) > TERM_SIZE]
    for term in long:
        found.discard(term)
        found.update(_pieces(term))
    return found


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] if len(run) > 1 else [run]


def _pieces(run: str) -> list[str]:
    """Overlapping pieces of a long run; the last one ends where the run ends."""
    starts = [*range(0, len(run) - TERM_SIZE, _STEP), len(run) - TERM_SIZE]
    return [run[start : start + TERM_SIZE] for start in starts]


def requirements(needle: str) -> Requirements:
    """What a folded text must have among its terms to contain a folded needle."""
    runs = list(_RUN.finditer(needle))
    if len(runs) == 1 and runs[0].span() == (0, len(needle)):
        return _single_run(needle, paired=runs[0][1] is not None)
    wanted: list[Requirement] = []
    for run in runs:
        # A run at the needle's edge may go on in the text; one between other characters is a whole run there.
        open_left, open_right = run.start() == 0, run.end() == len(needle)
        if run[1] is not None:
            wanted += _paired_run(run[0], open_ended=open_left or open_right)
        else:
            wanted += _word_run(run[0], open_left=open_left, open_right=open_right)
    return Requirements(tuple(dict.fromkeys(wanted)), exact=False)


def _single_run(run: str, *, paired: bool) -> Requirements:
    if paired:
        return Requirements(tuple(_paired_run(run, open_ended=True)), exact=len(run) <= 2)
    return Requirements((Requirement(Kind.CONTAINS, run[:REACH]),), exact=len(run) <= REACH)


def _paired_run(run: str, *, open_ended: bool) -> list[Requirement]:
    if len(run) == 1 and open_ended:
        return [Requirement(Kind.CONTAINS, run)]
    return [Requirement(Kind.EQUALS, pair) for pair in _pairs(run)]


def _word_run(run: str, *, open_left: bool, open_right: bool) -> list[Requirement]:
    if open_left:
        return [Requirement(Kind.ENDS, run[-REACH:])]
    if open_right:
        return [Requirement(Kind.BEGINS, run[:REACH])]
    if len(run) <= TERM_SIZE:
        return [Requirement(Kind.EQUALS, run)]
    return [Requirement(Kind.EQUALS, piece) for piece in _pieces(run)]
