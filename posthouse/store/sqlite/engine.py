"""The engine's parts, put together: lock, schema, files, writer, readers, memory, upkeep; and how they end.

Opening repairs what a crash left: a segment's torn tail is cut, files that no row knows are removed, leases of dead
holders are given back, and half-swept remains are swept on. Nothing of that is needed for correctness of what was
committed: SQLite's log alone decides what is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import apsw

from posthouse import limits
from posthouse.errors import PosthouseError, StoreUnavailable
from posthouse.store.foreground import Foreground
from posthouse.store.memory.backlog import Backlog
from posthouse.store.memory.engine import Derive, NewDerived
from posthouse.store.memory.indexes import MailboxIndexes
from posthouse.store.memory.live import Live
from posthouse.store.memory.packed import Packed
from posthouse.store.memory.people_cache import PeopleCache
from posthouse.store.memory.readers import Readers
from posthouse.store.memory.views import AccountViews
from posthouse.store.settler import Settler
from posthouse.store.sql import account_reads
from posthouse.store.sql.state import AccountState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sql.writer import Submission, Work
from posthouse.store.sqlite import queue, snapshots, upkeep
from posthouse.store.sqlite.compaction import Compactor
from posthouse.store.sqlite.connection import connect, snapshot, unavailable
from posthouse.store.sqlite.deriving import Deriver
from posthouse.store.sqlite.emails import derive_emails
from posthouse.store.sqlite.lock import StoreLock
from posthouse.store.sqlite.migrate import migrate
from posthouse.store.sqlite.readers import Reader, refused
from posthouse.store.sqlite.segments import SegmentFolder
from posthouse.store.sqlite.space import SpaceReserve, reserve_of
from posthouse.store.sqlite.transaction import Transaction
from posthouse.store.sqlite.writer import DiskWriter
from posthouse.store.staging import StageBudget

log = logging.getLogger("posthouse.store")

RETRY_SECONDS: Final = 5.0
"""After a fault of the disk, before sweeping is tried again."""


class Engine:
    """All parts of one open store. Made by `open` only."""

    def __init__(self, path: Path, blobs: Path, derive: Derive, settings: Settings, lock: StoreLock) -> None:
        self._loop = asyncio.get_running_loop()
        self.path = path
        self._lock = lock
        self._settings = settings
        self.now = settings.now
        self.derive = derive
        self.folder = SegmentFolder(blobs)
        self.budget = StageBudget()
        self._interest = Interest()
        self._outbox: list[Submission] = []
        self._closed = False
        self.frozen = False
        """Nothing may change for now: everything that would is refused."""
        self.readers = Readers(self.open_reader, limits.READERS, refused)
        self._background_readers = Readers(self.open_reader, 1, refused)
        self.live = Live(
            MailboxIndexes(partial(self.readers.run, snapshots.load), self._save_snapshot),
            AccountViews(partial(self.readers.run, _read_account), self._interest),
            PeopleCache(self.readers),
        )
        self._space = SpaceReserve(reserve_of(path))
        self._writer = DiskWriter(self._open_transaction, self.live.publish, self._space)
        self._checkpointer = upkeep.Checkpointer(path, self._space)
        self._writer.after_commit = self._checkpointer.look
        self._loops: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._derived_waiting = Backlog(self._start, self.background, limits.DERIVED_WAITING)
        self._snapshots_waiting = Backlog(self._start, self.background, limits.SNAPSHOT_OCTETS_WAITING)
        self._sweep_wanted = asyncio.Event()
        self._swept = asyncio.Event()
        self.foreground = Foreground()
        self._deriver = Deriver(self._background_readers, derive, self.background, self.foreground)
        self._settler = Settler(lambda: self.background(lambda tx: tx.flag_log.settle_one()), self.foreground)
        self._compactor = Compactor(
            self._background_readers, self.folder, self.background, settings.now, self.foreground
        )

    @classmethod
    async def open(cls, path: Path, blobs: Path, derive: Derive, settings: Settings) -> Self:
        """Open or make the files, repair, start the threads. StoreUnavailable."""
        lock = await asyncio.to_thread(_prepare, path, int(settings.now()))
        engine = cls(path, blobs, derive, settings, lock)
        try:
            await asyncio.to_thread(engine._start_threads)
        except BaseException as fault:
            engine._abandon()
            if isinstance(fault, apsw.Error | OSError):
                raise unavailable(fault) from fault
            raise
        try:
            await engine._begin()
        except BaseException:
            await engine.close()
            raise
        return engine

    def open_reader(self) -> Reader:
        """What a reading thread works with: a connection and segment files of its own."""
        return Reader(self.path, self.folder)

    def _open_transaction(self) -> Transaction:
        tx = Transaction(connect(self.path), self.folder, self._interest, self._settings)
        known = dict(tx.query("SELECT segment, size FROM segment"))
        removed = self.folder.remove_orphans(set(known))
        if removed:
            log.info("removed %d segment files that nothing pointed at", removed)
        self.folder.start_above(max(known, default=0))
        for number, size in tx.query(
            "SELECT segment, size FROM segment WHERE packed = 0 ORDER BY segment DESC LIMIT 1"
        ):
            if size < limits.SEGMENT_OCTETS:
                tx.segments.resume(number, size)
        return tx

    def _abandon(self) -> None:
        self.readers.close()
        self._background_readers.close()
        self._lock.release()

    def _start_threads(self) -> None:
        self._writer.start()
        self._checkpointer.start()

    async def _begin(self) -> None:
        await self.background(queue.release_all)
        self.live.mail_went = self._want_sweep
        self.live.mail_came = self._deriver.wake
        self.live.flags_logged = self._settler.wake
        self._space.given_up = self._disk_is_full
        self._want_sweep()
        for loop in (self._sweep_loop(), self._deriver.run(), self._settler.run(), self._compactor.run()):
            self._loops.append(asyncio.create_task(loop))

    # --- commits -----------------------------------------------------------------------------------------

    def configure(self, *, default_quota: int, keep_deleted: bool) -> None:
        """As `LiveStore.configure`."""
        self._settings.default_quota, self._settings.keep_deleted = default_quota, keep_deleted

    def submit(self, work: tuple[Work, ...], *, background: bool = False) -> asyncio.Future[list[Any]]:
        """Hand operations to the writer as one commit; the results, once durable.

        What arrives in one turn of the event loop goes over together.
        """
        if self._closed:
            raise StoreUnavailable("The mail store is closed.")
        if self.frozen:
            raise StoreUnavailable("The mail store is being moved; try again later.")
        if not background:
            self.foreground.note()
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self._outbox:
            self._loop.call_soon(self._send)
        self._outbox.append(Submission(work, done, background))
        return done

    def _send(self) -> None:
        outbox, self._outbox = self._outbox, []
        if outbox:
            self._writer.submit(outbox)

    async def background(self, work: Callable[[Transaction], Any]) -> Any:
        """Have upkeep done in a transaction when nobody waits for one."""
        return (await self.submit((work,), background=True))[0]

    def keep(self, computed: list[NewDerived]) -> None:
        """Write derived values that a reader had to compute, some time."""
        self._derived_waiting.hand_over(len(computed), lambda tx: upkeep.keep_derived(tx, computed))

    async def decide_threads(self, account_id: int, email_ids: Sequence[int]) -> dict[int, int]:
        """Derive these emails now, which decides their threads."""
        computed = await self.readers.run(derive_emails, account_id, email_ids, self.derive)
        await self.submit((lambda tx: upkeep.keep_derived(tx, computed),))
        return await self.readers.run(lambda reader: account_reads.threads(reader.db, account_id, email_ids))

    def _save_snapshot(self, packed: Packed) -> None:
        self._snapshots_waiting.hand_over(len(packed.packed), lambda tx: snapshots.write(tx, packed))

    def _start(self, job: Coroutine[Any, Any, Any]) -> None:
        """Run something that nobody waits for; it is a cache's business, so its failure is only noted."""
        task = asyncio.create_task(_noted(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _sweep_loop(self) -> None:
        while True:
            await self._sweep_wanted.wait()
            self._sweep_wanted.clear()
            try:
                while await self.background(upkeep.sweep) or await self.background(upkeep.give_back):
                    pass
                if not self._space.intact:
                    self._checkpointer.wake()
            except PosthouseError as fault:
                log.warning("sweeping is put off: %s", fault)
                self._loop.call_later(RETRY_SECONDS, self._want_sweep)
            self._compactor.wake()
            if not self._sweep_wanted.is_set():
                self._swept.set()

    def _disk_is_full(self) -> None:
        """In whatever thread: what was deleted may give room."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._want_sweep)

    def _want_sweep(self) -> None:
        self._swept.clear()
        self._sweep_wanted.set()

    async def settle(self) -> None:
        """Wait until the upkeep (sweeping, deriving, settling) has nothing to do and what was started is done."""
        upkeep_done = (self._swept, self._deriver.done, self._settler.done)
        while self._jobs or not all(done.is_set() for done in upkeep_done):
            for done in upkeep_done:
                await done.wait()
            if self._jobs:
                await asyncio.wait(self._jobs)

    # --- the end -----------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Finish what was handed in, checkpoint, and let go of the files. A second call does nothing."""
        if self._closed:
            return
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self.live.indexes.save_all()
        while self._jobs:
            await asyncio.wait(self._jobs)
        self._closed = True
        self._send()
        await asyncio.to_thread(self._stop_threads)
        self.live.receive()
        self._lock.release()

    def _stop_threads(self) -> None:
        self._writer.stop()
        self._checkpointer.stop()
        self._background_readers.close()
        self.readers.close()
        try:
            connect(self.path).close()  # the last one to close copies the whole log and removes it
        except apsw.Error as fault:
            log.warning("the log is left to the next start: %s", fault)


def _prepare(path: Path, now: int) -> StoreLock:
    """Lock, then bring the file to the present schema."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = StoreLock(path.with_name(path.name + ".lock"))
    try:
        try:
            migrate(path, now)
        except (
            apsw.FullError,
            apsw.IOError,
        ):  # opening takes a little space too, if only for what readers share
            reserve_of(path).unlink(missing_ok=True)
            migrate(path, now)
        path.chmod(0o600)
    except BaseException as fault:
        lock.release()
        if isinstance(fault, apsw.Error | OSError):
            raise unavailable(fault) from fault
        raise
    return lock


def _read_account(reader: Reader, account_id: int) -> AccountState | None:
    with snapshot(reader.db):
        return load_account(reader.db, account_id)


async def _noted(job: Coroutine[Any, Any, Any]) -> None:
    try:
        await job
    except PosthouseError as fault:
        log.warning("upkeep was put off: %s", fault)
