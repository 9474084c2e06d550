"""Disk space held back, so that a full disk stops new mail but neither reading nor deleting.

Deleting needs space too: each change goes to the write-ahead log first. So a file of SPACE_RESERVE octets stands
beside the database. When a commit finds the disk full, the file is given up and operations that add mail are
refused from memory; once it can be made again there is space again, and they go on. So they are while the log holds
more than the disk has room for and cannot be copied (`awaited`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from posthouse import limits

log = logging.getLogger("posthouse.store")

RETRY_SECONDS: Final = 2.0
"""Between two looks at whether there is space again."""


def reserve_of(database: Path) -> Path:
    """The reserve beside a database."""
    return database.with_name(database.name + ".reserve")


class SpaceReserve:
    """The reserve. All methods are thread-safe and never raise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self.intact = self._exists() or (self._enough() and self._make())
        self.awaited = False
        """The log must be copied before it may take more: set by the `Checkpointer`."""
        self.given_up: Callable[[], None] = lambda: None
        """Called when the reserve was given up, in whatever thread."""

    def release(self) -> bool:
        """Give the reserve up; False when there was none."""
        with self._lock:
            if not self.intact:
                return False
            log.warning("the disk is full: new mail is refused until there is space again")
            self.intact = False
            self._path.unlink(missing_ok=True)
            self._retry_at = time.monotonic() + RETRY_SECONDS
        self.given_up()
        return True

    def allows_more(self) -> bool:
        """Whether something new may come; space that was given up is held back again, tried every RETRY_SECONDS."""
        if self.intact:
            return not self.awaited
        with self._lock:
            if not self.intact and time.monotonic() >= self._retry_at:
                self.intact = self._enough() and self._make()
                if self.intact:
                    log.info("there is space on the disk again")
                self._retry_at = time.monotonic() + RETRY_SECONDS
            return self.intact and not self.awaited

    def has_room_for(self, octets: int) -> bool:
        """Whether the disk has so much room without the reserve."""
        return _free(self._path.parent) >= octets

    def _exists(self) -> bool:
        try:
            return self._path.stat().st_size == limits.SPACE_RESERVE
        except OSError:
            return False

    def _enough(self) -> bool:
        """Whether there is room for more than the reserve, else the next message would end it again."""
        return self.has_room_for(limits.SPACE_RESERVE * 3 // 2)

    def _make(self) -> bool:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(fd, 0, limits.SPACE_RESERVE)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)
        return True


def _free(folder: Path) -> int:
    """Octets that may still be written; 0 when that cannot be known."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize
