"""States as clients see them: a mod-sequence, or a place within one when changes were handed out in parts.

`123` knows everything up to mod-sequence 123; `123-45` knows up to 122, and of 123 what has numbers up to 45. So
`maxChanges` is kept exactly, however much one commit changed (RFC 8620 §5.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from posthouse.jmap.errors import MethodError

_STATE: Final = re.compile(r"(0|[1-9]\d{0,18})(?:-(0|[1-9]\d{0,18}))?")
ALL: Final = 2**63
"""Above every number."""

Place = tuple[int, int]
"""Mod-sequence, number: everything up to it is known."""


class Changed(Protocol):
    """What the store tells of one object's change."""

    @property
    def created_modseq(self) -> int: ...
    @property
    def modseq(self) -> int: ...
    @property
    def gone(self) -> bool: ...


def parse_state(text: str, latest: int) -> Place:
    """The place that a state names. MethodError cannotCalculateChanges for one that we never gave out."""
    match = _STATE.fullmatch(text)
    if match is None or int(match[1]) > latest:
        raise MethodError("cannotCalculateChanges", "no such state")
    return int(match[1]), int(match[2]) if match[2] else ALL


def before(place: Place) -> int:
    """The mod-sequence to ask the store from."""
    return place[0] if place[1] == ALL else place[0] - 1


class Delta(msgspec.Struct, kw_only=True):
    """What changed between two states, as numbers."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    new_state: str
    more: bool


def delta(changes: Iterable[tuple[int, Changed]], since: Place, latest: int, most: int | None) -> Delta:
    """Sort (number, change) pairs that lie after `since` into created, updated and destroyed, at most so many."""
    found = Delta(created=[], updated=[], destroyed=[], new_state="", more=False)
    count = 0
    last = since
    for number, change in sorted(changes, key=lambda pair: (pair[1].modseq, pair[0])):
        place = (change.modseq, number)
        if place <= since:
            continue
        is_new = (change.created_modseq, number) > since
        if is_new and change.gone:
            continue
        if most is not None and count >= most:
            found.more = True
            found.new_state = f"{last[0]}-{last[1]}"
            return found
        (found.destroyed if change.gone else found.created if is_new else found.updated).append(number)
        count += 1
        last = place
    found.new_state = str(max(latest, last[0]))
    return found
