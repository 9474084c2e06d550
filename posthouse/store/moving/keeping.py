"""A cluster's mail as a backup, and verified: `posthouse backup DIR` and `posthouse verify` on any of its nodes.

A backup has the form of the embedded store's, so that everything that restores reads it, and a small house can go on
from it. Everything in it is of one moment: one snapshot of the database. It is written anew each time; the backup
before stays whole until the new one is in place. Large clusters use their database's own tools (docs/cluster.md).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import apsw

from posthouse.errors import StoreUnavailable
from posthouse.store.moving.cluster import ClusterSource, ClusterTarget, objects_of
from posthouse.store.moving.embedded import EmbeddedSource, EmbeddedTarget
from posthouse.store.moving.move import Moved, Mover
from posthouse.store.moving.verify import Mend, verified
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sqlite.backup import BLOBS, DATABASE, Copied, copy_back, put_in_place, segments_of
from posthouse.store.sqlite.migrate import migrate
from posthouse.store.sqlite.segments import SegmentFolder
from posthouse.store.sqlite.verify import Checked, Flaw

TOLD_EVERY = 0.5
"""Seconds between two words of how far it has come."""


class MomentSource(ClusterSource):
    """A cluster as it is at one moment, read while its nodes run."""

    must_rest = False

    def begin(self) -> None:
        """From now on, until it is closed, everything read is of this moment."""
        self.db.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def snapshot(self) -> AbstractContextManager[None]:
        """The moment is one already."""
        return nullcontext()


class ClusterKeeper:
    """See `store.keeper.Keeper`."""

    def __init__(
        self,
        url: str,
        objects: str,
        cache: Path,
        mend: Callable[[Callable[[Transaction], bool]], Awaitable[bool]],
    ) -> None:
        """`objects`: s3://… or empty; `cache`: a folder for what is read of it; `mend`: the store's."""
        self._mend = mend
        self._url = url
        self._objects = objects
        self._cache = cache

    async def backup(self, folder: Path) -> AsyncIterator[Copied]:
        """Copy everything; how far it has come."""
        told = [0, 0]

        def progress(_what: str, done: int, total: int) -> None:
            told[:] = done, total

        job = asyncio.ensure_future(asyncio.to_thread(self._copy, folder, progress))
        while not job.done():
            await asyncio.wait([job], timeout=TOLD_EVERY)
            yield Copied(octets=told[0], total=told[1], written=0)
        try:
            octets = job.result()
        except (OSError, apsw.Error) as fault:
            raise StoreUnavailable(f"The backup could not be made: {fault}") from fault
        yield Copied(octets=octets, total=octets, written=octets)

    def _copy(self, folder: Path, progress: Callable[[str, int, int], None]) -> int:
        """In one thread; the octets written. What fails leaves nothing: the space may be what others lack."""
        part = folder / f"{DATABASE}.part"
        blobs = folder / BLOBS
        blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_part(part)  # of a run that was cut off
        segments = SegmentFolder(blobs)
        before = set(segments.present())
        try:
            try:
                moved = self._copied(part, blobs, progress)
                wanted = segments_of(part)
            except BaseException:
                for number in set(segments.present()) - before:
                    segments.remove(number)
                raise
            put_in_place(part, folder, {segments.path(number).name for number in wanted})
        finally:
            _remove_part(part)
        return moved.octets

    def _copied(self, part: Path, blobs: Path, progress: Callable[[str, int, int], None]) -> Moved:
        source = self._open()
        try:
            source.begin()
            target = EmbeddedTarget(part, blobs)
            try:
                return Mover(source, target, progress).finish()
            finally:
                target.close()
        finally:
            source.close()

    async def verify(self, *, fix: bool) -> AsyncIterator[Checked | Flaw]:
        """Read everything; flaws, and how far it has come."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:  # a connection belongs to one
            source = await loop.run_in_executor(thread, self._open)
            found = verified(source.reader, fix=fix)
            try:
                while (one := await loop.run_in_executor(thread, next, found, None)) is not None:
                    if isinstance(one, Mend):
                        while await self._mend(one.work):
                            pass
                    else:
                        yield one
            finally:
                thread.submit(source.close)

    def _open(self) -> MomentSource:
        return MomentSource(self._url, objects_of(self._objects, self._cache))


def _remove_part(part: Path) -> None:
    for path in part.parent.glob(f"{part.name}*"):
        path.unlink()


def restore_into_cluster(backup: Path, url: str, objects: str, work: Path, *, same: bool, now: int) -> Moved:
    """Everything of a backup into an empty database, while no node runs. `work`: a folder for a copy meanwhile.

    `same`: as `copy_back`. StoreUnavailable when nodes run or the database has a store in use.
    """
    shutil.rmtree(work, ignore_errors=True)
    try:
        copy_back(backup, work / DATABASE, work / BLOBS, same=same, now=now)
        migrate(work / DATABASE, now)
        source = EmbeddedSource(work / DATABASE, work / BLOBS)
        try:
            target = ClusterTarget(url, objects_of(objects, work / "objects"))
            try:
                return Mover(source, target, lambda *_: None).finish()
            finally:
                target.close()
        finally:
            source.close()
    except OSError as fault:
        raise StoreUnavailable(f"{work}: {fault.strerror or fault}") from fault
    finally:
        shutil.rmtree(work, ignore_errors=True)
