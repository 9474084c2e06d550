"""Staged messages of a node: a file that is only a buffer until the commit.

The bytes are durable once they are in the object store or the database, before the reply. The file is removed when its
Content is forgotten, and whatever is left when a node starts.
"""

from __future__ import annotations

import secrets
import shutil
import weakref
from pathlib import Path

from posthouse.store.model import Content
from posthouse.store.postgres.connection import unavailable
from posthouse.store.staging import Buffer, SpillingStaging, StageBudget


class StageFolder(StageBudget):
    """Where the files are."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder


class _File:
    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(8)

    def write(self, parts: list[bytes]) -> None:
        with self.path.open("ab") as file:
            file.writelines(parts)

    def finish(self) -> None:
        """There is nothing to do: what counts is what the commit makes durable."""

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class BufferStaging(SpillingStaging):
    """A `Staging` of the PostgreSQL engine."""

    def __init__(self, folder: StageFolder) -> None:
        super().__init__(folder, unavailable)
        self._folder = folder.folder

    def _begin(self) -> Buffer:
        return _File(self._folder)

    def _content(self, buffer: Buffer, head: list[bytes], size: int) -> Content:
        assert isinstance(buffer, _File)
        content = Content(head, path=buffer.path, size=size)
        weakref.finalize(content, buffer.discard)
        return content
