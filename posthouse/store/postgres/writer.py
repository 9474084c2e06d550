"""A node's writer: group commit as in the embedded engine, beside the writers of other nodes.

A batch locks the accounts it names before it begins. One that ran into another node's, or whose connection broke
before the commit, is tried again; a commit whose answer was lost is asked after (`Transaction.commit`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import asyncpg

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.postgres.blobs import PutObject
from posthouse.store.postgres.connection import CONTENDED, TransactionLost, unavailable
from posthouse.store.postgres.operations import OPERATIONS
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql.writer import Publish, Submission, Writer

log = logging.getLogger("posthouse.store")


class NodeWriter(Writer[Transaction]):
    """The writer of one node."""

    def __init__(self, open_transaction: Callable[[], Transaction], publish: Publish) -> None:
        super().__init__(open_transaction, publish, OPERATIONS)
        self.objects: dict[int, PutObject] = {}
        """Contents that were put into the object store, by identity; whoever waits for the commit keeps them."""
        self._tries = 0

    def _begin(self, batch: list[Submission]) -> None:
        tx = self._tx
        tx.begin()
        tx.blobs.objects = self.objects
        tx.lock(
            account_id
            for one in batch
            for work in one.work
            if isinstance(account_id := getattr(work, "account_id", None), int)
        )

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
