"""A node's writer: group commit as in the embedded engine, beside the writers of other nodes.

A batch locks the accounts it names before it begins; new mail alone needs no locks (`Transaction.begin_lean`). One that
ran into another node's, or whose connection broke before the commit, is tried again; a commit whose answer was lost is
asked after (`Transaction.commit`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import asyncpg

from posthouse import limits
from posthouse.errors import PosthouseError, StoreUnavailable
from posthouse.store.interface import AddEmail, RecordEvents
from posthouse.store.memory.changes import Change
from posthouse.store.postgres.blobs import PutObject
from posthouse.store.postgres.connection import CONTENDED, TransactionLost, unavailable
from posthouse.store.postgres.operations import OPERATIONS
from posthouse.store.postgres.transaction import Moved, Transaction
from posthouse.store.sql.writer import Publish, Submission, Writer

log = logging.getLogger("posthouse.store")

_LEAN: Final = frozenset({AddEmail, RecordEvents})
"""Operations that are rows and counts alone."""


class NodeWriter(Writer[Transaction]):
    """The writer of one node."""

    def __init__(self, open_transaction: Callable[[], Transaction], publish: Publish) -> None:
        super().__init__(open_transaction, publish, OPERATIONS)
        self.objects: dict[int, PutObject] = {}
        """Contents that were put into the object store, by identity; whoever waits for the commit keeps them."""
        self._tries = 0

    def _attempt(self, batch: list[Submission]) -> list[Change]:
        if all(type(work) in _LEAN for one in batch for work in one.work):
            try:
                return self._attempt_lean(batch)
            except Moved:
                pass
        return super()._attempt(batch)

    def _attempt_lean(self, batch: list[Submission]) -> list[Change]:
        """New mail as one statement, by what memory says of its accounts. A refusal needs a closer look."""
        tx = self._tx
        tx.blobs.objects = self.objects
        try:
            if not tx.begin_lean(_accounts(batch)):
                raise Moved
            for one in batch:
                self._perform(one, may_cut=False)
            return tx.commit()
        except PosthouseError as refusal:
            tx.rollback()
            raise Moved from refusal
        except BaseException:
            tx.rollback()
            raise

    def _begin(self, batch: list[Submission]) -> None:
        tx = self._tx
        tx.begin()
        tx.blobs.objects = self.objects
        tx.lock(_accounts(batch))

    def _room(self) -> bool:
        return True

    def _unavailable(self, fault: BaseException) -> StoreUnavailable:
        return unavailable(fault)

    def _after_fault(self, batch: list[Submission], fault: Exception, *, again: bool) -> None:
        """Nothing of the batch was kept."""
        passing = isinstance(fault, (*CONTENDED, TransactionLost, StoreUnavailable))
        if passing and again and self._tries < limits.DATABASE_TRIES and not self._tx.commit_failed:
            self._tries += 1
            try:
                self._commit(batch)
            finally:
                self._tries = 0
            return
        if isinstance(fault, StoreUnavailable | TransactionLost | asyncpg.PostgresError):
            log.error("a commit failed: %s", fault.__cause__ or fault or type(fault).__name__)
        else:
            log.error("a commit failed", exc_info=fault)
        self._fail(batch, fault)


def _accounts(batch: list[Submission]) -> set[int]:
    """The accounts that operations name."""
    return {
        account_id
        for one in batch
        for work in one.work
        if isinstance(account_id := getattr(work, "account_id", None), int)
    }
