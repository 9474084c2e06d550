"""Rewrites segments in the background: drops dead messages, compresses cold ones, joins small remnants.

The living messages of some segments are copied into a new file, which is made durable; then one commit points their
rows at it and forgets the old segments, whose files are removed. Killed before the commit, the new file is an
orphan; killed after it, the old ones are; the next start removes either. A message that cannot be read, or is not what
was written, stays where it is, and its segment with it. Readers that looked a place up just before find the file gone
or empty and look again. While somebody is served it goes on in small steps, far apart: it takes
the disk and a core from those who wait, and nobody waits for it (but on a full disk all do).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import PosthouseError
from posthouse.store.compression import compressed
from posthouse.store.foreground import Foreground
from posthouse.store.memory.readers import Readers
from posthouse.store.sqlite.connection import columns, integer, octets
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.segments import (
    HEADER_OCTETS,
    RAW,
    ZSTD,
    SegmentFolder,
    digest_of,
    header,
    write_all,
)
from posthouse.store.sqlite.transaction import Transaction
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

LOOK_SECONDS: Final = 3600.0
"""Between two looks when nothing was deleted: segments grow cold."""
RETRY_SECONDS: Final = 60.0
"""After a fault, such as a disk that became full meanwhile."""
_DAMAGE: Final = frozenset({None, errno.EIO, errno.ENOENT})
"""What an OSError says when octets cannot be read because of themselves; else something is the matter with us."""
REMNANT_OCTETS: Final = limits.SEGMENT_OCTETS // 8
"""Closed segments smaller than this are joined."""


class Victim(msgspec.Struct, frozen=True):
    """A segment to be rewritten."""

    segment: int
    size: int
    dead: int


class _Live(msgspec.Struct, frozen=True):
    """A message in a victim."""

    blob_id: int
    size: int
    digest: bytes
    segment: int
    offset: int
    packed_size: int | None


class Moved(msgspec.Struct, frozen=True):
    """Where a message stands in the new segment."""

    blob_id: int
    old_segment: int
    offset: int
    stored: int
    packed_size: int | None


class Rewritten(msgspec.Struct, frozen=True):
    """A finished new segment."""

    victims: tuple[int, ...]
    segment: int
    size: int
    moved: list[Moved]
    damaged: frozenset[int]
    """Victims of which something stays where it is."""


class Compactor:
    """The job. `wake` when something was deleted."""

    def __init__(
        self,
        readers: Readers[Reader],
        folder: SegmentFolder,
        background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
        now: Callable[[], float],
        foreground: Foreground,
    ) -> None:
        self._foreground = foreground
        self._readers = readers
        self._folder = folder
        self._background = background
        self._now = now
        self._urgent = False
        """The disk is full: nobody is served before there is room again."""
        self._damaged: set[int] = set()
        """Segments that are left alone until the next start."""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was deleted."""
        self._woken.set()

    async def run(self) -> None:
        """For as long as the store is open."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                while await self.step():
                    pass
            except Exception as fault:
                told(log, "compaction is put off", fault)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._woken.set)

    async def step(self) -> bool:
        """Rewrite some segments; whether there was something to do."""
        victims = await self.victims()
        if not victims:
            return False
        rewritten = await self.rewrite(victims)
        try:
            emptied = await self._background(lambda tx: switch(tx, rewritten))
        except PosthouseError:
            await self._remove([rewritten.segment] if rewritten.segment else [])
            raise
        self._damaged |= rewritten.damaged
        await self._remove(emptied)
        return bool(emptied or rewritten.moved)

    async def _remove(self, segments: list[int]) -> None:
        def remove(_reader: Reader) -> None:
            for segment in segments:
                self._folder.remove(segment)

        await self._readers.run(remove)

    async def rewrite(self, victims: list[Victim]) -> Rewritten:
        """Copy what lives into a new segment, resting after each step while somebody is served."""
        rewriting = Rewriting(self._folder, victims)
        try:
            while True:
                began = time.monotonic()
                if await self._readers.run(rewriting.step):
                    return rewriting.finished
                if not self._urgent:
                    await asyncio.sleep(self._foreground.rest(time.monotonic() - began))
                    self._urgent = await self._background(lambda tx: not tx.may_grow)
        except BaseException:
            # In the one thread that also takes the steps: behind one that is still under way.
            await self._readers.run(lambda _reader: rewriting.discard())
            raise

    async def victims(self) -> list[Victim]:
        """What is worth rewriting together now."""
        found: list[Victim]
        found, self._urgent = await self._background(
            lambda tx: (
                choose(tx, self._folder, self._now() - limits.COMPRESS_AFTER, self._damaged),
                not tx.may_grow,
            )
        )
        return found


def choose(
    tx: Transaction, folder: SegmentFolder, cold_before: float, but: Collection[int] = ()
) -> list[Victim]:
    """Closed segments that are mostly dead, cold and not compressed, or small; together at most one segment's worth.

    `but`: none of these.

    In the writer's thread, where which segment is open cannot change meanwhile: what is closed stays so.
    """
    rows = tx.query("SELECT segment, size, dead, packed FROM segment ORDER BY segment")
    wanted: list[Victim] = []
    remnants: list[Victim] = []
    room = limits.SEGMENT_OCTETS
    if not tx.may_grow:  # on a full disk: what frees most for the least copying, and no more than fits
        rows.sort(key=lambda row: row[1] - row[2])
        room = min(room, _free_octets(folder))
    for segment, size, dead, packed in rows:
        victim = Victim(segment, size, dead)
        if segment in but:
            continue
        if segment == tx.segments.number and not _closed_early(tx, victim):
            continue
        if dead >= size * limits.COMPACT_DEAD_SHARE or (
            not packed and _is_cold(folder, segment, cold_before)
        ):
            if size - dead <= room:
                wanted.append(victim)
                room -= size - dead
        elif size < REMNANT_OCTETS and packed and size <= room:
            remnants.append(victim)
    if len(remnants) >= REMNANTS_TOGETHER:
        for victim in remnants:
            if victim.size <= room:
                wanted.append(victim)
                room -= victim.size
    return wanted


REMNANTS_TOGETHER: Final = 16
"""Small segments are joined when there are so many, so that none is rewritten again and again."""


def _closed_early(tx: Transaction, victim: Victim) -> bool:
    """Close the open segment when much of it is dead already; the next message begins another."""
    worth = victim.size >= REMNANT_OCTETS or not tx.may_grow
    if not worth or victim.dead < victim.size * limits.COMPACT_DEAD_SHARE:
        return False
    tx.segments.close()
    return True


def _free_octets(folder: SegmentFolder) -> int:
    disk = os.statvfs(folder.folder)
    return disk.f_bavail * disk.f_frsize // 2


def _is_cold(folder: SegmentFolder, segment: int, before: float) -> bool:
    try:
        return folder.path(segment).stat().st_mtime < before
    except FileNotFoundError:
        return False


class Rewriting:
    """One new segment, made in steps, each in a reader's thread."""

    def __init__(self, folder: SegmentFolder, victims: list[Victim]) -> None:
        self._new = _NewSegment(folder)
        self._victims = tuple(victim.segment for victim in victims)
        self._left = list(reversed(self._victims))
        self._living: list[_Live] = []
        """What is still to be copied of the segment last taken up, the next one last."""
        self._damaged: set[int] = set()

    def step(self, reader: Reader) -> bool:
        """Copy some; True: everything is copied and durable. OSError when the disk is full or fails."""
        read = 0
        while read < limits.COMPACT_STEP:
            if self._living:
                live = self._living.pop()
                self._copy(reader, live)
                read += live.size
            elif self._left:
                self._living = _living(reader, self._left.pop())
                self._living.reverse()
            else:
                self._new.finish()
                return True
        return False

    def _copy(self, reader: Reader, live: _Live) -> None:
        try:
            codec, raw = _packed(reader, live)
        except OSError as fault:
            if fault.errno not in _DAMAGE:
                raise
            log.error("message bytes %d stay in segment %d: %s", live.blob_id, live.segment, fault)
            self._damaged.add(live.segment)
        else:
            self._new.append(live, codec, raw)

    @property
    def finished(self) -> Rewritten:
        """The result (segment 0: nothing was copied)."""
        new = self._new
        return Rewritten(self._victims, new.number, new.size, new.moved, frozenset(self._damaged))

    def discard(self) -> None:
        """Give up."""
        self._new.discard()


