"""Large flag changes as one small row, and the placements brought up to it in a quiet moment.

`STORE 1:* +FLAGS (\\Seen)` on 10,000 messages would rewrite and sync half a megabyte of placements before `OK`. What
changed is one run of UIDs and one rule, so that is what the commit makes durable: `flags & keep | bits` for all UIDs
from `first` to `last`. The live index has the new flags at once.

Two rules keep everybody's picture true. Logged runs never overlap, and whoever is about to look at or change flags
of placements in the writer calls `Transaction.settle_flags` first. Readers see the placements and the log in one
snapshot, and put the log on top. After a crash the log is found where it was: it is settled then.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.sql.transaction import LoggedFlags
from posthouse.store.sqlite.connection import Connection

Key = tuple[int, int]
"""Account, mailbox."""

FLAGS_NOW: Final = (
    "coalesce((SELECT p.flags & l.keep | l.bits FROM flag_log l WHERE l.account_id = p.account_id"
    " AND l.mailbox_id = p.mailbox_id AND p.uid BETWEEN l.first AND l.last), p.flags)"
)
"""An expression: the flags of a placement `p` with the log on top, for those who read few or are in no hurry."""


class Logged(msgspec.Struct, frozen=True):
    """The flags of all messages of a mailbox from one UID to another became `flags & keep | bits`."""

    account_id: int
    mailbox_id: int
    first: int
    last: int
    modseq: int
    keep: int
    bits: int


class FlagLog:
    """What is logged and not settled. The writer's thread only; the rows in the database are the truth."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._logged: dict[Key, list[Logged]] = {}
        self.reload()

    def __bool__(self) -> bool:
        return bool(self._logged)

    def reload(self) -> None:
        """After something was undone: read the rows again (there are never many)."""
        self._logged = {}
        for row in self._db.rows(
            "SELECT account_id, mailbox_id, first, last, modseq, keep, bits FROM flag_log ORDER BY modseq"
        ):
            one = Logged(*row)
            self._logged.setdefault((one.account_id, one.mailbox_id), []).append(one)

    def takes(self, changed: Ranges) -> bool:
        """Whether these UIDs are worth logging: many, and in few runs."""
        return len(changed) >= limits.FLAGS_LOGGED and changed.run_count() <= limits.FLAGS_LOGGED_RUNS

    def note(self, key: Key, modseq: int, changed: Ranges, keep: int, bits: int) -> None:
        """Log a change of these UIDs. Whatever was logged about them must have been settled."""
        for first, last in changed.pairs():
            self._db.execute(
                "INSERT INTO flag_log VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, first, last, modseq, keep, bits)
            )
            self._logged.setdefault(key, []).append(Logged(*key, first, last, modseq, keep, bits))

    def only(self, key: Key, first: int, last: int) -> LoggedFlags | None:
        """What is logged about any UID from `first` to `last`, if that is one run that lies within."""
        found = [each for each in self._logged.get(key, ()) if each.first <= last and each.last >= first]
        if len(found) != 1 or found[0].first < first or found[0].last > last:
            return None
        return LoggedFlags(found[0].first, found[0].last, found[0].keep, found[0].bits)

    def note_again(self, key: Key, modseq: int, new: LoggedFlags) -> None:
        """Put a changed rule in the place of the one about the same run."""
        self._db.execute(
            "UPDATE flag_log SET modseq = ?, keep = ?, bits = ?"
            " WHERE account_id = ? AND mailbox_id = ? AND first = ?",
            (modseq, new.keep, new.bits, *key, new.first),
        )
        others = [each for each in self._logged[key] if each.first != new.first]
        self._logged[key] = [*others, Logged(*key, new.first, new.last, modseq, new.keep, new.bits)]

    def settle(self, key: Key, first: int, last: int) -> None:
        """Bring the placements of a mailbox up to what is logged about any UID from `first` to `last`."""
        if key in self._logged:
            for one in [each for each in self._logged[key] if each.first <= last and each.last >= first]:
                self._settle(one)

    def settle_one(self) -> bool:
        """Settle the oldest logged run of some mailbox; whether there is more."""
        if self._logged:
            self._settle(next(iter(self._logged.values()))[0])
        return bool(self._logged)

    def _settle(self, one: Logged) -> None:
        key = (one.account_id, one.mailbox_id)
        self._db.execute(
            "UPDATE placement SET flags = flags & ? | ?, modseq = ?"
            " WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?",
            (one.keep, one.bits, one.modseq, *key, one.first, one.last),
        )
        self._db.execute(
            "DELETE FROM flag_log WHERE account_id = ? AND mailbox_id = ? AND first = ?", (*key, one.first)
        )
        self._logged[key].remove(one)
        if not self._logged[key]:
            del self._logged[key]


def put_on_top(db: Connection, index: MailboxIndex) -> None:
    """Bring an index that was read from placements up to the log (in the reader's snapshot)."""
    for first, last, modseq, keep, bits in db.rows(
        "SELECT first, last, modseq, keep, bits FROM flag_log WHERE account_id = ? AND mailbox_id = ?",
        (index.account_id, index.mailbox_id),
    ):
        index.change_flags(Ranges.between(first, last), keep, bits, modseq)
