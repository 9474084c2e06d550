"""A connection as functions in the shared SQL see it, whichever engine it belongs to.

Shared SQL is what SQLite and PostgreSQL both understand: `?` and `?1` for bindings, `ON CONFLICT` instead of
`REPLACE`, casts around sums, `FILTER` instead of sums of comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Database(Protocol):
    """What reading functions need of a connection: statements in the shared SQL, their rows typed once."""

    def rows(
        self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = (), /
    ) -> list[tuple[Any, ...]]:
        """Run a statement; its rows (few)."""
        ...