class _NewSegment:
    """The file being written; made with its first message."""

    def __init__(self, folder: SegmentFolder) -> None:
        self._folder = folder
        self._fd = -1
        self.number = 0
        self.size = 0
        self.moved: list[Moved] = []

    def append(self, live: _Live, codec: int, raw: bytes) -> None:
        if self._fd < 0:
            self.number = self._folder.take_number()
            self._fd = self._folder.create(self.number)
        write_all(self._fd, [header(codec, len(raw), live.size, live.digest), raw], self.size)
        packed_size = len(raw) if codec == ZSTD else None
        self.moved.append(Moved(live.blob_id, live.segment, self.size + HEADER_OCTETS, len(raw), packed_size))
        self.size += HEADER_OCTETS + len(raw)

    def finish(self) -> None:
        if self._fd >= 0:
            os.fsync(self._fd)
            self._close()

    def discard(self) -> None:
        self._close()
        if self.number:
            self._folder.remove(self.number)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _living(reader: Reader, segment: int) -> list[_Live]:
    ids, sizes, digests, offsets, packed = columns(
        reader.db,
        [
            integer("blob_id"),
            integer("size"),
            octets("digest"),
            integer("offset"),
            integer("coalesce(packed_size, -1)"),
        ],
        "FROM (SELECT * FROM blob WHERE segment = ? ORDER BY offset)",
        (segment,),
    )
    return [
        _Live(blob_id, size, digest, segment, offset, None if packed_size < 0 else packed_size)
        for blob_id, size, digest, offset, packed_size in zip(
            ids, sizes, digests, offsets, packed, strict=True
        )
    ]


