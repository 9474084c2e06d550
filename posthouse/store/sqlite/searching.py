"""Full-text search over the embedded store: where its index gets messages from.

Each of the index's threads reads with a connection and segment files of its own, so a long scan holds up nobody.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import apsw

from posthouse.errors import NotFound
from posthouse.store.foreground import Foreground
from posthouse.store.search import SearchIndex
from posthouse.store.sqlite.connection import columns, integer, members, unavailable
from posthouse.store.sqlite.emails import read_blob, read_stored
from posthouse.store.sqlite.readers import Reader

log: Final = logging.getLogger("posthouse.store")
_DAMAGE: Final = frozenset({None, errno.ENOENT, errno.EIO})
"""Of an OSError: the octets are lost (None: they are not what they should be); any other passes."""

OpenReader = Callable[[], Reader]


def text_search(path: Path) -> Callable[[OpenReader, Foreground], SearchIndex]:
    """What `SqliteStore.open` takes as `search`: an index in a file of its own at `path`, started."""

    def make(open_reader: OpenReader, foreground: Foreground) -> SearchIndex:
        index = SearchIndex(path, SqliteMessages(open_reader), foreground)
        index.start()
        return index

    return make


class SqliteMessages:
    """A `Source` of the search index."""

    def __init__(self, open_reader: OpenReader) -> None:
        self._open = open_reader
        self._local = threading.local()
        self._opened: list[Reader] = []

    def after(self, email_id: int, limit: int) -> list[tuple[int, int]]:
        """(email id, account id) of the next committed emails, ascending."""
        ids, accounts = columns(
            self._reader().db,
            [integer("email_id"), integer("account_id")],
            "FROM (SELECT email_id, account_id FROM email WHERE email_id > ? ORDER BY email_id LIMIT ?)",
            (email_id, limit),
        )
        return list(zip(ids, accounts, strict=True))

    def present(self, email_ids: Sequence[int]) -> set[int]:
        """Those of the emails that the store still has."""
        source = "FROM email WHERE email_id IN (SELECT value FROM carray(?))"
        return set(columns(self._reader().db, [integer("email_id")], source, (members(email_ids),))[0])

    def ceiling(self) -> int:
        """An id above all that were ever given; 0: none was."""
        rows = self._reader().db.rows("SELECT ceiling FROM sequence WHERE name = 'email'")
        return int(rows[0][0]) if rows else 0

    def read(self, account_id: int, email_ids: Sequence[int]) -> Iterator[bytes | None]:
        """Whole messages one by one; None for one that is gone or damaged. StoreUnavailable."""
        for email_id in email_ids:
            try:
                yield _whole(self._reader(), account_id, email_id)
            except (apsw.Error, OSError) as fault:
                raise unavailable(fault) from fault

    def close(self) -> None:
        """Let go of all files. The threads have ended."""
        for reader in self._opened:
            reader.close()
        self._opened.clear()

    def _reader(self) -> Reader:
        """This thread's own."""
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._open()
            self._opened.append(reader)
        return reader


def _whole(reader: Reader, account_id: int, email_id: int) -> bytes | None:
    stored = read_stored(reader, account_id, [email_id]).get(email_id)
    if stored is None:
        return None
    try:
        return stored.prefix + read_blob(reader, stored.blob_id)
    except NotFound:
        return None
    except OSError as fault:
        if fault.errno not in _DAMAGE:
            raise
        # One damaged message must neither hide the others nor keep what came after it out of the index.
        log.error("message bytes %d cannot be read: %s", stored.blob_id, fault)
        return None
