"""A mailbox in memory: what SELECT, FETCH FLAGS, STORE, UID SEARCH and POP3 need, as packed arrays.

One index is shared by all sessions on the mailbox and lives on the event loop's thread: the engine applies each
commit to it (in commit order, before the commit's caller goes on) and then calls the watchers. Sessions never
write to it. 36 octets a message.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable

import msgspec

from posthouse.ranges import Ranges


class IndexChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit did to a mailbox."""

    modseq: int
    added: Ranges
    """New UIDs."""
    flagged: Ranges
    """UIDs whose flags changed."""
    vanished: Ranges
    """UIDs that are gone."""


class MailboxIndex:
    """The messages of one mailbox in ascending UID order; position i of every array is the same message."""

    __slots__ = (
        "__weakref__",
        "_uid_set",
        "_watchers",
        "account_id",
        "email_ids",
        "flags",
        "highest_modseq",
        "log",
        "mailbox_id",
        "modseqs",
        "received",
        "removed",
        "sizes",
        "uid_next",
        "uid_validity",
        "uids",
    )

    def __init__(self, account_id: int, mailbox_id: int, uid_validity: int) -> None:
        self.account_id = account_id
        self.mailbox_id = mailbox_id
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.highest_modseq = 0
        self.uids = array("I")
        self.flags = array("Q")
        """System flags and keyword bits (store.model)."""
        self.modseqs = array("Q")
        self.email_ids = array("Q")
        self.sizes = array("I")
        """RFC822.SIZE in octets."""
        self.received = array("I")
        """INTERNALDATE in POSIX seconds."""
        self.removed = False
        """The mailbox itself was deleted."""
        self.log: deque[IndexChange] = deque(maxlen=256)
        """The latest changes, oldest first; a session that is further behind asks the store (`vanished_since`)."""
        self._uid_set: Ranges | None = None
        self._watchers: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self.uids)

    def position(self, uid: int) -> int | None:
        """Where a UID stands (from 0), or None."""
        i = bisect_left(self.uids, uid)
        return i if i < len(self.uids) and self.uids[i] == uid else None

    def uid_set(self) -> Ranges:
        """All UIDs as ranges: one value that all sessions share until the next change."""
        if self._uid_set is None:
            self._uid_set = Ranges.of_array(self.uids)
        return self._uid_set

    def watch(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after each change; the result ends it."""
        self._watchers.append(heard)

        def end() -> None:
            if heard in self._watchers:
                self._watchers.remove(heard)

        return end

    @property
    def watched(self) -> bool:
        """Whether any session is on this mailbox (the engine keeps it in memory then)."""
        return bool(self._watchers)

    def publish(self, change: IndexChange) -> None:
        """For the engine: note a change that the arrays hold already, and tell the watchers."""
        self.highest_modseq = max(self.highest_modseq, change.modseq)
        self.log.append(change)
        if self._uid_set is not None and (change.added or change.vanished):
            self._uid_set = (self._uid_set | change.added) - change.vanished
        for heard in tuple(self._watchers):
            heard()
