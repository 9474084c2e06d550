"""Message bytes too large for the database: appended to segment files `NNNNNN.seg`, never a file per message.

Each message is a frame: a header (magic, codec, lengths, digest), then the octets. The writer puts the frames of a
batch down with one `writev`, makes them durable with one `fdatasync`, and only then commits the rows that point at
them; what stands behind a segment's committed size is a torn tail and is cut off when the file is opened again.
A segment file without a row is an orphan (a crash, an abandoned upload, a compaction cut short) and is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from posthouse import limits

log = logging.getLogger("posthouse.store")

MAGIC: Final = b"PHb1"
RAW: Final = 0
ZSTD: Final = 1
_HEADER: Final = struct.Struct("<4sB3xQQ16s")
HEADER_OCTETS: Final = _HEADER.size
DIGEST_OCTETS: Final = 16
_IOV_MAX: Final = 1024


class Frame(msgspec.Struct, frozen=True):
    """A frame as its header tells it; `offset` is where the octets begin."""

    offset: int
    codec: int
    stored: int
    size: int
    digest: bytes


def digest_of(chunks: Sequence[bytes]) -> bytes:
    """SHA-256 of the octets, its first 16."""
    if len(chunks) == 1:
        return hashlib.sha256(chunks[0]).digest()[:DIGEST_OCTETS]
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
    return state.digest()[:DIGEST_OCTETS]


def header(codec: int, stored: int, size: int, digest: bytes) -> bytes:
    """A frame's header."""
    return _HEADER.pack(MAGIC, codec, stored, size, digest)


class SegmentFolder:
    """The folder with its numbering. Shared by all threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._numbers = itertools.count(max(self.present(), default=0) + 1)
        self.adopted: set[int] = set()
        """Staged files that a commit has made segments."""
        self.closed = False
        """The store is closed: what is left over is removed at the next start, which may have come already."""
        self._lock = threading.Lock()
        self._pins = 0
        self._unwanted: set[int] = set()
        """Segments to be removed when nobody holds on to them any more."""

    def present(self) -> list[int]:
        """Numbers of all segment files."""
        return sorted(int(path.stem) for path in self.folder.glob("*.seg") if path.stem.isdigit())

    def take_number(self) -> int:
        """A number that no segment has (thread-safe)."""
        return next(self._numbers)

    def start_above(self, number: int) -> None:
        """Give out only numbers above this from now on (for the start, before any thread)."""
        self._numbers = itertools.count(max(number, *self.present(), 0) + 1)

    def path(self, number: int) -> Path:
        """The file of a segment."""
        return self.folder / f"{number:06}.seg"

    def create(self, number: int) -> int:
        """A new, empty segment file, its name durable; the descriptor."""
        fd = os.open(self.path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self.sync_folder()
        except BaseException:
            os.close(fd)
            self.path(number).unlink(missing_ok=True)
            raise
        return fd

    def sync_folder(self) -> None:
        """Make names durable."""
        fd = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, number: int) -> None:
        """Remove a segment that no row knows any more. Readers may have it open: its space is freed all the same.

        Within `pinned` it stays until the end of that.
        """
        with self._lock:
            if self._pins:
                self._unwanted.add(number)
                return
        self._remove(number)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Within: no segment is removed, so that all of one commit can be copied (thread-safe)."""
        with self._lock:
            self._pins += 1
        try:
            yield
        finally:
            with self._lock:
                self._pins -= 1
                unwanted: set[int] = set() if self._pins else self._unwanted
                if not self._pins:
                    self._unwanted = set()
            for number in unwanted:
                self._remove(number)

    def _remove(self, number: int) -> None:
        path = self.path(number)
        try:
            os.truncate(path, 0)
            path.unlink()
        except FileNotFoundError:
            pass

    def forget(self, number: int) -> None:
        """Remove a staged file that no commit has adopted."""
        if not self.closed:
            self.path(number).unlink(missing_ok=True)

    def remove_orphans(self, known: set[int]) -> int:
        """Remove segment files that no row knows; how many. Only at the start."""
        orphans = [number for number in self.present() if number not in known]
        for number in orphans:
            self.path(number).unlink()
        return len(orphans)


def write_all(fd: int, parts: list[bytes], offset: int) -> None:
    """Write parts one behind the other, in as few calls as the system allows."""
    todo = parts
    while todo:
        some = todo[:_IOV_MAX]
        written = os.pwritev(fd, some, offset)
        offset += written
        done = 0
        for part in some:
            if written < len(part):
                break
            written -= len(part)
            done += 1
        todo = todo[done:]
        if todo and written:
            todo[0] = todo[0][written:]


