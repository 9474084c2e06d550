"""One transaction of the embedded engine's writer: how what operations change becomes rows.

Rows of new mail are gathered and written many at a time (each statement costs a turn of the interpreter lock);
any other statement writes the gathered ones first, so operations always see their own work. Counts live in
`state.py` and are written once, at the end. Nothing is told to anybody before `commit` has returned.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import Any, Final

import apsw
import msgspec

from posthouse.ranges import Ranges
from posthouse.store.memory import changes
from posthouse.store.sql.state import AccountState, MailboxState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sql.transaction import Transaction as BaseTransaction
from posthouse.store.sqlite.blobs import Blobs
from posthouse.store.sqlite.connection import (
    PAGE_SIZE,
    Connection,
    decode_integers,
    members,
)
from posthouse.store.sqlite.flag_log import FlagLog
from posthouse.store.sqlite.segments import SegmentFolder, SegmentWriter

_TABLES: Final = {"blob": 7, "email": 6, "placement": 10, "event": 6, "verdict": 4}
"""Tables whose new rows are gathered, with the number of their columns."""
_STEPS: Final = (64, 16, 4, 1)
"""Rows of one statement; few sizes, so that the statements stay prepared."""
_INSERTS: Final = {
    (table, rows): f"INSERT INTO {table} VALUES " + ", ".join(["(" + ", ".join("?" * width) + ")"] * rows)
    for table, width in _TABLES.items()
    for rows in _STEPS
}
_SEQUENCE_BLOCK: Final = 1_000
"""Numbers reserved with one write; a restart skips what is left of them."""


class _Mark(msgspec.Struct, frozen=True):
    """Where a part of a transaction began."""

    published: int
    adopting: int
    sequences: dict[str, list[int]]


class Transaction(BaseTransaction):
    """Reused for one transaction after the other by the writer's thread."""

    blobs: Blobs
    flag_log: FlagLog

    def __init__(self, db: Connection, folder: SegmentFolder, interest: Interest, settings: Settings) -> None:
        super().__init__(db, interest, settings)
        self.db = db
        self.folder = folder
        self.segments = SegmentWriter(folder)
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
        self._sequences: dict[str, list[int]] = {}
        self.blobs = Blobs(self)
        self.flag_log = FlagLog(db)
        self._mark = (0, 0)
        self._log_undone = False
        """The log of flags must be read again before the next transaction."""
        self.wal_octets = 0
        """Size of the write-ahead log after the latest commit."""
        db.set_wal_hook(self._note_wal)

    def _note_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_octets = pages * PAGE_SIZE
        return apsw.SQLITE_OK

    # --- the course of a transaction -----------------------------------------------------------------

    def begin(self) -> None:
        """Start. Nothing may be left over from the one before."""
        self.now = int(self.settings.now())
        self._mark = self.segments.mark
        if self._log_undone:
            self.flag_log.reload()
            self._log_undone = False
        self.db.execute("BEGIN IMMEDIATE")

    def start_submission(self) -> None:
        """The next operations are another commit's: contents are shared within one commit only."""
        self.blobs.start_submission()

    def commit(self) -> list[changes.Change]:
        """Make everything durable: message bytes first, then the rows. What to publish."""
        self.flush()
        self._save_states()
        self.segments.sync()
        for number, size in self.segments.grown().items():
            self.db.execute(
                "INSERT INTO segment VALUES (?, ?, 0, 0) ON CONFLICT (segment) DO UPDATE SET size = excluded.size",
                (number, size),
            )
        self.db.execute("COMMIT")
        self.segments.committed()
        self.folder.adopted.update(self.blobs.adopting)
        published = self.published
        published.extend(self._account_changes())
        self._reset()
        return published

    def rollback(self) -> None:
        """Undo everything: in memory first, which cannot fail, so that nothing of it is told or counted later."""
        self.forget_states()
        self._sequences.clear()
        self._reset()
        self._log_undone = True
        self.segments.undo(*self._mark)
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def savepoint(self) -> _Mark:
        """Begin a part that can be undone by itself."""
        self.flush()
        self._save_states()
        self._earlier.update(self._touched)
        self._touched = {}
        self.db.execute("SAVEPOINT submission")
        sequences = {name: list(block) for name, block in self._sequences.items()}
        return _Mark(len(self.published), len(self.blobs.adopting), sequences)

    def undo_to(self, mark: _Mark) -> None:
        """Undo what was done since the savepoint."""
        for rows in self._rows.values():
            rows.clear()
        self.blobs.reset()
        self.db.execute("ROLLBACK TO submission")
        self.db.execute("RELEASE submission")
        self.flag_log.reload()
        for account_id in self._touched.keys() & self._earlier.keys():
            self._reload(account_id)
        self.forget_states()
        del self.published[mark.published :]
        del self.blobs.adopting[mark.adopting :]
        self._once.clear()  # what was told only there may be told again
        self._appended.clear()
        self._sequences = mark.sequences

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self.flush()
        self._save_states()
        self.db.execute("RELEASE submission")

    def _reload(self, account_id: int) -> None:
        """Read an account again that an undone part and an earlier one of this transaction have changed."""
        state = load_account(self.db, account_id)
        if state is None:
            self._earlier.pop(account_id)
            return
        state.changed.update(state.mailboxes)
        state.gone.extend(self._earlier[account_id].gone)
        state.subscriptions_changed = state.keywords_changed = state.kinds_changed = True
        self._earlier[account_id] = state

    def _reset(self) -> None:
        self.reset_memory()
        self.blobs.reset()
        self.blobs.adopting.clear()
        for rows in self._rows.values():
            rows.clear()

    def close(self) -> None:
        """Let go of all files."""
        self.folder.closed = True
        self.segments.close()
        self.db.close()

    # --- statements ----------------------------------------------------------------------------------

    def row_count(self) -> int:
        """Rows that the latest statement changed."""
        return int(self.db.changes())

    def add_row(self, table: str, row: tuple[Any, ...]) -> None:
        """Gather a new row."""
        self.writes += 1
        self._rows[table].append(row)

    def flush(self) -> None:
        """Write the gathered rows (before statements that do not go through this object)."""
        for table, rows in self._rows.items():
            if rows:
                self._insert(table, rows)
                rows.clear()
        for blob_id, count in self.blobs.take_new_owners():
            self.db.execute(
                "INSERT INTO blob_share VALUES (?1, 1 + ?2)"
                " ON CONFLICT (blob_id) DO UPDATE SET owners = owners + ?2",
                (blob_id, count),
            )

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        start = 0
        for step in _STEPS:
            while len(rows) - start >= step:
                some = rows[start : start + step]
                self.db.execute(_INSERTS[table, step], tuple(chain.from_iterable(some)))
                start += step

    def take_numbers(self, sequence: str, count: int = 1) -> int:
        """The first of `count` new, consecutive numbers, above all given out before."""
        block = self._sequences.get(sequence)
        if block is None:
            found = self.db.rows("SELECT ceiling FROM sequence WHERE name = ?", (sequence,))
            block = self._sequences[sequence] = [found[0][0] if found else 1] * 2
        first = block[0]
        block[0] += count
        if block[0] > block[1]:
            block[1] = block[0] + _SEQUENCE_BLOCK
            self.db.execute("INSERT OR REPLACE INTO sequence VALUES (?, ?)", (sequence, block[1]))
            self.writes += 1
        return first

    # --- flags -----------------------------------------------------------------------------------------

    def log_flags(
        self, account_id: int, mailbox_id: int, modseq: int, changed: Ranges, keep: int, bits: int
    ) -> bool:
        """Make a change of many flags durable as a rule; the placements follow in a quiet moment (`flag_log.py`)."""
        if not self.flag_log.takes(changed):
            return False
        self.writes += 1
        self.flag_log.note((account_id, mailbox_id), modseq, changed, keep, bits)
        self.publish_once(changes.FlagsLogged())
        return True

    def settle_flags(self, account_id: int, mailbox_id: int, first: int, last: int) -> None:
        """Bring the placements up to what is logged about these UIDs."""
        if self.flag_log:
            self.writes += 1
            self.flag_log.settle((account_id, mailbox_id), first, last)

    # --- SQLite's own SQL ------------------------------------------------------------------------------

    uid_list = "json_group_array(uid)"
    locking = ""

    def uids_of(self, found: Any) -> list[int]:
        """The ascending UIDs of a `uid_list`."""
        uids = decode_integers(found)
        uids.sort()  # they come in order already unless the planner has changed its mind: then nearly free
        return uids

    def discard_emails(self, account_id: int, email_ids: Collection[int]) -> None:
        """Leave emails to the sweeper."""
        self.execute("INSERT INTO garbage_email SELECT value FROM carray(?)", (members(email_ids),))

    def emails_copied(self, account_id: int, first: int, count: int) -> None:
        """Emails with consecutive numbers were made that share the blobs of others."""
        self.execute(
            "INSERT INTO blob_share SELECT blob_id, 1 + count(*) FROM email"
            " WHERE email_id BETWEEN ? AND ? GROUP BY blob_id"
            " ON CONFLICT (blob_id) DO UPDATE SET owners = owners + excluded.owners - 1",
            (first, first + count - 1),
        )

    unleased = "token = 0"

    def destinations_changed(self, destinations: Collection[str]) -> None:
        """Bring the destinations' earliest times up to date and tell the queue's watchers."""
        for destination in destinations:
            ((rows, due_at),) = self.query(
                "SELECT EXISTS (SELECT 1 FROM queued_recipient WHERE destination = ?1),"
                " (SELECT due_at FROM queued_recipient WHERE destination = ?1 AND due_at IS NOT NULL"
                "  ORDER BY due_at LIMIT 1)",
                (destination,),
            )
            if rows:
                self.execute("INSERT OR REPLACE INTO queue_destination VALUES (?, ?)", (destination, due_at))
            else:
                self.execute("DELETE FROM queue_destination WHERE destination = ?", (destination,))
        self.publish_once(changes.QueueChanged())

    def remove_queued(self, queue_id: int) -> None:
        """A queued message has no recipients any more."""
        gone = self.execute("DELETE FROM queued WHERE queue_id = ? RETURNING blob_id", (queue_id,))
        self.blobs.disown(0, [blob_id for (blob_id,) in gone])

    # --- accounts and mailboxes ------------------------------------------------------------------------

    def load_state(self, account_id: int) -> AccountState | None:
        """Read an account whole; None when there is none."""
        return load_account(self.db, account_id)

    def write_state(self, state: AccountState) -> None:
        """Write an account's and its mailboxes' rows (a move)."""
        state.row_due = True
        for mailbox in state.mailboxes.values():
            mailbox.row_due = True
        state.changed.update(state.mailboxes)
        self._touched[state.account_id] = state
        self._save_states()
        state.changed.clear()
        self._touched.clear()

    def _save_states(self) -> None:
        for account in self._touched.values():
            for mailbox_id in account.changed:
                mailbox = account.mailboxes.get(mailbox_id)
                if mailbox is not None and mailbox.row_due:
                    self._save_mailbox(account, mailbox)
            if account.row_due:
                account.row_due = False
                self.db.execute(
                    "INSERT OR REPLACE INTO account_state VALUES (?, ?, ?)",
                    (account.account_id, account.modseq, account.uid_validity),
                )

    def _save_mailbox(self, account: AccountState, mailbox: MailboxState) -> None:
        mailbox.row_due = False
        mailbox.unsaved = 0
        self.db.execute(
            "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account.account_id,
                mailbox.mailbox_id,
                mailbox.name,
                mailbox.role.value if mailbox.role else None,
                mailbox.uid_validity,
                mailbox.uid_next,
                mailbox.highest_modseq,
                mailbox.total,
                mailbox.unseen,
                mailbox.deleted,
                mailbox.size,
                mailbox.created_modseq,
                mailbox.changed_modseq,
                mailbox.sort_order,
            ),
        )
