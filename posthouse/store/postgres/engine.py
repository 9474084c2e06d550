"""A node's parts, put together: the writer, readers, memory, notices, object store, upkeep; and how they end.

Nothing that a node keeps is the only copy. Opening brings the schema up to date and makes the node known; closing gives
its leases back. What a killed node leaves is taken over by others when it was silent for NODE_SILENCE.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import asyncpg
import msgspec

from posthouse import __version__, limits
from posthouse.errors import PosthouseError, StoreUnavailable
from posthouse.store.foreground import Foreground
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.memory.backlog import Backlog
from posthouse.store.memory.engine import Derive, NewDerived
from posthouse.store.memory.indexes import MailboxIndexes
from posthouse.store.memory.live import Live
from posthouse.store.memory.missed import Missed
from posthouse.store.memory.packed import Packed
from posthouse.store.memory.people_cache import PeopleCache
from posthouse.store.memory.readers import Readers
from posthouse.store.memory.views import AccountViews
from posthouse.store.model import Content
from posthouse.store.postgres import queue, snapshots, upkeep
from posthouse.store.postgres.blobs import PutObject, digest_of
from posthouse.store.postgres.connection import Connection, Server, refused, snapshot
from posthouse.store.postgres.digesting import Digester
from posthouse.store.postgres.emails import derive_emails
from posthouse.store.postgres.migrate import WAITS, migrate
from posthouse.store.postgres.nodes import Node
from posthouse.store.postgres.notices import Notices
from posthouse.store.postgres.packing import Packer
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.staging import StageFolder
from posthouse.store.postgres.sweeping import Sweeper
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.postgres.writer import NodeWriter
from posthouse.store.s3 import Objects
from posthouse.store.settler import Settler
from posthouse.store.sql import account_reads
from posthouse.store.sql.state import AccountState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sql.writer import Submission, Work

log = logging.getLogger("posthouse.store")

FLAGS_LOGGED_SINCE: Final = 13
"""The schema from which on large flag changes are logged."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cluster's mail is, and what this node is in it."""

    url: str
    """postgresql://…"""
    folder: Path
    """For buffers and caches of this node alone; what is in it is forgotten."""
    objects: str = ""
    """s3://…; empty: all bytes are in the database."""
    name: str = ""
    """Our host name, for `status`."""
    roles: tuple[str, ...] = ()
    """Empty: this is a command beside the nodes."""
    ports: dict[str, int] = {}
    """Listener → port, of those that this node serves."""
    jobs: bool = True
    """Whether this node sweeps, derives and indexes."""
    check_clock: bool = True
    """Whether our clock is compared with the database's."""


