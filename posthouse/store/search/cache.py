"""Which messages are in the search database, in memory for the accounts that search: shared by its threads.

An id is here only when its terms are committed. A message that isn't here is scanned, so leaving ids out is always
right and putting them in too early never is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from posthouse.limits import SEARCH_CACHED_IDS


class Known(msgspec.Struct, frozen=True):
    """An account's messages that are indexed, and those of them that must be scanned nevertheless."""

    indexed: set[int]
    opaque: set[int]


class IndexedIds:
    """The sets of the accounts that searched last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: OrderedDict[int, Known] = OrderedDict()
        self._count = 0
        self._generation = 0
        """Of the file that they are in."""

    def searchable(
        self,
        generation: int,
        account_id: int,
        asked: set[int],
        load: Callable[[], tuple[list[int], list[int]]],
    ) -> set[int]:
        """Those of the asked messages that the index decides about. `load` reads an account's ids from the file.

        `generation`: of that file. What is in another one than the present is said, and not remembered.
        """
        with self._lock:
            if generation != self._generation:
                indexed, opaque = load()
                return asked.intersection(indexed).difference(opaque)
            known = self._accounts.get(account_id)
            if known is None:
                # Under the lock, so that no commit falls between reading the file and noting what was read.
                indexed, opaque = load()
                known = Known(set(indexed), set(opaque))
                self._accounts[account_id] = known
                self._count += len(indexed)
                self._shrink()
            self._accounts.move_to_end(account_id)
            return (asked & known.indexed) - known.opaque

    def _shrink(self) -> None:
        while self._count > SEARCH_CACHED_IDS and len(self._accounts) > 1:
            _, known = self._accounts.popitem(last=False)
            self._count -= len(known.indexed)

    def add(self, account_id: int, email_ids: Iterable[int], opaque: Iterable[int]) -> None:
        """Messages were committed."""
        with self._lock:
            known = self._accounts.get(account_id)
            if known is not None:
                self._count -= len(known.indexed)
                known.indexed.update(email_ids)
                known.opaque.update(opaque)
                self._count += len(known.indexed)

    def discard(self, account_id: int, email_ids: Iterable[int]) -> None:
        """Messages are about to be removed."""
        with self._lock:
            known = self._accounts.get(account_id)
            if known is not None:
                self._count -= len(known.indexed)
                known.indexed.difference_update(email_ids)
                self._count += len(known.indexed)

    def clear(self, generation: int) -> None:
        """The file is another one (0: there is none)."""
        with self._lock:
            self._generation = generation
            self._accounts.clear()
            self._count = 0