def _packed(reader: Reader, live: _Live) -> tuple[int, bytes]:
    """The octets to be written and how they are coded. OSError when they are not what was once written."""
    if live.packed_size is not None:
        return ZSTD, reader.segments.read(live.segment, live.offset, live.packed_size)
    raw = reader.segments.read(live.segment, live.offset, live.size)
    if digest_of([raw]) != live.digest:
        raise OSError(f"message {live.blob_id} in segment {live.segment} is damaged")
    if live.size > limits.COMPRESS_OCTETS:
        return RAW, raw
    packed = compressed(raw)
    return (RAW, raw) if packed is None else (ZSTD, packed)


def switch(tx: Transaction, rewritten: Rewritten) -> list[int]:
    """Point the rows at the new segment; what died meanwhile is dead there too. The segments that are empty now."""
    dead = 0
    for moved in rewritten.moved:
        tx.execute(
            "UPDATE blob SET segment = ?, offset = ?, packed_size = ? WHERE blob_id = ? AND segment = ?",
            (rewritten.segment, moved.offset, moved.packed_size, moved.blob_id, moved.old_segment),
        )
        if not tx.row_count():
            dead += HEADER_OCTETS + moved.stored
    if rewritten.segment:
        tx.execute("INSERT INTO segment VALUES (?, ?, ?, 1)", (rewritten.segment, rewritten.size, dead))
    emptied = []
    for segment in rewritten.victims:
        # A file goes only when no message is left in it, whatever was thought before.
        rows = tx.execute(
            "DELETE FROM segment WHERE segment = ?1 AND NOT EXISTS (SELECT 1 FROM blob WHERE segment = ?1)"
            " RETURNING segment",
            (segment,),
        )
        emptied += [number for (number,) in rows]
        if not rows:
            tx.execute(
                "UPDATE segment SET dead = size - (SELECT coalesce(sum(coalesce(packed_size, size) + ?2), 0)"
                " FROM blob WHERE segment = ?1) WHERE segment = ?1",
                (segment, HEADER_OCTETS),
            )
    return emptied
