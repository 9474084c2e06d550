"""Which messages of an account match a needle, by the index; what it cannot decide is named for looking at.

The needle's terms say what a matching message must have (`message.words.requirements`). A needle that is one word, or
one or two Chinese characters, is decided by the index alone: a message contains it exactly when one of its terms does.
For all else the index gives candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from posthouse.limits import SEARCH_TERMS_ASKED
from posthouse.message.words import Kind, Requirement, requirements
from posthouse.store.search.document import BODY, HEADER, HEADS, NAME, name_term

_BATCH_COST: Final = 30
"""One question to the index about SEARCH_TERMS_ASKED terms takes as long as looking at so many messages."""
_FEW: Final = 20
"""So many messages are looked at without asking the index: finding the terms alone takes as long."""

_FEW_TERMS: Final = frozenset(HEADS.values())
"""Classes with so few terms that those which fit are found sooner than the messages that have a common one."""


class Answer(msgspec.Struct, frozen=True):
    """What the index says."""

    hits: set[int]
    """Email ids that match for certain."""
    undecided: set[int]
    """Email ids that must be looked at."""


class Terms(Protocol):
    """Which messages of one account have which terms."""

    def with_all(
        self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()
    ) -> Iterable[int]:
        """Messages that have all of these terms, and one of each choice."""
        ...

    def with_any(self, class_: str, terms: Sequence[str]) -> Iterable[int]:
        """Messages that have at least one of these terms."""
        ...

    def vocabularies(self, asked: Sequence[tuple[str, Requirement]]) -> list[list[str]]:
        """For each class and requirement the terms of that class which satisfy it."""
        ...


def ask(index: Terms, field: str, needle: str, among: set[int]) -> Answer:
    """Put a folded needle to the index. `among`: messages that are indexed; those in neither set do not match."""
    if len(among) <= _FEW:
        return Answer(set(), among)
    question = _Question(index, among)
    if not field.startswith("header:"):
        classes = (HEADER, BODY) if field == "text" else (BODY,)
        return question.in_any_class(classes, needle)
    name = field.removeprefix("header:")
    if name in HEADS and needle:
        return question.in_any_class((HEADS[name],), needle)
    return question.in_header(name, needle)


class _Question:
    """One account's messages and the index."""

    def __init__(self, index: Terms, among: set[int]) -> None:
        self._index = index
        self._among = among

    def in_any_class(self, classes: Sequence[str], needle: str) -> Answer:
        """A text of one of the classes contains the needle."""
        wanted = requirements(needle)
        if not wanted.all_of:
            return Answer(set(), self._among)
        hits: set[int] = set()
        undecided: set[int] = set()
        if wanted.exact:
            for class_, terms in zip(classes, self._terms(classes, wanted.all_of[0]), strict=True):
                sure, open_ = self._having_any(class_, terms, self._among - hits)
                hits |= sure
                undecided |= open_
        else:
            for class_ in classes:
                undecided |= self._candidates(class_, wanted.all_of, self._among)
        return Answer(hits, undecided - hits)

    def in_header(self, name: str, needle: str) -> Answer:
        """A header field that has no class of its own."""
        term = name_term(name)
        if term is None:
            return Answer(set(), self._among)
        having = self._among.intersection(self._index.with_all(NAME, [term]))
        if not needle:
            return Answer(having, set())
        return Answer(set(), self._candidates(HEADER, requirements(needle).all_of, having))

    def _candidates(self, class_: str, wanted: Sequence[Requirement], among: set[int]) -> set[int]:
        """Messages that satisfy all requirements (or more: hard ones are passed over when there are others)."""
        whole = [requirement.text for requirement in wanted if requirement.kind is Kind.EQUALS]
        whole = whole[:SEARCH_TERMS_ASKED]
        parts = [requirement for requirement in wanted if requirement.kind is not Kind.EQUALS]
        choices: list[list[str]] = []
        if whole and class_ in _FEW_TERMS and len(among) > _BATCH_COST:
            # Nearly all senders share the words of a domain: its messages are not listed, only to be sifted.
            choices = self._index.vocabularies([(class_, part) for part in parts]) if parts else []
            if [] in choices:
                return set()
            if len(whole) + sum(map(len, choices)) > SEARCH_TERMS_ASKED:
                choices = []
            else:
                parts = []
        found = among
        if whole:
            found = found.intersection(self._index.with_all(class_, whole, choices))
        for part in parts:
            if len(found) > _BATCH_COST:
                sure, open_ = self._satisfying(class_, part, found)
                found = sure | open_
        return found

    def _satisfying(self, class_: str, wanted: Requirement, among: set[int]) -> tuple[set[int], set[int]]:
        """(messages that satisfy a requirement, messages of which asking on would cost more than looking at them)."""
        (terms,) = self._terms([class_], wanted)
        return self._having_any(class_, terms, among)

    def _terms(self, classes: Sequence[str], wanted: Requirement) -> list[list[str]]:
        """For each class the terms that satisfy a requirement."""
        if wanted.kind is Kind.EQUALS:
            return [[wanted.text]] * len(classes)
        return self._index.vocabularies([(class_, wanted) for class_ in classes])

    def _having_any(self, class_: str, terms: Sequence[str], among: set[int]) -> tuple[set[int], set[int]]:
        """(messages that have one of these terms, messages of which asking on would cost more than looking)."""
        hits: set[int] = set()
        for start in range(0, len(terms), SEARCH_TERMS_ASKED):
            if len(among) - len(hits) < (len(terms) - start) * _BATCH_COST // SEARCH_TERMS_ASKED:
                return hits, among - hits
            batch = terms[start : start + SEARCH_TERMS_ASKED]
            hits |= among.intersection(self._index.with_any(class_, batch))
        return hits, set()
