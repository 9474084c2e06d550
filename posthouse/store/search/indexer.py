"""The one writer of the search database: a background thread that feeds it in batches.

Emails are taken in the order of their ids, and how far that has come is kept with each batch, so that nothing is left
out and a restart goes on there. A file that is damaged, made by another version or newer than the store (which was
restored from a backup) is deleted and made anew; a fault of the disk is waited out. While somebody is served it rests
after each message; in quiet moments it works without a pause.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import apsw

from posthouse.errors import StoreUnavailable
from posthouse.limits import (
    SEARCH_BATCH,
    SEARCH_BATCH_OCTETS,
    SEARCH_COMPARE,
    SEARCH_DELAY,
    SEARCH_KNOWN_TERMS,
    SEARCH_RETRY,
    SEARCH_SWEEP,
)
from posthouse.store.foreground import Foreground
from posthouse.store.search import database
from posthouse.store.search.cache import IndexedIds
from posthouse.store.search.document import Document, analyse, writable
from posthouse.store.search.notices import Notices
from posthouse.store.search.source import Source

log = logging.getLogger("posthouse.store.search")

_CONDITIONS: Final = (
    OSError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.BusyError,
    StoreUnavailable,
)
Documents = dict[int, dict[int, Document | None]]
"""By account and email id; None: opaque."""


class Indexer:
    """Keeps the search database near to what the store has."""

    def __init__(self, path: Path, source: Source, cached: IndexedIds, foreground: Foreground) -> None:
        self.notices = Notices()
        self.delay = SEARCH_DELAY
        self.generation = 0
        """Another one whenever the file is another one: readers must open it again. 0: there is none at present."""
        self._path = path
        self._source = source
        self._cached = cached
        self._foreground = foreground
        self._done_to = 0
        self._known: dict[tuple[int, str], set[str]] = {}
        self._known_count = 0
        self._thread = threading.Thread(target=self._run, name="search-indexer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not indexed yet is after the next start. Blocks."""
        self.notices.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self.notices.closed:
            try:
                self._run_once()
            except Exception as fault:
                # A full or failing disk is a condition, told in a line; all else is a fault of ours.
                condition = isinstance(fault, _CONDITIONS)
                log.log(
                    logging.WARNING if condition else logging.ERROR,
                    "search indexing failed; it goes on in %s s: %s",
                    *(SEARCH_RETRY, fault),
                    exc_info=None if condition else fault,
                )
                self.notices.sleep(SEARCH_RETRY)

    def _run_once(self) -> None:
        """With one file, until it ends or is lost. Whatever it raises is waited out: the file may not be deletable."""
        db = None
        try:
            db = self._open()
            self._serve(db)
        except (database.Damaged, apsw.CorruptError, apsw.NotADBError) as error:
            log.warning("the search database is made anew: %s", error)
            self._begin_anew(db)
        finally:
            if db is not None:
                db.close(True)

    def report_damage(self) -> None:
        """A reader found the file damaged."""
        self.generation = 0
        self.notices.compare()

    def _open(self) -> apsw.Connection:
        db = database.open_database(self._path, writer=True)
        try:
            self._done_to = database.progress(db)
            if self._done_to >= self._source.ceiling() > 0:
                raise database.Damaged("it knows messages that the store never had")
        except BaseException:
            db.close(True)
            raise
        self._known.clear()
        self._known_count = 0
        generation = time.monotonic_ns()
        self._cached.clear(generation)
        self.generation = generation
        self.notices.compare()  # what went while we were away, or while indexing had failed
        return db

    def _begin_anew(self, db: apsw.Connection | None) -> None:
        self.generation = 0
        self._cached.clear(0)
        if db is not None:
            db.close(True)
        database.delete_database(self._path)

    def _serve(self, db: apsw.Connection) -> None:
        more = True
        while True:
            notes = self.notices.take(wait=not more, delay=self.delay)
            if self.notices.closed:
                return
            if self.generation == 0:
                raise database.Damaged("found by a search")
            if notes.compare:
                self._compare(db)
            for account_id, email_ids in notes.removed.items():
                self._remove(db, account_id, email_ids)
            more = self._index_some(db)

    def _compare(self, db: apsw.Connection) -> None:
        """Forget messages that the store has no more."""
        for account_id in database.accounts(db):
            email_ids = database.indexed(db, account_id)[0]
            for start in range(0, len(email_ids), SEARCH_COMPARE):
                page = email_ids[start : start + SEARCH_COMPARE]
                if gone := set(page) - self._source.present(page):
                    self._remove(db, account_id, gone)

    # --- messages that came ---------------------------------------------------------------------------

    def _index_some(self, db: apsw.Connection) -> bool:
        """Index the next batch; whether there may be more."""
        batch = self._source.after(self._done_to, SEARCH_BATCH)
        documents: Documents = {}
        octets = 0
        for email_id, account_id in batch:
            if self.notices.closed:
                return False
            began = time.monotonic()
            for raw in self._source.read(account_id, [email_id]):
                if raw is not None:
                    documents.setdefault(account_id, {})[email_id] = _analyse(account_id, email_id, raw)
                    octets += len(raw)
            if octets >= SEARCH_BATCH_OCTETS:
                self._store(db, documents, email_id)
                documents, octets = {}, 0
            self.notices.sleep(self._foreground.rest(time.monotonic() - began))
        if batch:
            self._store(db, documents, batch[-1][0])
        return bool(batch)

    def _store(self, db: apsw.Connection, documents: Documents, done_to: int) -> None:
        """One transaction; the ids are known as indexed only after it."""
        with db:
            for account_id in sorted(documents):
                self._add(db, account_id, documents[account_id])
            database.set_progress(db, done_to)
        self._done_to = done_to
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

    # --- messages that went ---------------------------------------------------------------------------

    def _remove(self, db: apsw.Connection, account_id: int, email_ids: Collection[int]) -> None:
        self._cached.discard(account_id, email_ids)
        database.remove_documents(db, account_id, email_ids)
        self._cached.discard(account_id, email_ids)  # a search may have read them in between
        left = database.count_documents(db, account_id)
        removed = database.removed_documents(db, account_id)
        if left and (removed < SEARCH_SWEEP or removed < left):
            return
        # Drop the terms that none of its messages has any more.
        for key in [key for key in self._known if key[0] == account_id]:
            self._known_count -= len(self._known.pop(key))
        place: tuple[str, str] | None = ("", "")
        while place is not None and not self.notices.closed:
            place = database.sweep_terms(db, account_id, place, SEARCH_SWEEP)


def _analyse(account_id: int, email_id: int, raw: bytes) -> Document | None:
    try:
        return writable(analyse(raw))
    except Exception:
        # Cannot be; but one message must not stop the others, and scanning it stays right.
        log.exception("message %s of account %s cannot be indexed", email_id, account_id)
        return None
