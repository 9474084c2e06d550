"""Search over the messages of an account: exact at any time, fast for what is indexed (RFC 9051 §6.4.4).

The index decides about messages whose terms are committed and proposes candidates; candidates, and messages that are
not indexed yet, are looked at. When the file is missing, damaged or being made anew, everything is looked at.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from posthouse.errors import StoreUnavailable
from posthouse.limits import SEARCH_THREADS
from posthouse.message.words import fold_needle
from posthouse.store.foreground import Foreground
from posthouse.store.search import database, query
from posthouse.store.search.cache import IndexedIds
from posthouse.store.search.document import HEADS, contains
from posthouse.store.search.indexer import Indexer
from posthouse.store.search.similar import similar
from posthouse.store.search.source import Source

T = TypeVar("T")

_DAMAGE = (database.Damaged, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.SQLError)
"""The file is lost. Any other fault passes: this search looks at all messages."""


class SearchIndex:
    """The search database of one store. Its methods are called on the event loop; work is done in threads."""

    def __init__(self, path: Path, source: Source, foreground: Foreground) -> None:
        """`path`: the database file; `foreground`: who is served before indexing. Nothing happens before `start`."""
        self._path = path
        self._source = source
        self._foreground = foreground
        self._cached = IndexedIds()
        self._indexer = Indexer(path, source, self._cached, foreground)
        self._threads = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="search")
        self._local = threading.local()
        self._stopping = False

    def start(self) -> None:
        """Open (or make) the file and begin to feed it, in the background."""
        self._indexer.start()

    def notify_added(self) -> None:
        """Messages were committed."""
        self._indexer.notices.mail_came()

    def notify_removed(self, account_id: int, email_ids: Iterable[int]) -> None:
        """Messages were removed for good."""
        self._indexer.notices.removed(account_id, email_ids)

    async def matching(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """Which of the messages contain the needle (`Store.search_text`). Messages that are gone match nothing."""
        return await self._run(self._match, account_id, email_ids, field, needle)

    async def similar(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """Words that look like others (`Store.similar_words`)."""
        return await self._run(self._similar, account_id, field, words)

    async def _run(self, do: Callable[..., T], *arguments: Any) -> T:
        if self._stopping:
            raise StoreUnavailable("The mail store is closing.")
        work = asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)
        task = asyncio.current_task()
        with self._foreground.serving():
            try:
                return await work
            except asyncio.CancelledError:
                if task is None or task.cancelling():
                    raise
                # It had not begun when the threads were ended; who asked goes on.
                raise StoreUnavailable("The mail store is closing.") from None

    def settled(self) -> bool:
        """Whether all that was told so far is in the file."""
        return self._indexer.notices.idle

    async def close(self) -> None:
        """End the threads: what waits is indexed after the next start. Searches under way are finished."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._join)

    def _join(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._indexer.stop()
        self._source.close()

    def _match(self, account_id: int, email_ids: Sequence[int], field: str, needle: str) -> frozenset[int]:
        asked = set(email_ids)
        folded = fold_needle(needle)
        if not folded and not field.startswith("header:"):
            return frozenset(asked)  # RFC 9051 §6.4.4: the empty string is a substring
        try:
            decided, hits = self._by_index(account_id, asked, field, folded)
        except (database.Damaged, apsw.Error) as error:
            if isinstance(error, _DAMAGE):
                self._indexer.report_damage()
            decided, hits = set(), set()
        return frozenset(hits.union(self._by_looking(account_id, asked - decided, field, folded)))

    def _similar(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        try:
            _, db = self._reader()
            if db is not None:
                return similar(database.AccountTerms(db, account_id), field, words)
        except (database.Damaged, apsw.Error) as error:
            if isinstance(error, _DAMAGE):
                self._indexer.report_damage()
        return [[] for _ in words]

    def _by_index(
        self, account_id: int, asked: set[int], field: str, needle: str
    ) -> tuple[set[int], set[int]]:
        """(messages that the index decided about, those of them that match)."""
        generation, db = self._reader()
        if db is None:
            return set(), set()
        among = self._cached.searchable(
            generation, account_id, asked, lambda: database.indexed(db, account_id)
        )
        answer = query.ask(database.AccountTerms(db, account_id), field, needle, among)
        hits, undecided = set(answer.hits), set(answer.undecided)
        class_ = HEADS.get(field.removeprefix("header:")) if needle and undecided else None
        if class_ is not None:
            # The texts of the usual fields stand in the index: no message need be read.
            for email_id, text in database.heads(db, account_id, class_, undecided).items():
                if text is not None:
                    undecided.discard(email_id)
                    if needle in text:
                        hits.add(email_id)
        return among - undecided, hits

    def _by_looking(self, account_id: int, email_ids: set[int], field: str, needle: str) -> Iterable[int]:
        ordered = sorted(email_ids)
        for email_id, raw in zip(ordered, self._source.read(account_id, ordered), strict=False):
            if raw is not None and contains(raw, field, needle):
                yield email_id
            if self._stopping:
                raise StoreUnavailable("The mail store is closing.")

    def _reader(self) -> tuple[int, apsw.Connection | None]:
        """(the file's generation, this thread's connection to it); None while there is none."""
        generation = self._indexer.generation
        if generation == 0:
            return 0, None
        if getattr(self._local, "generation", 0) != generation:
            self._local.db = database.open_database(self._path, writer=False)
            self._local.generation = generation
        db: apsw.Connection = self._local.db
        return generation, db
