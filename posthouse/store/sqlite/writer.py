"""The embedded engine's writer: what to do when the disk fails or is full.

A fault fails the batch (nothing of it is kept); when the disk is full, what needs no space is tried once more on the
reserve.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Final

import apsw

from posthouse.errors import StoreUnavailable
from posthouse.store.sql.writer import Publish, Submission, Writer
from posthouse.store.sqlite.connection import unavailable
from posthouse.store.sqlite.operations import OPERATIONS
from posthouse.store.sqlite.space import SpaceReserve
from posthouse.store.sqlite.transaction import Transaction
from posthouse.store.sqlite.upkeep import begin_log_anew

log = logging.getLogger("posthouse.store")

FULL_PATIENCE_MS: Final = 2_000
"""How long a commit that found the disk full waits for the thread that copies the log: else it must be refused."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskWriter(Writer[Transaction]):
    """The writer of one file."""

    def __init__(
        self, open_transaction: Callable[[], Transaction], publish: Publish, space: SpaceReserve
    ) -> None:
        super().__init__(open_transaction, publish, OPERATIONS)
        self._space = space

    def _room(self) -> bool:
        return self._space.allows_more()

    def _unavailable(self, fault: BaseException) -> StoreUnavailable:
        return unavailable(fault)

    def _after_fault(self, batch: list[Submission], fault: Exception, *, again: bool) -> None:
        """The disk or the database failed: nothing of the batch was kept."""
        full = isinstance(fault, apsw.FullError) or (isinstance(fault, OSError) and fault.errno in _FULL)
        if full and again:
            self._space.release()
            begin_log_anew(self._tx, FULL_PATIENCE_MS)  # so that its space can be used again
            self._commit(batch, again=False)
            return
        if getattr(fault, "extendedresult", 0) == apsw.SQLITE_IOERR_FSYNC:
            # What the system has written after a failed sync cannot be known: only a restart looks anew.
            self._broken = fault
        if isinstance(fault, StoreUnavailable | apsw.Error | OSError):
            log.error("a commit failed: %s", fault)
        else:
            log.error("a commit failed", exc_info=fault)
        self._fail(batch, fault)
