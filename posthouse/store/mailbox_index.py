"""A mailbox in memory: what SELECT, FETCH FLAGS, STORE, UID SEARCH and POP3 need, as packed arrays.

One index is shared by all sessions on the mailbox and lives on the event loop's thread: the engine applies each
commit to it (in commit order, before the commit's caller goes on) and then calls the watchers. Sessions never
write to it. 36 octets a message.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import compress
from operator import gt
from typing import Final, Literal

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
        "_by_email",
        "_uid_set",
        "_watchers",
        "account_id",
        "email_ids",
        "flags",
        "from_snapshot",
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
        self.from_snapshot = False
        """The engine had it packed on disk (else it is worth packing)."""
        self.removed = False
        """The mailbox itself was deleted."""
        self.log: deque[IndexChange] = deque(maxlen=256)
        """The latest changes, oldest first; a session that is further behind asks the store (`vanished_since`)."""
        self._uid_set: Ranges | None = None
        self._by_email: EmailOrder | None = None
        self._watchers: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self.uids)

    def position(self, uid: int) -> int | None:
        """Where a UID stands (from 0), or None."""
        i = bisect_left(self.uids, uid)
        return i if i < len(self.uids) and self.uids[i] == uid else None

    def find(self, email_id: int) -> int | None:
        """The UID of an email, or None. Sorted once for many questions; new mail is put behind."""
        if self._by_email is None:
            self._by_email = EmailOrder(self.email_ids, self.uids)
        return self._by_email.find(email_id)

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

    @property
    def octets(self) -> int:
        """What the arrays take in memory."""
        return OCTETS_PER_MESSAGE * len(self.uids)

    # For the engine only: changes to the arrays, in commit order.

    def append(self, rows: NewRows) -> None:
        """Add messages; their UIDs ascend and are above all present ones."""
        self.uids.extend(rows.uids)
        self.flags.extend(rows.flags)
        self.modseqs.extend(rows.modseqs)
        self.email_ids.extend(rows.email_ids)
        self.sizes.extend(rows.sizes)
        self.received.extend(rows.received)
        if self._by_email is not None and not self._by_email.append(rows.email_ids, rows.uids):
            self._by_email = None
        if rows.uids:
            self.uid_next = max(self.uid_next, rows.uids[-1] + 1)

    def change_flags(self, uids: Ranges, keep: int, add: int, modseq: int) -> None:
        """Make the flags of each UID `flags & keep | add`. UIDs that are not here are passed over."""
        for first, last in uids.pairs():
            start, end = bisect_left(self.uids, first), bisect_left(self.uids, last + 1)
            if end - start < FEW:
                for i in range(start, end):
                    self.flags[i] = self.flags[i] & keep | add
                    self.modseqs[i] = modseq
            else:
                self.flags[start:end] = masked(self.flags[start:end], keep, add)
                self.modseqs[start:end] = array("Q", [modseq]) * (end - start)

    def remove(self, uids: Ranges) -> None:
        """Take UIDs out; those that are not here are passed over."""
        self._by_email = None
        slices = [
            (bisect_left(self.uids, first), bisect_left(self.uids, last + 1)) for first, last in uids.pairs()
        ]
        if len(slices) < FEW:
            for start, end in reversed(slices):
                for column in self._columns():
                    del column[start:end]
            return
        # Each deletion from the middle moves the rest, so many are done in one pass over all.
        kept = bytearray(b"\1") * len(self.uids)
        for start, end in slices:
            kept[start:end] = bytes(end - start)
        self.uids = array("I", compress(self.uids, kept))
        self.flags = array("Q", compress(self.flags, kept))
        self.modseqs = array("Q", compress(self.modseqs, kept))
        self.email_ids = array("Q", compress(self.email_ids, kept))
        self.sizes = array("I", compress(self.sizes, kept))
        self.received = array("I", compress(self.received, kept))

    def become(self, present: MailboxIndex) -> None:
        """Take over the arrays of an index that was read anew."""
        self._by_email = None
        self.uids, self.flags, self.modseqs = present.uids, present.flags, present.modseqs
        self.email_ids, self.sizes, self.received = present.email_ids, present.sizes, present.received

    def _columns(self) -> tuple[array[int], ...]:
        return (self.uids, self.flags, self.modseqs, self.email_ids, self.sizes, self.received)

    def note(self, change: IndexChange) -> None:
        """Log a change that the arrays hold already."""
        self.highest_modseq = max(self.highest_modseq, change.modseq)
        self.log.append(change)
        if self._uid_set is not None and (change.added or change.vanished):
            self._uid_set = (self._uid_set | change.added) - change.vanished

    def tell(self) -> None:
        """Call the watchers."""
        for heard in tuple(self._watchers):
            heard()


class EmailOrder:
    """A mailbox's messages by the numbers of their emails: two arrays, 12 octets a message."""

    __slots__ = ("_email_ids", "_uids")

    def __init__(self, email_ids: array[int], uids: array[int]) -> None:
        """Mail is mostly in that order already; moved mail is not."""
        self._email_ids, self._uids = array("Q", email_ids), array("I", uids)
        if any(map(gt, self._email_ids, self._email_ids[1:])):
            order = sorted(range(len(email_ids)), key=email_ids.__getitem__)
            self._email_ids = array("Q", map(email_ids.__getitem__, order))
            self._uids = array("I", map(uids.__getitem__, order))

    def append(self, email_ids: array[int], uids: array[int]) -> bool:
        """Add new messages when they come behind all others; False: they do not."""
        if self._email_ids and email_ids and email_ids[0] < self._email_ids[-1]:
            return False
        if any(map(gt, email_ids, email_ids[1:])):
            return False
        self._email_ids.extend(email_ids)
        self._uids.extend(uids)
        return True

    def find(self, email_id: int) -> int | None:
        """The UID of an email, or None."""
        i = bisect_left(self._email_ids, email_id)
        return self._uids[i] if i < len(self._uids) and self._email_ids[i] == email_id else None


OCTETS_PER_MESSAGE: Final = 36
FEW: Final = 24
"""Below this many, plain loops beat work on whole arrays."""


class NewRows(msgspec.Struct):
    """Messages to be appended, as columns of equal length."""

    uids: array[int] = msgspec.field(default_factory=lambda: array("I"))
    flags: array[int] = msgspec.field(default_factory=lambda: array("Q"))
    modseqs: array[int] = msgspec.field(default_factory=lambda: array("Q"))
    email_ids: array[int] = msgspec.field(default_factory=lambda: array("Q"))
    sizes: array[int] = msgspec.field(default_factory=lambda: array("I"))
    received: array[int] = msgspec.field(default_factory=lambda: array("I"))


def masked(flags: array[int], keep: int, add: int) -> array[int]:
    """`flags & keep | add` for each, as arithmetic on one long number (1,000 times a loop's speed)."""
    count = len(flags)
    order: Literal["little", "big"] = sys.byteorder
    keeps = int.from_bytes((keep & ALL_BITS).to_bytes(8, order) * count, order)
    adds = int.from_bytes(add.to_bytes(8, order) * count, order)
    whole = int.from_bytes(flags.tobytes(), order) & keeps | adds
    return array("Q", whole.to_bytes(8 * count, order))


ALL_BITS: Final = (1 << 64) - 1