class SegmentWriter:
    """The segment that the store's writer appends to. One thread only."""

    def __init__(self, folder: SegmentFolder) -> None:
        self._folder = folder
        self._fd = -1
        self.number = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._waiting = 0
        self._grown: dict[int, int] = {}
        self._begun: list[int] = []
        """Segments that this transaction has begun."""

    def resume(self, number: int, size: int) -> None:
        """Go on with a segment of an earlier run, without its torn tail; a damaged one is left alone."""
        try:
            fd = os.open(self._folder.path(number), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            log.error("segment %d is missing: its messages cannot be read", number)
            return
        if os.fstat(fd).st_size < size:
            log.error("segment %d is too short: some of its messages cannot be read", number)
            os.close(fd)
            return
        os.ftruncate(fd, size)
        self._fd, self.number, self._size = fd, number, size

    def place(self, chunks: Sequence[bytes], size: int, digest: bytes) -> tuple[int, int]:
        """Take a message for the next `sync`; where it will stand (segment, offset)."""
        if self._fd < 0 or self._size + self._waiting + size > limits.SEGMENT_OCTETS:
            self.sync()
            self._open_next()
        self._parts.append(header(RAW, size, size, digest))
        self._parts.extend(chunks)
        offset = self._size + self._waiting + HEADER_OCTETS
        self._waiting += HEADER_OCTETS + size
        return self.number, offset

    def sync(self) -> None:
        """Make what was placed durable. Raises OSError; then `undo`."""
        if not self._parts:
            return
        write_all(self._fd, self._parts, self._size)
        os.fdatasync(self._fd)
        self._size += self._waiting
        self._grown[self.number] = self._size
        self._parts = []
        self._waiting = 0

    def grown(self) -> dict[int, int]:
        """Segments with their new sizes, for the rows of this commit."""
        return self._grown

    def committed(self) -> None:
        """The rows are durable."""
        self._grown = {}
        self._begun = []

    def undo(self, size: int, number: int) -> None:
        """Forget what was placed and not committed; `number` and `size` are of the last commit.

        Never raises: a tail that cannot be cut off is written over, a file that cannot be removed is at the next start.
        """
        self._parts = []
        self._waiting = 0
        self._grown = {}
        begun, self._begun = self._begun, []
        try:
            if self.number != number:
                self.close()
                if number:
                    self.resume(number, size)
            elif self._fd >= 0:
                self._size = size
                os.ftruncate(self._fd, size)
            for each in begun:
                self._folder.remove(each)
        except OSError as fault:
            log.warning("what a transaction has left in segments stays for now: %s", fault)

    @property
    def mark(self) -> tuple[int, int]:
        """(size, number) for `undo`."""
        return self._size, self.number

    def _open_next(self) -> None:
        fd = self._folder.create(number := self._folder.take_number())
        self.close()
        self._fd, self.number, self._size = fd, number, 0
        self._begun.append(number)

    def close(self) -> None:
        """Close the file. The next message opens a new segment."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self.number, self._size = -1, 0, 0


class SegmentReader:
    """Reads octets from segments, keeping some files open. One thread only."""

    def __init__(self, folder: SegmentFolder) -> None:
        self._folder = folder
        self._open: OrderedDict[int, int] = OrderedDict()

    def pinned(self) -> AbstractContextManager[None]:
        """Within: no segment is removed, for who reads by rows of a snapshot, which know nothing of compaction."""
        return self._folder.pinned()

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Octets of a segment. Raises OSError when it is not there or too short: compacted away, or damaged."""
        raw = os.pread(self._descriptor(segment), length, offset)
        while len(raw) < length:
            more = os.pread(self._descriptor(segment), length - len(raw), offset + len(raw))
            if not more:
                os.close(self._open.pop(segment))
                raise OSError(f"segment {segment} ends early")
            raw += more
        return raw

    def _descriptor(self, segment: int) -> int:
        fd = self._open.get(segment)
        if fd is not None:
            self._open.move_to_end(segment)
            return fd
        fd = os.open(self._folder.path(segment), os.O_RDONLY | os.O_CLOEXEC)
        self._open[segment] = fd
        if len(self._open) > limits.OPEN_SEGMENTS:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def close(self) -> None:
        """Close all files."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()


def frames(path: Path, end: int) -> Iterator[Frame]:
    """The frames of a segment up to its committed size. Raises OSError where the chain is broken."""
    with path.open("rb") as file:
        at = 0
        while at < end:
            file.seek(at)
            raw = file.read(HEADER_OCTETS)
            if len(raw) < HEADER_OCTETS or raw[:4] != MAGIC:
                raise OSError(f"{path.name}: no frame at {at}")
            _, codec, stored, size, digest = _HEADER.unpack(raw)
            yield Frame(at + HEADER_OCTETS, codec, stored, size, digest)
            at += HEADER_OCTETS + stored
