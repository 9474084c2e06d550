"""Which messages the search index decides about, remembered in a node for the accounts that searched last.

A document's row never changes, and goes only together with its email. So whoever was found indexed once needs not be
asked for again: when it is gone meanwhile, the index finds nothing of it, which is the truth. Messages that are not
remembered are asked for, whatever other nodes have indexed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from posthouse.limits import SEARCH_CACHED_IDS, SEARCH_IDS_READ
from posthouse.store.postgres.connection import Connection

FEW: Final = 200
"""Up to so many messages are asked for one by one, more as a range: a fifteenth of the time for each."""
_THESE: Final = (
    "SELECT array_agg(email_id) FROM search_document"
    " WHERE account_id = $1 AND email_id = ANY($2::bigint[]) AND opaque = 0"
)
_BETWEEN: Final = (
    "SELECT array_agg(email_id) FILTER (WHERE opaque = 0), max(email_id), count(*) FROM"
    " (SELECT email_id, opaque FROM search_document WHERE account_id = $1 AND email_id BETWEEN $2 AND $3"
    " ORDER BY email_id LIMIT $4) AS part"
)


class IndexedIds:
    """Shared by all reading threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: OrderedDict[int, set[int]] = OrderedDict()
        self._count = 0

    def searchable(self, db: Connection, account_id: int, asked: set[int]) -> set[int]:
        """Those of the messages whose terms are committed, and not too many to be listed."""
        with self._lock:
            known = asked & self._accounts.get(account_id, set())
        missing = asked - known
        if not missing:
            return known
        found = _read(db, account_id, missing)
        self._remember(account_id, found)
        return known | (found & missing)

    def _remember(self, account_id: int, found: set[int]) -> None:
        with self._lock:
            kept = self._accounts.setdefault(account_id, set())
            self._accounts.move_to_end(account_id)
            self._count -= len(kept)
            kept |= found
            self._count += len(kept)
            while self._count > SEARCH_CACHED_IDS and len(self._accounts) > 1:
                _, dropped = self._accounts.popitem(last=False)
                self._count -= len(dropped)


def _read(db: Connection, account_id: int, missing: set[int]) -> set[int]:
    """Those of these messages that are indexed, perhaps with others."""
    if len(missing) <= FEW:
        ((these,),) = db.fetch(_THESE, account_id, sorted(missing))
        return set(these or ())
    found: set[int] = set()
    first, last = min(missing), max(missing)
    while first <= last:
        ((some, end, rows),) = db.fetch(_BETWEEN, account_id, first, last, SEARCH_IDS_READ)
        found.update(some or ())
        if rows < SEARCH_IDS_READ:
            break
        first = end + 1
    return found
