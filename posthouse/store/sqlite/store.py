"""The embedded store: one SQLite file, segment files beside it, one writer thread, a few readers.

`open` makes one; only one process can have it open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

from posthouse.store.foreground import Foreground
from posthouse.store.interface import Staging
from posthouse.store.memory.engine import Derive
from posthouse.store.memory.store import LiveStore
from posthouse.store.sql.transaction import Settings
from posthouse.store.sqlite.backup import Copied, back_up
from posthouse.store.sqlite.engine import Engine
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.reading import SqliteReading
from posthouse.store.sqlite.staging import FileStaging
from posthouse.store.sqlite.verify import Checked, Flaw, verify
from posthouse.store.text_search import TextSearch


class SqliteStore(LiveStore[Reader]):
    """The `Store` of one machine."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, SqliteReading())
        self._engine = engine

    @classmethod
    async def open(
        cls,
        path: Path,
        blobs: Path,
        *,
        derive: Derive,
        search: Callable[[Callable[[], Reader], Foreground], TextSearch] | None = None,
        default_quota: int = 0,
        keep_deleted: bool = False,
        now: Callable[[], float] = time.time,
    ) -> Self:
        """Open or make a store: `path` is the database file, `blobs` the folder of segment files.

        `derive` computes what is kept about a message; `search` makes the full-text index
        (`searching.text_search`; without it `search_text` refuses); `default_quota` (octets, 0: none) holds for
        accounts without their own; `keep_deleted`: whether mail that is deleted can be brought back for a time.
        StoreUnavailable: in use by another process, of a newer program, disk fault.
        """
        settings = Settings(default_quota=default_quota, keep_deleted=keep_deleted, now=now)
        store = cls(await Engine.open(path, blobs, derive, settings))
        if search is not None:
            store._search = store._live.search = search(store._engine.open_reader, store._engine.foreground)
        return store

    async def freeze(self) -> None:
        """Refuse all changes from now on; returns when those under way are done, also long ones and upkeep."""
        waiting = self._engine.submit((_nothing,))
        self._engine.frozen = True
        await waiting
        if self._engine.frozen:  # nobody has thought better of it
            await self._last_of_all()

    def _last_of_all(self) -> asyncio.Future[list[Any]]:
        """What the writer comes to when nothing waits and nothing long is under way."""
        self._engine.frozen = False
        try:
            return self._engine.submit((_nothing,), background=True)
        finally:
            self._engine.frozen = True

    def thaw(self) -> None:
        """Take changes again."""
        self._engine.frozen = False

    def backup(self, folder: Path) -> AsyncIterator[Copied]:
        """Copy everything as it is at one moment, while work goes on (`backup.back_up`). StoreUnavailable."""
        return back_up(self._engine.path, self._engine.folder, folder)

    def verify(self, *, fix: bool) -> AsyncIterator[Checked | Flaw]:
        """Read everything and tell what is not as it should be; mend it where that is possible (`verify.verify`)."""
        return verify(self._engine.open_reader, self._engine.background, fix=fix)

    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""
        return FileStaging(self._engine.folder, self._engine.budget)


def _nothing(_tx: object) -> None:
    """The last piece of work before a freeze."""