class Engine:
    """All parts of one node. Made by `open` only."""

    def __init__(self, place: Place, derive: Derive, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._place = place
        self._settings = settings
        self.now = settings.now
        self.derive = derive
        self.server = Server(place.url)
        self.name = f"{place.name or 'node'}-{secrets.token_hex(6)}"
        self.staging = StageFolder(place.folder / "staging")
        self.objects = Objects(place.objects, place.folder / "objects") if place.objects else None
        self.clock_ahead = 0.0
        self._outbox: list[Submission] = []
        self._closed = False
        self._jobs: set[asyncio.Task[Any]] = set()
        self._derived_waiting = Backlog(self._begin, self.background, limits.DERIVED_WAITING)
        self._snapshots_waiting = Backlog(self._begin, self.background, limits.SNAPSHOT_OCTETS_WAITING)
        self.foreground = Foreground()
        self._writer = NodeWriter(partial(self._open_transaction, self.name), self._publish)
        # Upkeep has a connection of its own: what it writes in bulk never stands before mail that arrives.
        self._upkeep = NodeWriter(partial(self._open_transaction, f"{self.name}+"), self._publish)
        self._loops: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, place: Place, derive: Derive, settings: Settings) -> Self:
        """Reach the database, bring its schema up to date, start the threads. StoreUnavailable."""
        engine = cls(place, derive, settings)
        await asyncio.to_thread(engine._prepare)
        engine._start()
        with contextlib.suppress(
            TimeoutError
        ):  # else it begins cut off from the others, and finds them later
            async with asyncio.timeout(limits.DATABASE_CONNECT_TIMEOUT):
                await engine.notices.connected.wait()
        return engine

    def _prepare(self) -> None:
        db = Connection(self.server)
        try:
            self.server.steps = migrate(db)
            db.fetch(
                "INSERT INTO commit_mark VALUES ($1, 0, $3), ($2, 0, $3)",
                self.name,
                f"{self.name}+",
                int(time.time()),
            )
            ((now, durable),) = db.fetch(
                "SELECT extract(epoch FROM clock_timestamp())::float8,"
                " current_setting('fsync') <> 'off' AND current_setting('synchronous_commit') <> 'off'"
            )
        except asyncpg.PostgresError as fault:
            raise StoreUnavailable(f"The database cannot be used: {fault}") from fault
        finally:
            db.close()
        if not durable:
            log.warning("the database does not sync its commits: a power cut can lose mail that was accepted")
        ahead = now - self._settings.now()
        if self._place.check_clock and abs(ahead) > limits.CLOCK_TOLERANCE:
            log.warning("our clock is %.0f seconds from the database's: its word counts", -ahead)
            self.clock_ahead = float(round(ahead))

    def _start(self) -> None:
        self.readers = Readers(self.open_reader, limits.READERS, refused)
        self._background_readers = Readers(self.open_reader, 1, refused)
        self.live = Live(
            MailboxIndexes(
                partial(self.readers.run, snapshots.load),
                self._save_snapshot,
                catch_up=self._catch_up,
            ),
            AccountViews(partial(self.readers.run, _read_account), Interest()),
            PeopleCache(self.readers),
        )
        self._writer.start()
        self._upkeep.start()
        self.notices = Notices(self.server, self.live, self.name)
        place = self._place
        self.node = Node(self.name, place.name, place.roles, __version__, place.ports)
        self.notices.beat = self.node.beat
        self.node.died = self._take_over
        self.node.agreed = self._agreed
        self._sweeper = Sweeper(self.background, self.objects, self._settings.now)
        self._digester = Digester(self._background_readers, self.derive, self.background, self.foreground)
        self._packer = (
            Packer(self._background_readers, self.objects, self.background, self.foreground)
            if self.objects is not None
            else None
        )
        self._settler = Settler(self._settle_one, self.foreground, limits.FLAGS_LEFT_SECONDS)
        self.live.flags_logged = self._settler.wake
        self._loops.append(asyncio.create_task(self._settler.run()))
        self.notices.start()
        if self._place.jobs:
            self.live.mail_went = self._sweeper.wake
            self.live.mail_came = self._digester.wake
            self._sweeper.wake()
            self._loops += [
                asyncio.create_task(self._sweeper.run()),
                asyncio.create_task(self._digester.run()),
            ]
            if self._packer is not None:
                self._loops.append(asyncio.create_task(self._packer.run()))

    def open_reader(self) -> Reader:
        """What a reading thread works with."""
        return Reader(self.server, self.objects, self.clock_ahead)

    def _open_transaction(self, mark: str) -> Transaction:
        db, numbers = Connection(self.server), Connection(self.server)
        tx = Transaction(db, numbers, Interest(), self._settings, self.name, mark)
        tx.clock_ahead = self.clock_ahead
        return tx

    def _publish(self, *published: Any) -> None:
        self.live.publish(*published)

    def _catch_up(self, index: MailboxIndex) -> asyncio.Future[Missed]:
        return self.readers.run(
            snapshots.missed_by,
            index.account_id,
            index.mailbox_id,
            index.uid_validity,
            index.uid_next,
            index.highest_modseq,
        )

    # --- commits -----------------------------------------------------------------------------------------

    def configure(self, *, default_quota: int, keep_deleted: bool) -> None:
        """As `LiveStore.configure`."""
        self._settings.default_quota, self._settings.keep_deleted = default_quota, keep_deleted

    def submit(self, work: tuple[Work, ...]) -> asyncio.Future[list[Any]]:
        """Hand operations to the writer as one commit; the results, once durable.

        What arrives in one turn of the event loop goes over together. Large bodies are put into the object store
        before.
        """
        if self._closed:
            raise StoreUnavailable("The mail store is closed.")
        self.foreground.note()
        large = self._large(work) if self.objects is not None else {}
        if large:
            return asyncio.ensure_future(self._put_and_commit(work, large))
        return self._hand_over(work)

    def _hand_over(self, work: tuple[Work, ...]) -> asyncio.Future[list[Any]]:
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self._outbox:
            self._loop.call_soon(self._send)
        self._outbox.append(Submission(work, done))
        return done

    def _large(self, work: tuple[Work, ...]) -> dict[int, Content]:
        contents = [getattr(op, "content", None) for op in work]
        return {
            id(content): content
            for content in contents
            if isinstance(content, Content) and content.size > limits.OBJECT_OCTETS
        }

    async def _put_and_commit(self, work: tuple[Work, ...], large: dict[int, Content]) -> list[Any]:
        """Large bodies first, then the rows that point at them. A body without rows is swept some time later."""
        assert self.objects is not None
        for number, content in large.items():
            key = await self.objects.put(content)
            digest = await asyncio.to_thread(digest_of, content)
            self._writer.objects[number] = PutObject(key, digest)
        try:
            return await asyncio.shield(self._hand_over(work))
        finally:
            for number in large:
                self._writer.objects.pop(number, None)

    def _send(self) -> None:
        outbox, self._outbox = self._outbox, []
        if outbox:
            self._writer.submit(outbox)

    async def background(self, work: Callable[[Transaction], Any]) -> Any:
        """Have upkeep done in a transaction when nobody waits for one."""
        if self._closed:
            raise StoreUnavailable("The mail store is closed.")
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        self._upkeep.submit([Submission((work,), done, background=True)])
        return (await done)[0]

    async def _settle_one(self) -> bool:
        more: bool = await self.background(lambda tx: tx.flag_log.settle_one())
        return more

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

    def _take_over(self, nodes: list[str]) -> None:
        """These nodes are dead: what they had leased is due again."""
        log.warning("taking over from %s", ", ".join(nodes))
        self._begin(self.background(lambda tx: queue.release_of(tx, nodes)))

    def _agreed(self, steps: frozenset[int], lowest: int) -> None:
        """What the nodes know, and the database's schema: a step may have waited, flags may be logged or not."""
        may_log = FLAGS_LOGGED_SINCE in steps and lowest >= WAITS[FLAGS_LOGGED_SINCE]
        if self.server.logs_flags and not may_log:
            log.warning("a node is alive that does not read logged flag changes: they are settled")
            self._settler.wake()
        self.server.logs_flags = may_log
        self.server.steps = steps
        if any(step not in steps and lowest >= needed for step, needed in WAITS.items()):
            self._begin(asyncio.to_thread(self._migrate))

    def _migrate(self) -> None:
        db = Connection(self.server)
        try:
            migrate(db)
        except asyncpg.PostgresError as fault:
            raise StoreUnavailable(f"The schema cannot be brought on: {fault}") from fault
        finally:
            db.close()

    def _begin(self, job: Coroutine[Any, Any, Any]) -> None:
        """Run something that nobody waits for; its failure is only noted."""
        if self._closed:
            job.close()
            return
        task = asyncio.create_task(_noted(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def settle(self) -> None:
        """Wait until sweeping, deriving, indexing and settling have nothing to do and what was started is done."""
        upkeep_done = (self._sweeper.done, self._digester.done, self._settler.done)
        while self._jobs or not all(done.is_set() for done in upkeep_done):
            for done in upkeep_done:
                await done.wait()
            if self._jobs:
                await asyncio.wait(self._jobs)

    # --- the end -----------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Finish what was handed in, give leases back, let go. A second call does nothing."""
        if self._closed:
            return
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self.live.indexes.save_all()
        self._begin(self.background(lambda tx: queue.release_of(tx, [self.name])))
        self._begin(self.background(self.node.leave))
        while self._jobs:
            await asyncio.wait(self._jobs)
        self._closed = True
        self._send()
        await asyncio.to_thread(self._stop_threads)
        self.live.receive()
        await self.notices.close()

    def _stop_threads(self) -> None:
        self._writer.stop()
        self._upkeep.stop()
        self._background_readers.close()
        self.readers.close()


def _read_account(reader: Reader, account_id: int) -> AccountState | None:
    with snapshot(reader.db):
        return load_account(reader.db, account_id)


async def _noted(job: Coroutine[Any, Any, Any]) -> None:
    try:
        await job
    except PosthouseError as fault:
        log.warning("upkeep was put off: %s", fault)
