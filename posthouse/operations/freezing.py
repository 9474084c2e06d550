"""Changes refused for a while, because the store is being moved (`posthouse store move`)."""

from __future__ import annotations

from posthouse.operations.administration import Method
from posthouse.store.interface import Store
from posthouse.store.sqlite.store import SqliteStore


class Freezing:
    """Freezes and thaws the embedded store; a cluster's is moved another way."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {"store.freeze": self.store_freeze, "store.thaw": self.store_thaw}

    async def store_freeze(self) -> bool:
        """Refuse all changes; False: this store is moved another way."""
        if not isinstance(self._store, SqliteStore):
            return False
        await self._store.freeze()
        return True

    async def store_thaw(self) -> bool:
        """Take changes again."""
        if not isinstance(self._store, SqliteStore):
            return False
        self._store.thaw()
        return True
