"""The one writer of the search database: a background thread that feeds it in batches and rests in between.

At its start, and whenever its notes were lost, it compares the file with what the store has. A file that is damaged,
or made by another version, is deleted and made anew; a fault of the disk is waited out. Between two messages
it lets other threads run, so that the event loop never waits for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import apsw

from posthouse.limits import (
    SEARCH_BATCH_OCTETS,
    SEARCH_DELAY,
    SEARCH_KNOWN_TERMS,
    SEARCH_REST,
    SEARCH_RETRY,
    SEARCH_SWEEP,
)
from posthouse.store.search import database
from posthouse.store.search.cache import IndexedIds
from posthouse.store.search.document import Document, analyse
from posthouse.store.search.waiting import Waiting, Work

log = logging.getLogger("posthouse.store.search")

ReadMessages = Callable[[int, Sequence[int]], Iterable[bytes | None]]
"""Messages of an account by email id, in order, None for one that is gone. Called in our threads, taken one by one."""

AllEmails = Callable[[], Iterable[tuple[int, Sequence[int]]]]
"""(account id, all its email ids) for every account of the store. Called in our thread."""


class Indexer(threading.Thread):
    """Keeps the search database near to what the store has."""

    def __init__(self, path: Path, read: ReadMessages, everything: AllEmails, cached: IndexedIds) -> None:
        super().__init__(name="search-indexer", daemon=True)
        self.waiting = Waiting()
        self.rest = SEARCH_REST
        self.delay = SEARCH_DELAY
        self.generation = 0
        """Raised when the file is made anew: readers must open it again. 0: there is none yet."""
        self._path = path
        self._read = read
        self._everything = everything
        self._cached = cached
        self._known: dict[tuple[int, str], set[str]] = {}
        self._known_count = 0
        self._busy = threading.Lock()

    def run(self) -> None:
        """Work until closed."""
        while not self.waiting.closed:
            db = None
            try:
                db = self._open()
                self._serve(db)
            except (database.Damaged, apsw.CorruptError, apsw.NotADBError) as error:
                log.warning("search database is made anew: %s", error)
                self._begin_anew(db)
            except Exception:
                log.exception("search indexing failed; it goes on in %s s", SEARCH_RETRY)
                self.waiting.compare_again()
                self.waiting.sleep(SEARCH_RETRY)
            finally:
                if db is not None:
                    db.close(True)

    def report_damage(self) -> None:
        """A reader found the file damaged."""
        self.generation = 0
        self.waiting.compare_again()

    def settled(self) -> bool:
        """Whether all that was noted so far is in the file."""
        if self._busy.acquire(blocking=False):
            try:
                return self.waiting.idle and self.generation > 0
            finally:
                self._busy.release()
        return False

    def _open(self) -> apsw.Connection:
        db = database.open_database(self._path, writer=True)
        self._known.clear()
        self._known_count = 0
        self._cached.clear()
        self.generation = time.monotonic_ns()
        return db

    def _begin_anew(self, db: apsw.Connection | None) -> None:
        self.generation = 0
        self._cached.clear()
        if db is not None:
            db.close(True)
        database.delete_database(self._path)
        self.waiting.compare_again()

    def _serve(self, db: apsw.Connection) -> None:
        while not self.waiting.closed:
            if self.waiting.take_incomplete():
                with self._busy:
                    if self.generation == 0:
                        raise database.Damaged("found by a search")
                    self._compare(db)
            taken = self.waiting.next(self.delay)
            if not taken:
                continue
            began = time.monotonic()
            with self._busy:
                self._do(db, taken)
            self.waiting.sleep((time.monotonic() - began) * self.rest)

    def _compare(self, db: apsw.Connection) -> None:
        """Note what the file lacks and what it has too much."""
        there = set(database.accounts(db))
        for account_id, email_ids in self._everything():
            there.discard(account_id)
            ours = set(database.indexed(db, account_id)[0])
            theirs = set(email_ids)
            if missing := theirs - ours:
                self.waiting.add(account_id, sorted(missing, reverse=True))  # new mail is searched for most
            if surplus := ours - theirs:
                self.waiting.remove(account_id, surplus)
        for account_id in there:
            self.waiting.remove_account(account_id)

    def _do(self, db: apsw.Connection, taken: Sequence[Work]) -> None:
        for work in taken:
            self._remove(db, work)
        documents: dict[int, dict[int, Document | None]] = {}
        octets = 0
        for work in taken:
            for email_id, raw in zip(work.added, self._read(work.account_id, work.added), strict=False):
                if self.waiting.closed:
                    return
                if raw is None:
                    continue
                documents.setdefault(work.account_id, {})[email_id] = _analyse(work.account_id, email_id, raw)
                octets += len(raw)
                if octets >= SEARCH_BATCH_OCTETS:
                    self._store(db, documents)
                    documents, octets = {}, 0
                time.sleep(0)  # let the event loop run
        self._store(db, documents)

    def _remove(self, db: apsw.Connection, work: Work) -> None:
        if work.account_removed:
            self._cached.forget(work.account_id)
            database.remove_account(db, work.account_id)
            self._forget_terms(work.account_id)
        if work.removed:
            self._cached.discard(work.account_id, work.removed)
            database.remove_documents(db, work.account_id, work.removed)
            self._sweep(db, work.account_id)

    def _store(self, db: apsw.Connection, documents: dict[int, dict[int, Document | None]]) -> None:
        """One transaction; the ids are known as indexed only after it."""
        with db:
            for account_id in sorted(documents):
                self._add(db, account_id, documents[account_id])
        for account_id, added in documents.items():
            opaque = [email_id for email_id, document in added.items() if document is None]
            self._cached.add(account_id, added, opaque)
        if self._known_count > SEARCH_KNOWN_TERMS:
            self._known.clear()
            self._known_count = 0

    def _add(self, db: apsw.Connection, account_id: int, documents: dict[int, Document | None]) -> None:
        classes = {class_ for document in documents.values() if document for class_ in document.terms}
        known = {class_: self._known.setdefault((account_id, class_), set()) for class_ in classes}
        database.add_documents(db, account_id, documents, known)
        for document in documents.values():
            for class_, terms in document.terms.items() if document else ():
                before = len(known[class_])
                known[class_] |= terms
                self._known_count += len(known[class_]) - before

    def _forget_terms(self, account_id: int) -> None:
        for key in [key for key in self._known if key[0] == account_id]:
            self._known_count -= len(self._known.pop(key))

    def _sweep(self, db: apsw.Connection, account_id: int) -> None:
        """Drop the account's unused terms when many messages went."""
        removed = database.removed_documents(db, account_id)
        if removed < SEARCH_SWEEP or removed < len(database.indexed(db, account_id)[0]):
            return
        self._forget_terms(account_id)
        place: tuple[str, str] | None = ("", "")
        while place is not None and not self.waiting.closed:
            place = database.sweep_terms(db, account_id, place, SEARCH_SWEEP)


def _analyse(account_id: int, email_id: int, raw: bytes) -> Document | None:
    try:
        return analyse(raw)
    except Exception:
        # Cannot be; but one message must not stop the others, and scanning it stays right.
        log.exception("message %s of account %s cannot be indexed", email_id, account_id)
        return None
