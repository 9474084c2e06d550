"""One process opens a store for writing, and a second one is told which.

The lock is the kernel's (flock), so it ends with its holder whatever happens to that. The file's text is for
people; it stays when the lock is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from posthouse.errors import StoreUnavailable


class StoreInUse(StoreUnavailable):
    """Another process has the store open: it will answer soon, or end."""


class StoreLock:
    """Held from construction until `release`. Raises StoreInUse, naming the holder."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            holder = os.pread(self._fd, 64, 0).decode("ascii", "replace").strip() or "another process"
            os.close(self._fd)
            raise StoreInUse(f"The mail store is in use by {holder}.") from fault
        with contextlib.suppress(
            OSError
        ):  # the lock is what counts: on a full disk it is held without a name
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go. Harmless when done already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
