"""What a reading thread works with: a connection and open segment files of its own."""

from __future__ import annotations

from pathlib import Path

import apsw

from posthouse.errors import StoreUnavailable
from posthouse.store.sqlite.connection import Connection, connect, unavailable
from posthouse.store.sqlite.segments import SegmentFolder, SegmentReader


class Reader:
    """What a job works with. One thread only."""

    def __init__(self, path: Path, folder: SegmentFolder) -> None:
        self.db: Connection = connect(path)
        self.segments = SegmentReader(folder)

    def close(self) -> None:
        """Let go of all files."""
        self.segments.close()
        self.db.close()


def refused(fault: BaseException) -> StoreUnavailable | None:
    """What callers see for a fault of the disk or the database."""
    return unavailable(fault) if isinstance(fault, apsw.Error | OSError) else None
