"""A large message being received: in memory while that is cheap, else in a file. What both engines share of it.

An engine says what its file is: `Buffer` has the five things that are done with it, four of them in a thread.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from posthouse import limits
from posthouse.errors import LocalProtocolError, StoreUnavailable
from posthouse.store.model import Content

T = TypeVar("T")


class StageBudget:
    """Octets that all stagings hold in memory together."""

    def __init__(self, octets: int = limits.STAGE_MEMORY_ALL) -> None:
        self.left = octets


class Buffer(Protocol):
    """The file of one message. Its methods block, and raise OSError."""

    def write(self, parts: list[bytes]) -> None:
        """Append."""
        ...

    def finish(self) -> None:
        """All has come."""
        ...

    def discard(self) -> None:
        """Remove it."""
        ...


class SpillingStaging(ABC):
    """A `Staging` (`store.interface`) that goes over to a file when memory gets dear."""

    def __init__(self, budget: StageBudget, unavailable: Callable[[BaseException], StoreUnavailable]) -> None:
        """`unavailable`: the error that callers see for a fault of the disk."""
        self._budget = budget
        self._unavailable = unavailable
        self._chunks: list[bytes] = []
        self._held = 0
        self._size = 0
        self._head: list[bytes] = []
        self._buffer: Buffer | None = None
        self._working: asyncio.Future[Any] | None = None
        """What a thread does, or did last, with the file: who waits for it may be cut off, the thread goes on."""
        self._ended = False

    @abstractmethod
    def _begin(self) -> Buffer:
        """Make the file. In a thread."""

    @abstractmethod
    def _content(self, buffer: Buffer, head: list[bytes], size: int) -> Content:
        """What a commit gets; the file is removed when nobody knows it any more."""

    async def write(self, chunk: bytes) -> None:
        """Append octets. StoreUnavailable when the disk is full."""
        if self._ended:
            raise LocalProtocolError("The staged message is finished.")
        self._chunks.append(chunk)
        self._held += len(chunk)
        self._size += len(chunk)
        self._budget.left -= len(chunk)
        if self._held >= limits.STAGE_MEMORY or self._budget.left < 0:
            await self._spill()

    async def finish(self) -> Content:
        """The content, ready for a commit. StoreUnavailable when the disk is full."""
        self._ended = True
        if self._buffer is None:
            chunks = self._chunks
            self._release()
            return Content(chunks)
        if self._chunks:
            await self._spill()
        try:
            await self._in_thread(self._buffer.finish)
        except OSError as fault:
            raise self._unavailable(fault) from fault
        buffer, self._buffer = self._buffer, None
        return self._content(buffer, self._head, self._size)

    async def discard(self) -> None:
        """Forget it. Harmless after `finish`. Also who is cut off here has it done."""
        self._ended = True
        self._release()
        await asyncio.shield(asyncio.ensure_future(self._remove()))

    async def _remove(self) -> None:
        """The file is closed and removed only when no thread works on it any more: its descriptor is another's then."""
        if self._working is not None:
            await asyncio.wait([self._working])
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            await asyncio.to_thread(buffer.discard)

    async def _spill(self) -> None:
        parts = self._chunks
        if not self._head:
            self._head = _beginning(parts)
        self._release()
        try:
            await self._in_thread(partial(self._put, parts))
        except OSError as fault:
            raise self._unavailable(fault) from fault

    async def _in_thread(self, work: Callable[[], T]) -> T:
        working = self._working = asyncio.ensure_future(asyncio.to_thread(work))
        working.add_done_callback(_seen)
        return await asyncio.shield(working)

    def _put(self, parts: list[bytes]) -> None:
        if self._buffer is None:
            self._buffer = self._begin()
        self._buffer.write(parts)

    def _release(self) -> None:
        self._budget.left += self._held
        self._held = 0
        self._chunks = []


def _seen(working: asyncio.Future[Any]) -> None:
    """Who waited for it may be gone: its fault is nobody's then."""
    if not working.cancelled():
        working.exception()


def _beginning(parts: list[bytes]) -> list[bytes]:
    """The first parts, at least STAGE_HEAD octets of them when there are so many."""
    head: list[bytes] = []
    size = 0
    for part in parts:
        head.append(part)
        size += len(part)
        if size >= limits.STAGE_HEAD:
            break
    return head
