"""`:value` and `:count` (RFC 5231)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from posthouse.sieve.extensions.comparators import ascii_numeric
from posthouse.sieve.tables import Extension, Match, MatchType

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


def _value(match: Match, machine: Machine) -> bool:
    """RFC 5231 §4.1: true if it is so for any pair."""
    machine.spend(match)
    key, holds = match.how.comparator.key, _RELATIONS[match.how.relation]
    keys = [key(text) for text in match.keys]
    return any(holds(value, other) for value in map(key, match.values) for other in keys)


def _count(match: Match, machine: Machine) -> bool:
    """RFC 5231 §4.2. Numbers are compared as numbers, whichever the comparator: no other makes sense (§5)."""
    machine.spend(match)
    holds = _RELATIONS[match.how.relation]
    return any(holds(len(match.values), ascii_numeric(key)) for key in match.keys)


EXTENSION: Final = Extension(
    capabilities=("relational",),
    match_types=(
        MatchType(name="value", find=_value, relation=True),
        MatchType(name="count", find=_count, relation=True, counts=True),
    ),
)
