"""How large the automaton of a regular expression is, without making it: a short one can stand for very much.

It counts as `ere.Program` makes them. What it counts can have hundreds of digits.
"""

from __future__ import annotations

import itertools
from typing import Final

from posthouse.sieve.ere_syntax import Alternatives, Anchor, Characters, Group, Node, Repeated, Sequence

_WAY: Final = 2
"""What goes around something has a state before and one behind it."""


def states_of(node: Node) -> int:
    """The number of its states."""
    match node:
        case Characters() | Anchor():
            return 2
        case Group(inner=inner):
            return states_of(inner)
        case Sequence(parts=parts):
            shared = sum(
                isinstance(one, Characters) and isinstance(other, Characters)
                for one, other in itertools.pairwise(parts)
            )
            return sum(map(states_of, parts)) - shared or 1
        case Alternatives(parts=parts):
            return _WAY + sum(map(states_of, parts))
        case Repeated(inner=inner, least=least, most=most):
            return _repeated(states_of(inner), least, most, shares=isinstance(inner, Characters))


def _repeated(inner: int, least: int, most: int | None, *, shares: bool) -> int:
    if (least, most) in {(0, 1), (0, None)}:
        return _WAY + inner
    plain, ways = (max(least - 1, 0), 1) if most is None else (least, most - least)
    shared = max(plain - 1, 0) if shares else 0
    return plain * inner + ways * (_WAY + inner) - shared or 1
