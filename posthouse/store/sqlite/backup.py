"""A copy of the whole store at one moment, made while work goes on; made again, it copies what is new only.

The database first, by SQLite itself and whole (`VACUUM INTO` sees one commit), then the segments that its rows point
at, each up to the size that those rows count: segments only grow, and none is removed meanwhile
(`SegmentFolder.pinned`). The new database takes the old one's place only when all segments are there, and only then go
the segments that it does not need: whenever it is cut off, the folder holds the backup before, whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

import apsw
import msgspec

from posthouse import limits
from posthouse.durable import sync
from posthouse.errors import StoreUnavailable
from posthouse.store.account_model import SUBMISSIONS
from posthouse.store.sqlite.connection import connect, open_copy, vacuum_into
from posthouse.store.sqlite.segments import SegmentFolder

DATABASE: Final = "mail.db"
BLOBS: Final = "blobs"
_ANEW: Final = ".new"
"""Ends the name of a segment that takes the place of another of its number, together with the database."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backup has come."""

    octets: int
    """In place, from this run and those before."""
    total: int
    written: int
    """Written by this run."""


async def back_up(path: Path, segments: SegmentFolder, folder: Path) -> AsyncIterator[Copied]:
    """Copy a store into a folder. StoreUnavailable: a disk refused; the backup before is still there."""
    part = folder / f"{DATABASE}.part"
    try:
        with segments.pinned():
            await asyncio.to_thread(_copy_database, path, part)
            wanted = await asyncio.to_thread(segments_of, part)
            size = part.stat().st_size
            done, written, total = size, size, size + sum(wanted.values())
            yield Copied(octets=done, total=total, written=written)
            for number, octets in wanted.items():
                target = folder / BLOBS / segments.path(number).name
                written += await asyncio.to_thread(_copy_segment, segments.path(number), target, octets)
                done += octets
                yield Copied(octets=done, total=total, written=written)
        await asyncio.to_thread(put_in_place, part, folder, {segments.path(n).name for n in wanted})
    except (OSError, apsw.Error) as fault:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)  # the space may be what others lack
        raise StoreUnavailable(f"The backup could not be made: {fault}") from fault


def _copy_database(path: Path, part: Path) -> None:
    blobs = part.parent / BLOBS
    blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (part, *blobs.glob(f"*.seg{_ANEW}")):  # of a run that was cut off
        left.unlink(missing_ok=True)
    with contextlib.closing(connect(path)) as db:
        vacuum_into(db, part)
    sync(part)


def segments_of(part: Path) -> dict[int, int]:
    """The segments that a copy of the database points at, with their sizes."""
    with contextlib.closing(open_copy(part)) as db:
        return dict(db.rows("SELECT segment, size FROM segment ORDER BY segment"))


def _copy_segment(source: Path, target: Path, octets: int) -> int:
    """Add what the copy lacks; how much that was.

    A number may have been given anew (after a restart, to one that was removed), and a store that was restored goes on
    otherwise than a later backup of it: such a segment is copied whole, beside the old one of the backup before.
    """
    with source.open("rb") as file:
        there = _there(file, target, octets)
        if there == octets:
            return 0
        if there is None:
            target, there = _anew(target), 0
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as out:
            file.seek(there)
            out.seek(there)
            left = octets - there
            while left:
                block = file.read(min(left, limits.BACKUP_BLOCK))
                if not block:
                    raise OSError(
                        f"{source.name} ends early: posthouse verify says which messages that concerns"
                    )
                out.write(block)
                left -= len(block)
            out.flush()
            os.fsync(descriptor)
    return octets - there


def _anew(target: Path) -> Path:
    """Where a segment waits that takes another's place."""
    return target.with_name(target.name + _ANEW)


def _there(file: BinaryIO, target: Path, octets: int) -> int | None:
    """How many octets of a segment the copy has; None: what it has is something else.

    Looked at are the first and the last block of them: a frame's header has the digest of its message.
    """
    try:
        with target.open("rb") as copy:
            there = min(os.fstat(copy.fileno()).st_size, octets)
            for start in (0, max(there - limits.BACKUP_BLOCK, 0)):
                size = min(limits.BACKUP_BLOCK, there)
                if _block(file, start, size) != _block(copy, start, size):
                    return None
            return there
    except FileNotFoundError:
        return 0


def _block(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def put_in_place(part: Path, folder: Path, wanted: set[str]) -> None:
    """Let a copy of the database take the old one's place; then go the segments (file names) that it does not need."""
    blobs = folder / BLOBS
    for path in blobs.glob(f"*.seg{_ANEW}"):
        path.replace(blobs / path.stem)
    sync(blobs)
    part.replace(folder / DATABASE)
    sync(folder)
    for path in blobs.glob("*.seg"):
        if path.name not in wanted:
            path.unlink()


def copy_back(folder: Path, path: Path, blobs: Path, *, same: bool, now: int) -> None:
    """Make a store of a backup, at places where nothing is. OSError, StoreUnavailable.

    Unless it is the `same` moment still: clients have seen UIDs that the store will give again, so every mailbox gets a
    new UIDVALIDITY (RFC 9051 §2.3.1.1); and what waited to be sent may have been sent since, so it is held: what was in
    the queue, and what was to be sent at a time that has come.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(folder / BLOBS, blobs, ignore=shutil.ignore_patterns(f"*{_ANEW}"))
    blobs.chmod(0o700)
    part = path.with_name(path.name + ".restored")
    shutil.copyfile(folder / DATABASE, part)
    part.chmod(0o600)
    if not same:
        with contextlib.closing(connect(part)) as db:
            db.execute("BEGIN")
            db.execute("UPDATE mailbox SET uid_validity = max(uid_validity + 1, ?)", (now,))
            db.execute(
                "UPDATE account_state SET uid_validity = max(uid_validity,"
                " (SELECT max(uid_validity) FROM mailbox m WHERE m.account_id = account_state.account_id))"
            )
            db.execute("DELETE FROM mailbox_snapshot")
            db.execute("UPDATE queued_recipient SET state = 'held', due_at = NULL, token = 0")
            db.execute("DELETE FROM queue_destination")
            db.execute("UPDATE item SET due_at = NULL WHERE kind = ? AND due_at <= ?", (SUBMISSIONS, now))
            db.execute("COMMIT")
    for one in (*blobs.iterdir(), blobs, part):
        sync(one)
    part.replace(path)
    sync(path.parent)
