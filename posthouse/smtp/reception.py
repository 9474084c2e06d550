"""Where the octets of a message wait while it comes in: in memory, or in the store's staging.

Short messages stay as the pieces they came in. A long one, or any when all sessions together hold too much, goes
to staging, its pieces in order (RFC 5321 §4.5.3.1.7 forbids small limits, memory forbids none at all).
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

from posthouse.limits import SMTP_MEMORY_MESSAGE, SMTP_MEMORY_TOTAL
from posthouse.store.interface import Staging, Store
from posthouse.store.model import Content

_ONLY_CRLF: Final = (None, "\r\n")


class MemoryBudget:
    """Octets of incoming messages that all sessions together hold in memory."""

    def __init__(self, total: int = SMTP_MEMORY_TOTAL) -> None:
        self.total = total
        self.used = 0

    def take(self, octets: int) -> bool:
        """Reserve octets, or say that there is no room."""
        if self.used + octets > self.total:
            return False
        self.used += octets
        return True

    def give(self, octets: int) -> None:
        """Give reserved octets back."""
        self.used -= octets


class Reception:
    """One message coming in. `finish` or `discard` ends it; `release` gives its memory back."""

    def __init__(self, store: Store, budget: MemoryBudget, memory_limit: int = SMTP_MEMORY_MESSAGE) -> None:
        self._store = store
        self._budget = budget
        self._limit = memory_limit
        self._chunks: list[bytes] = []
        self._held = 0
        self._staging: Staging | None = None
        self._newlines: IncrementalNewlineDecoder | None = None

    async def add(self, chunk: bytes) -> None:
        """More octets. StoreUnavailable when staging cannot take them."""
        size = len(chunk)
        if self._staging is None:
            if self._held + size <= self._limit and self._budget.take(size):
                self._chunks.append(chunk)
                self._held += size
                return
            await self._stage()
        if self._staging is not None:
            await self._staging.write(chunk)

    async def _stage(self) -> None:
        self._staging = self._store.stage()
        chunks, self._chunks = self._chunks, []
        if chunks:
            # One piece, so that the staged content's beginning holds the whole header.
            await self._staging.write(b"".join(chunks))
        del chunks
        self.release()

    async def finish(self) -> Content:
        """The content, whole."""
        if self._staging is not None:
            return await self._staging.finish()
        return Content(self._chunks)

    async def discard(self) -> None:
        """Forget it all."""
        self._chunks = []
        self.release()
        if self._staging is not None:
            staging, self._staging = self._staging, None
            await staging.discard()

    def release(self) -> None:
        """Give the memory back to the budget."""
        self._budget.give(self._held)
        self._held = 0

    # --- BDAT has no line ends of its own, so they are looked at here -----------------------------------

    def look_at_line_ends(self, chunk: bytes) -> None:
        """Note CR and LF that stand alone, across chunks."""
        if self._newlines is None:
            self._newlines = IncrementalNewlineDecoder(None, False)
        self._newlines.decode(chunk.decode("latin-1"))

    def bare_cr_or_lf(self, final: bool) -> bool:
        """Whether any stood alone so far; `final`: no more comes, so a CR at the end does."""
        if self._newlines is None:
            return False
        if final:
            self._newlines.decode("", final=True)
        return self._newlines.newlines not in _ONLY_CRLF
