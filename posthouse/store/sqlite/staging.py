"""Staged messages of the embedded store: each becomes a segment file of its own.

A staged file has the form of a segment with one frame, and is durable when `finish` returns; the commit only adds
the row that points at it, so the writer never copies a large message. A file that no commit adopted is removed when
its Content is forgotten, and at the next start after a crash.
"""

from __future__ import annotations

import hashlib
import os
import weakref

from posthouse.store.model import Content
from posthouse.store.sqlite.connection import unavailable
from posthouse.store.sqlite.segments import (
    DIGEST_OCTETS,
    HEADER_OCTETS,
    RAW,
    SegmentFolder,
    header,
    write_all,
)
from posthouse.store.staging import Buffer, SpillingStaging, StageBudget


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
        self.folder.forget(self.number)


class FileStaging(SpillingStaging):
    """A `Staging` of the embedded store."""

    def __init__(self, folder: SegmentFolder, budget: StageBudget) -> None:
        super().__init__(budget, unavailable)
        self._folder = folder

    def _begin(self) -> Buffer:
        return _File(self._folder)

    def _content(self, buffer: Buffer, head: list[bytes], size: int) -> Content:
        assert isinstance(buffer, _File)
        content = Content(head, path=buffer.path, size=size, offset=HEADER_OCTETS)
        weakref.finalize(content, _forget, self._folder, buffer.number).atexit = False
        return content


def _forget(folder: SegmentFolder, number: int) -> None:
    if number in folder.adopted:
        folder.adopted.discard(number)  # no other content will ever have it
    else:
        folder.forget(number)
