"""What the indexer has still to do: messages that came, messages that went. Thread-safe and bounded.

A message that went before it was indexed is forgotten. When too much waits, all of it is dropped and `incomplete`
is set: the indexer then compares its file with the store. Nothing depends on these notes but how soon a message is
indexed; what isn't is scanned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import msgspec

from posthouse.limits import SEARCH_BATCH, SEARCH_WAITING


class Work(msgspec.Struct, frozen=True):
    """One account's share of the next batch."""

    account_id: int
    added: list[int]
    """Email ids to be indexed."""
    removed: list[int]
    """Email ids to be forgotten."""
    account_removed: bool


class Waiting:
    """Notes for the indexer, by account."""

    def __init__(self, incomplete: bool = True) -> None:
        self._changed = threading.Condition()
        self._added: dict[int, dict[int, None]] = {}
        self._removed: dict[int, set[int]] = {}
        self._accounts_removed: set[int] = set()
        self._count = 0
        self._since = 0.0
        self._incomplete = incomplete
        self._closed = False

    def add(self, account_id: int, email_ids: Iterable[int]) -> None:
        """Messages came."""
        with self._changed:
            waiting = self._added.setdefault(account_id, {})
            before = len(waiting)
            waiting.update(dict.fromkeys(email_ids))
            self._note(len(waiting) - before)

    def remove(self, account_id: int, email_ids: Iterable[int]) -> None:
        """Messages went."""
        with self._changed:
            waiting = self._added.get(account_id, {})
            gone = self._removed.setdefault(account_id, set())
            before = len(waiting) + len(gone)
            for email_id in email_ids:
                waiting.pop(email_id, None)
                gone.add(email_id)
            self._note(len(waiting) + len(gone) - before)

    def remove_account(self, account_id: int) -> None:
        """An account went with all it had."""
        with self._changed:
            self._count -= len(self._added.pop(account_id, ())) + len(self._removed.pop(account_id, ()))
            self._accounts_removed.add(account_id)
            self._note(1)

    def _note(self, more: int) -> None:
        if not self._since:
            self._since = time.monotonic()
        self._count += more
        if self._count > SEARCH_WAITING:
            self._added.clear()
            self._removed.clear()
            self._accounts_removed.clear()
            self._count = 0
            self._incomplete = True
        self._changed.notify_all()

    def compare_again(self) -> None:
        """The file was lost, or something waits that nobody noted."""
        with self._changed:
            self._incomplete = True
            self._changed.notify_all()

    def take_incomplete(self) -> bool:
        """Whether the file must be compared with the store; asking takes the order away."""
        with self._changed:
            incomplete, self._incomplete = self._incomplete, False
            return incomplete

    def next(self, delay: float) -> list[Work]:
        """Wait for work, `delay` seconds from its first note, and take at most SEARCH_BATCH messages of it.

        Empty: closing, or a comparison with the store is due.
        """
        with self._changed:
            while not (self._closed or self._incomplete):
                rest = self._since + delay - time.monotonic() if self._count else None
                if rest is not None and rest <= 0:
                    return self._take()
                self._changed.wait(rest)
            return []

    def _take(self) -> list[Work]:
        taken: list[Work] = []
        left = SEARCH_BATCH
        while self._count and left > 0:
            work = self._take_account(left)
            taken.append(work)
            left -= max(1, len(work.added))
        if not self._count:
            self._since = 0.0
        return taken

    def _take_account(self, most: int) -> Work:
        account_id = next(iter(self._accounts_removed or self._removed or self._added))
        removed = self._removed.pop(account_id, set())
        waiting = self._added.get(account_id, {})
        added = [email_id for email_id, _ in zip(waiting, range(most), strict=False)]
        for email_id in added:
            del waiting[email_id]
        if not waiting:
            self._added.pop(account_id, None)
        account_removed = account_id in self._accounts_removed
        self._accounts_removed.discard(account_id)
        self._count -= len(added) + len(removed) + account_removed
        return Work(account_id, added, sorted(removed), account_removed)

    def sleep(self, seconds: float) -> None:
        """Rest, unless closing."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Let the indexer end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        with self._changed:
            return not self._count and not self._incomplete
