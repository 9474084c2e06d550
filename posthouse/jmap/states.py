"""States as clients see them: a mod-sequence, or a place within one when changes were handed out in parts.

`123` knows everything up to mod-sequence 123; `123-45-100` was told everything from 101 up to 122, and of 123 what has
numbers up to 45. So `maxChanges` is kept exactly, however much one commit changed (RFC 8620 §5.2). Each change is told
in the place of an object's latest one: what was created after 100 and is told only now is still new to the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import Final, Protocol

import msgspec

from posthouse.jmap.errors import MethodError

_NUMBER: Final = r"(0|[1-9]\d{0,18})"
_STATE: Final = re.compile(rf"{_NUMBER}(?:-{_NUMBER}(?:-{_NUMBER})?)?")
ALL: Final = 2**63
"""Above every number."""

Place = tuple[int, int]
"""Mod-sequence, number."""


class Since(msgspec.Struct, frozen=True):
    """What a client knows."""

    place: Place
    """It was told everything up to there."""
    begun: int
    """It knows everything up to this mod-sequence, however it was changed afterwards."""

    @property
    def asked_from(self) -> int:
        """The mod-sequence to ask the store from."""
        modseq, number = self.place
        return modseq if number == ALL else modseq - 1

    def is_new(self, created_modseq: int) -> bool:
        """Whether the client may not know something that was created then."""
        return created_modseq > self.begun


class Changed(Protocol):
    """What the store tells of one object's change."""

    @property
    def created_modseq(self) -> int: ...
    @property
    def modseq(self) -> int: ...
    @property
    def gone(self) -> bool: ...


def parse_state(text: str, latest: int) -> Since:
    """What a state says. MethodError cannotCalculateChanges for one that we never gave out."""
    match = _STATE.fullmatch(text)
    if match is None or int(match[1]) > latest:
        raise MethodError("cannotCalculateChanges", "no such state")
    modseq = int(match[1])
    if match[2] is None:
        return Since((modseq, ALL), modseq)
    begun = modseq - 1 if match[3] is None else int(match[3])  # earlier programs did not say it
    if begun >= modseq:
        raise MethodError("cannotCalculateChanges", "no such state")
    return Since((modseq, int(match[2])), begun)


class Delta(msgspec.Struct, kw_only=True):
    """What changed between two states, as numbers."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    new_state: str
    more: bool


def delta(changes: Iterable[tuple[int, Changed]], since: Since, latest: int, most: int | None) -> Delta:
    """Sort (number, change) pairs that lie after `since` into created, updated and destroyed, at most so many.

    `latest` was read before the changes. What has happened after it may be among them, but nobody knows whether all of
    that is: so nothing is called known beyond `latest`, what began after it is left for the next time, and what else
    it changed is told now and then once more.
    """
    found = Delta(created=[], updated=[], destroyed=[], new_state="", more=False)
    placed = [
        ((min(change.modseq, latest), number), change)
        for number, change in changes
        if change.created_modseq <= latest
    ]
    placed.sort(key=itemgetter(0))
    count = 0
    last = since.place
    for place, change in placed:
        if place <= since.place:
            continue
        number = place[1]
        if change.gone and (change.created_modseq, number) > since.place:
            continue  # it was never told of
        if most is not None and count >= most:
            found.more = True
            found.new_state = f"{last[0]}-{last[1]}-{since.begun}"
            return found
        if change.gone:
            found.destroyed.append(number)
        elif since.is_new(change.created_modseq):
            found.created.append(number)
        else:
            found.updated.append(number)
        count += 1
        last = place
    found.new_state = str(latest)
    return found
