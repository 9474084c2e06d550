"""What the indexer is told from outside: that mail came, which messages went, that the file must be checked.

Thread-safe, bounded and cheap: telling of new mail sets a flag, and wakes the indexer only out of its sleep. When too
many removals wait they are dropped, and a comparison with the store finds them instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import msgspec

from posthouse.limits import SEARCH_PATIENCE, SEARCH_WAITING


class Notes(msgspec.Struct, frozen=True):
    """What was told since the last look."""

    removed: dict[int, set[int]]
    """Email ids by account."""
    compare: bool
    """The file may hold messages that the store has no more."""


class Notices:
    """The indexer's letter box."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._came = 0.0
        self._last = 0.0
        self._removed: dict[int, set[int]] = {}
        self._count = 0
        self._compare = False
        self._closed = False
        self._waiting = False

    def mail_came(self) -> None:
        """Messages were committed."""
        self._last = time.monotonic()
        if not self._came:
            with self._changed:
                self._came = self._last
                self._changed.notify_all()

    def removed(self, account_id: int, email_ids: Iterable[int]) -> None:
        """Messages are gone."""
        with self._changed:
            gone = self._removed.setdefault(account_id, set())
            self._count -= len(gone)
            gone.update(email_ids)
            self._count += len(gone)
            if self._count > SEARCH_WAITING:
                self._removed, self._count, self._compare = {}, 0, True
            self._changed.notify_all()

    def compare(self) -> None:
        """The file may be wrong."""
        with self._changed:
            self._compare = True
            self._changed.notify_all()

    def take(self, *, wait: bool, delay: float) -> Notes:
        """What was told, after waiting (`wait`) for it, and until no mail came for `delay` seconds."""
        with self._changed:
            self._waiting = wait
            while wait and not self._closed and not (self._removed or self._compare):
                if not self._came:
                    self._changed.wait()
                    continue
                due = min(self._last + delay, self._came + SEARCH_PATIENCE)
                if (rest := due - time.monotonic()) <= 0:
                    break
                self._changed.wait(rest)
            self._waiting = False
            notes = Notes(self._removed, self._compare)
            self._came, self._removed, self._count, self._compare = 0.0, {}, 0, False
            return notes

    def sleep(self, seconds: float) -> None:
        """Rest, unless closing."""
        if not seconds:
            return
        until = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)

    @property
    def idle(self) -> bool:
        """Whether the indexer has done all, waits, and was told nothing since."""
        with self._changed:
            return self._waiting and not (self._came or self._removed or self._compare)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Let the indexer end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
