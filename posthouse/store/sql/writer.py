"""The one writer: gathers every commit that waits into one transaction and makes them durable together.

There is no delay of its own: while one batch is being synced the next one forms. A batch runs without savepoints
first; when an operation refuses after it has changed something, the batch is undone and run again with a savepoint
for each commit, so that one refusal harms nobody else. Long operations hand back pieces; between two of them the
others that wait go first. What a fault of the disk or the database means
is each engine's word; nothing of the batch was kept then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

import msgspec

from posthouse import limits
from posthouse.counts import COMMIT_SECONDS, COMMITS
from posthouse.errors import PosthouseError, StoreUnavailable
from posthouse.store.interface import AddEmail, Enqueue, Op
from posthouse.store.memory.changes import Change
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.transaction import Transaction

log = logging.getLogger("posthouse.store")

TURNS_PER_BACKGROUND: Final = 32
"""Batches after which a waiting background job is let in between."""

Tx = TypeVar("Tx", bound=Transaction)

Work = Op[Any] | Callable[[Any], Any]
"""An operation, or (for the engine's own upkeep) a function of the transaction."""


class Submission(msgspec.Struct, eq=False):
    """Operations that make one commit, and who waits for it."""

    work: tuple[Work, ...]
    done: asyncio.Future[list[Any]]
    background: bool = False
    results: list[Any] | None = None
    fault: BaseException | None = None
    pieces: Iterator[Any] | None = None

    def octets(self) -> int:
        """Message bytes that this brings."""
        return sum(op.content.size for op in self.work if isinstance(op, AddEmail | Enqueue))


Publish = Callable[[list[Change], list[Submission]], None]
"""Called in the writer's thread after each batch, with what to tell and whom to answer."""


_ENDED: Final = object()
"""What is left of pieces that have no result."""


class _Refused(Exception):
    """An operation refused after it had changed something: the batch must be run with savepoints."""


class Writer(ABC, Generic[Tx]):
    """The writer's thread. `submit` from anywhere; `open_transaction` makes its connection, in the thread."""

    def __init__(
        self, open_transaction: Callable[[], Tx], publish: Publish, operations: Mapping[type[Op[Any]], Any]
    ) -> None:
        """`operations`: the function that carries out each operation."""
        self._open = open_transaction
        self._publish = publish
        self._operations = operations
        self._arrived: SimpleQueue[list[Submission] | None] = SimpleQueue()
        self._waiting: deque[Submission] = deque()
        self._background: deque[Submission] = deque()
        self._long: deque[Submission] = deque()
        self._broken: BaseException | None = None
        self._stopping = False
        self._failed_to_open: BaseException | None = None
        self._opened = threading.Event()
        self._turns = 0
        self.commits = 0
        """Transactions so far: others see from it whether the writer is busy."""
        self.after_commit: Callable[[Tx], None] | None = None
        """Called in the thread after each transaction (for the log's upkeep); must not raise."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until its connection is open. Raises what opening raised."""
        self._thread.start()
        self._opened.wait()
        if self._failed_to_open is not None:
            raise self._failed_to_open

    def submit(self, submissions: list[Submission]) -> None:
        """Hand work in (thread-safe)."""
        self._arrived.put(submissions)

    def stop(self) -> None:
        """Finish what was handed in and end the thread. Blocks."""
        self._arrived.put(None)
        self._thread.join()

    # --- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._tx = self._open()
        except BaseException as fault:
            self._failed_to_open = fault
            return
        finally:
            self._opened.set()
        while self._gather():
            try:
                self._turn()
            except BaseException as fault:  # a bug of ours: nobody may be left waiting
                log.exception("the store's writer failed")
                self._broken = fault
                self._fail_all(fault)
        self._tx.close()

    def _gather(self) -> bool:
        """Wait for work when there is none; take all that has come. False: stopped and nothing is left."""
        idle = not (self._waiting or self._background or self._long)
        if idle and self._stopping:
            return False
        try:
            arrived = self._arrived.get(block=idle)
            while True:
                if arrived is None:
                    self._stopping = True
                else:
                    for one in arrived:
                        (self._background if one.background else self._waiting).append(one)
                arrived = self._arrived.get(block=False)
        except Empty:
            return True

    def _turn(self) -> None:
        """One transaction: those who wait, else a piece of something long, else one background job.

        Background jobs get a turn among many also when somebody always waits.
        """
        if self._broken is not None:
            self._fail_all(self._broken)
        elif self._waiting:
            self._commit(self._take_batch())
            self._turns += 1
            if self._long:
                self._continue_long()
            elif self._background and self._turns % TURNS_PER_BACKGROUND == 0:
                self._commit([self._background.popleft()])
        elif self._long:
            self._continue_long()
        elif self._background:
            self._commit([self._background.popleft()])
        if self.after_commit is not None:
            self.after_commit(self._tx)

    def _take_batch(self) -> list[Submission]:
        batch: list[Submission] = []
        octets = 0
        while self._waiting and len(batch) < limits.BATCH_SUBMISSIONS and octets < limits.BATCH_OCTETS:
            batch.append(one := self._waiting.popleft())
            octets += one.octets()
        return batch

    def _fail_all(self, fault: BaseException) -> None:
        everyone = [*self._waiting, *self._long, *self._background]
        self._waiting.clear()
        self._long.clear()
        self._background.clear()
        for one in everyone:
            one.fault = self._unavailable(fault)
        if everyone:
            self._publish([], everyone)

    # --- a batch -----------------------------------------------------------------------------------------

    def _commit(self, batch: list[Submission], *, again: bool = True) -> None:
        tx, began = self._tx, time.monotonic()
        tx.may_grow = again and self._room()  # a second try is for what needs no space
        try:
            try:
                published = self._attempt(batch)
            except _Refused:
                published = self._attempt_each(batch)
        except Exception as fault:
            self._after_fault(batch, fault, again=again)
            return
        self._committed(began)
        answered = [one for one in batch if one.pieces is None]
        self._long.extend(one for one in batch if one.pieces is not None)
        self._publish(published, answered)

    def _committed(self, began: float) -> None:
        self.commits += 1
        COMMITS.add()
        COMMIT_SECONDS.add(by=time.monotonic() - began)

    def _attempt(self, batch: list[Submission]) -> list[Change]:
        """All in one transaction, without savepoints."""
        tx = self._tx
        try:
            self._begin(batch)
            for one in batch:
                before = tx.writes
                try:
                    self._perform(one, may_cut=len(one.work) == 1)
                except PosthouseError as refusal:
                    if tx.writes != before:
                        raise _Refused from refusal
                    one.fault = refusal
            return tx.commit()
        except BaseException:
            tx.rollback()
            raise

    def _attempt_each(self, batch: list[Submission]) -> list[Change]:
        """All in one transaction, each commit undone by itself when it refuses."""
        tx = self._tx
        try:
            self._begin(batch)
            for one in batch:
                tx.end_run()  # its new mail is published apart, so that it can be taken back
                mark = tx.savepoint()
                one.fault = None
                try:
                    self._perform(one, may_cut=len(one.work) == 1)
                except PosthouseError as refusal:
                    one.fault = refusal
                    tx.undo_to(mark)
                else:
                    tx.release()
            return tx.commit()
        except BaseException:
            tx.rollback()
            raise

    def _perform(self, one: Submission, *, may_cut: bool) -> None:
        tx = self._tx
        tx.start_submission()
        tx.may_cut = may_cut
        one.pieces = None
        results: list[Any] = []
        for work in one.work:
            result = self._operations[type(work)](tx, work) if isinstance(work, Op) else work(tx)
            if isinstance(result, Pieces):
                one.pieces = result.pieces
            results.append(result)
        one.results = results

    def _continue_long(self) -> None:
        """Pieces of the oldest long operation, in one transaction, until it ends or somebody waits."""
        one = self._long.popleft()
        tx, began = self._tx, time.monotonic()
        tx.may_grow = self._room()
        assert one.pieces is not None
        ended = False
        try:
            try:
                self._begin([one])
                while not ended:
                    result = next(one.pieces, _ENDED)
                    ended = result is not None
                    one.results = [None if result is _ENDED else result]
                    if not self._arrived.empty() or self._waiting:
                        break
                published = tx.commit()
            except BaseException:
                tx.rollback()
                raise
        except Exception as fault:
            if isinstance(fault, PosthouseError):
                one.fault = fault
                self._publish([], [one])
            else:
                self._after_fault([one], fault, again=False)
            return
        self._committed(began)
        if not ended:
            self._long.append(one)
        self._publish(published, [one] if ended else [])

    # --- what engines decide -------------------------------------------------------------------------------

    @abstractmethod
    def _room(self) -> bool:
        """Whether there is space for something new."""

    @abstractmethod
    def _after_fault(self, batch: list[Submission], fault: Exception, *, again: bool) -> None:
        """The disk or the database failed: nothing of the batch was kept. Try once more (`again`), or fail it."""

    @abstractmethod
    def _unavailable(self, fault: BaseException) -> StoreUnavailable:
        """The error that callers see for a fault of the disk or the database."""

    def _begin(self, batch: list[Submission]) -> None:
        """Start a transaction for these."""
        self._tx.begin()

    def _fail(self, batch: list[Submission], fault: Exception) -> None:
        """Refuse a batch."""
        for one in batch:
            one.fault = fault if isinstance(fault, PosthouseError) else self._unavailable(fault)
            one.pieces = None
        self._publish([], batch)
