"""What a store gives of the junk filter's memory (`store.judgement.Judgements`): both engines read it alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from posthouse.store.judgement import Lesson, Memo
from posthouse.store.memory.engine import Engine, Rdr
from posthouse.store.memory.live import Live
from posthouse.store.memory.readers import Readers
from posthouse.store.sql import judgement


class StoredJudgements(Generic[Rdr]):
    """A part of `LiveStore`."""

    _parts: Engine[Rdr]
    _live: Live
    _readers: Readers[Rdr]

    async def verdict(self, account_id: int, email_ids: Sequence[int]) -> list[bytes | None]:
        """What the junk filter made of each email (JSON); None: it was not judged, or is gone."""
        found = await self._readers.run(lambda r: judgement.read_verdicts(r.db, account_id, email_ids))
        return [found[email_id][0] or None if email_id in found else None for email_id in email_ids]

    async def learnt(self, account_id: int, email_ids: Sequence[int]) -> list[str]:
        """As what the filter has learnt each email."""
        found = await self._readers.run(lambda r: judgement.read_verdicts(r.db, account_id, email_ids))
        return [found[email_id][1] if email_id in found else "" for email_id in email_ids]

    async def lessons(self, limit: int) -> list[Lesson]:
        """Some of the lessons that wait."""
        return await self._readers.run(lambda r: judgement.read_lessons(r.db, limit))

    def watch_lessons(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after a commit that brought lessons; the result ends it."""
        return self._live.watch_lessons(heard)

    async def memos(
        self, account_id: int, kind: str, keys: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Memo]:
        """Memos of a kind that have not ended, by key."""
        if keys is not None and not keys:
            return []
        now = self._parts.now()
        return await self._readers.run(
            lambda r: judgement.read_memos(r.db, account_id, kind, keys, now, limit)
        )

    async def memos_of(self, kind: str, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Memo]:
        """Memos of a kind that have not ended, of several accounts, by (account, key)."""
        if not keys:
            return {}
        now = self._parts.now()
        return await self._readers.run(lambda r: judgement.read_memos_of(r.db, kind, keys, now))
