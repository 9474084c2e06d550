"""A large message being received: in memory while that is cheap, else in a segment file of its own.

A staged file has the form of a segment with one frame, and is durable when `finish` returns; the commit only adds
the row that points at it, so the writer never copies a large message. A file that no commit adopted is removed when
its Content is forgotten, and at the next start after a crash.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import weakref

from posthouse import limits
from posthouse.errors import LocalProtocolError
from posthouse.store.model import (
    Content,
)
from posthouse.store.sqlite.connection import unavailable
from posthouse.store.sqlite.segments import (
    DIGEST_OCTETS,
    HEADER_OCTETS,
    RAW,
    SegmentFolder,
    header,
    write_all,
)


class StageBudget:
    """Octets that all stagings hold in memory together."""

    def __init__(self, octets: int = limits.STAGE_MEMORY_ALL) -> None:
        self.left = octets


class _File:
    """The file, used in worker threads one call at a time."""

    def __init__(self, folder: SegmentFolder) -> None:
        self.folder = folder
        self.number = folder.take_number()
        self.path = folder.path(self.number)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._digest = hashlib.sha256()
        self._at = HEADER_OCTETS

    def write(self, parts: list[bytes]) -> None:
        write_all(self._fd, parts, self._at)
        for part in parts:
            self._digest.update(part)
            self._at += len(part)

    def finish(self) -> None:
        size = self._at - HEADER_OCTETS
        write_all(self._fd, [header(RAW, size, size, self._digest.digest()[:DIGEST_OCTETS])], 0)
        os.fsync(self._fd)
        self.close()
        self.folder.sync_folder()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


class FileStaging:
    """A `Staging` of the embedded store."""

    def __init__(self, folder: SegmentFolder, budget: StageBudget) -> None:
        self._folder = folder
        self._budget = budget
        self._chunks: list[bytes] = []
        self._held = 0
        self._head: list[bytes] = []
        self._size = 0
        self._file: _File | None = None
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
        if not self._head:
            self._head = _beginning(parts)
        self._release()
        try:
            self._file = await asyncio.to_thread(_put, self._folder, self._file, parts)
        except OSError as fault:
            raise unavailable(fault) from fault

    async def finish(self) -> Content:
        """The content, ready for a commit."""
        self._ended = True
        if self._file is None:
            chunks = self._chunks
            self._release()
            return Content(chunks)
        if self._chunks:
            await self._spill()
        file = self._file
        try:
            await asyncio.to_thread(file.finish)
        except OSError as fault:
            raise unavailable(fault) from fault
        content = Content(self._head, path=file.path, size=self._size, offset=HEADER_OCTETS)
        weakref.finalize(content, _forget, self._folder, file.number)
        self._file = None
        return content

    async def discard(self) -> None:
        """Forget it. Harmless after `finish`."""
        self._ended = True
        self._release()
        file, self._file = self._file, None
        if file is not None:
            await asyncio.to_thread(file.discard)

    def _release(self) -> None:
        self._budget.left += self._held
        self._held = 0
        self._chunks = []


def _put(folder: SegmentFolder, file: _File | None, parts: list[bytes]) -> _File:
    file = file or _File(folder)
    file.write(parts)
    return file


def _beginning(parts: list[bytes]) -> list[bytes]:
    """The first parts, at least STAGE_HEAD octets of them when there are so many."""
    head: list[bytes] = []
    size = 0
    for part in parts:
        head.append(part)
        size += len(part)
        if size >= limits.STAGE_HEAD:
            break
    return head


def _forget(folder: SegmentFolder, number: int) -> None:
    if number not in folder.adopted:
        folder.path(number).unlink(missing_ok=True)
