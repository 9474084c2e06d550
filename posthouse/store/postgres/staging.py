"""A large message being received: in memory while that is cheap, else in a file of the node, until its commit.

The file is only a buffer: the bytes are durable once they are in the object store or the database, before the reply.
It is removed when its Content is forgotten, and whatever is left when a node starts.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import weakref
from pathlib import Path

from posthouse import limits
from posthouse.errors import LocalProtocolError
from posthouse.store.model import Content
from posthouse.store.postgres.connection import unavailable


class StageFolder:
    """Where the files are, and octets that all stagings may hold in memory together."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self.left = limits.STAGE_MEMORY_ALL


class BufferStaging:
    """A `Staging` of the PostgreSQL engine."""

    def __init__(self, folder: StageFolder) -> None:
        self._budget = folder
        self._chunks: list[bytes] = []
        self._held = 0
        self._size = 0
        self._path: Path | None = None
        self._ended = False

    async def write(self, chunk: bytes) -> None:
        """Append octets. StoreUnavailable when the disk is full."""
        if self._ended:
            raise LocalProtocolError("The staged message is finished.")
        self._chunks.append(chunk)
        self._held += len(chunk)
        self._size += len(chunk)
        self._budget.left -= len(chunk)
        if self._held >= limits.STAGE_MEMORY or self._budget.left < 0:
            await self._spill()

    async def _spill(self) -> None:
        parts = self._chunks
        self._release()
        if self._path is None:
            self._path = self._budget.folder / secrets.token_hex(8)
        try:
            await asyncio.to_thread(_append, self._path, parts)
        except OSError as fault:
            raise unavailable(fault) from fault

    async def finish(self) -> Content:
        """The content, ready for a commit."""
        self._ended = True
        if self._path is None:
            chunks = self._chunks
            self._release()
            return Content(chunks)
        if self._chunks:
            await self._spill()
        path, self._path = self._path, None
        try:
            head = await asyncio.to_thread(_head, path)
        except OSError as fault:
            raise unavailable(fault) from fault
        content = Content([head], path=path, size=self._size)
        weakref.finalize(content, path.unlink, missing_ok=True)
        return content

    async def discard(self) -> None:
        """Forget it. Harmless after `finish`."""
        self._ended = True
        self._release()
        path, self._path = self._path, None
        if path is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _release(self) -> None:
        self._budget.left += self._held
        self._held = 0
        self._chunks = []


def _append(path: Path, parts: list[bytes]) -> None:
    with path.open("ab") as file:
        file.writelines(parts)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(limits.STAGE_HEAD)
