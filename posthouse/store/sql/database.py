"""A connection as functions in the shared SQL see it, whichever engine it belongs to.

Shared SQL is what SQLite and PostgreSQL both understand: `?` and `?1` for bindings, `ON CONFLICT` instead of
`REPLACE`, casts around sums, `FILTER` instead of sums of comparisons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Database(Protocol):
    """What reading functions need of a connection: statements in the shared SQL, their rows typed once."""

    @property
    def remembers_deleted(self) -> bool:
        """Whether the schema has a place for mail that can be brought back."""
        ...

    @property
    def has_retention(self) -> bool:
        """Whether the schema has a place for what owners say of their mailboxes (`store.retention`)."""
        ...

    def rows(
        self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = (), /
    ) -> list[tuple[Any, ...]]:
        """Run a statement; its rows (few)."""
        ...

    def integers(self, wanted: Sequence[str], source: str, bindings: Sequence[Any], /) -> list[list[int]]:
        """Expressions that give integers, each as a list; `source` is everything from FROM on. May be many rows."""
        ...

    def among(self, column: str, numbers: Collection[int], /) -> tuple[str, Any]:
        """A condition (column is one of the numbers) and its one binding."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one and the same commit."""
        ...
