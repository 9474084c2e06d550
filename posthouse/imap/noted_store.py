"""The store as a session uses it that is told of changes: what it does itself is noted, so that it is not told of that.

RFC 5465 §5, RFC 5464 §4.4: a client hears of what others did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from posthouse.store.interface import Op, Store

if TYPE_CHECKING:
    from posthouse.imap.notices import Notices

R = TypeVar("R")


class NotedStore:
    """See `store.interface.Store`: everything but a commit goes straight through."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store = store
        self._notices = notices

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, op: Op[R]) -> R:
        """Commit one operation."""
        result = await self._store.apply(op)
        self._notices.note_own(op, result)
        return result

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        """Commit several."""
        results = await self._store.commit(*ops)
        for op, result in zip(ops, results, strict=True):
            self._notices.note_own(op, result)
        return results
