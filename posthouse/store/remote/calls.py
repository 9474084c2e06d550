"""What a worker may ask of the store, and how faults travel.

A request is (number, name, arguments, named arguments), its answer (number, None, result) or (number, Fault, None);
what is told unasked is (0, topic, words).
"""

from __future__ import annotations

import inspect
from typing import Final

import msgspec

from posthouse import errors
from posthouse.errors import PosthouseError, StoreUnavailable
from posthouse.store.interface import Store

_NOT_REMOTE: Final = frozenset({"close", "index"})
"""`index` gives a living object, which only a process that has the store can keep up to date."""
CALLS: Final = frozenset(
    name
    for kind in Store.__mro__
    for name, member in vars(kind).items()
    if inspect.iscoroutinefunction(member) and not name.startswith("_") and name not in _NOT_REMOTE
)
"""The questions and operations of a store that go over the link."""

PEOPLE: Final = "people"
"""Topic: somebody's data changed."""
CONFIG: Final = "config"
"""Topic: there is a new configuration."""
READY: Final = "ready"
"""Topic: a worker listens."""


class Fault(msgspec.Struct, frozen=True):
    """An error of the tree in `posthouse.errors`, by its name."""

    kind: str
    public: str
    reason: str = ""

    @classmethod
    def of(cls, error: PosthouseError) -> Fault:
        """For the way; an error of a module of its own becomes the nearest one of the tree."""
        kind = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
        return cls(kind.__name__, error.public, str(error.__cause__ or ""))

    def error(self) -> PosthouseError:
        """As it was."""
        kind = getattr(errors, self.kind, StoreUnavailable)
        error: PosthouseError = kind(self.public)
        if self.reason:
            error.__cause__ = RuntimeError(self.reason)
        return error
