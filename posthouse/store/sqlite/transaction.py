"""One transaction of the writer: what operations change through it, and how that becomes rows.

Rows of new mail are gathered and written many at a time (each statement costs a turn of the interpreter lock);
any other statement writes the gathered ones first, so operations always see their own work. Counts live in
`state.py` and are written once, at the end. Nothing is told to anybody before `commit` has returned.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final

import apsw
import msgspec

from posthouse import limits
from posthouse.errors import NotFound, StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.mailbox_index import NewRows
from posthouse.store.sqlite import changes
from posthouse.store.sqlite.blobs import Blobs
from posthouse.store.sqlite.connection import PAGE_SIZE, Connection
from posthouse.store.sqlite.segments import SegmentFolder, SegmentWriter
from posthouse.store.sqlite.state import AccountState, MailboxState, load_account

_TABLES: Final = {"blob": 7, "email": 6, "placement": 10, "event": 6}
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


class Interest(msgspec.Struct):
    """What the event loop has in memory, so that the writer describes only that. The set is read across threads."""

    accounts: set[int] = msgspec.field(default_factory=set)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer is told at the start."""

    default_quota: int = 0
    now: Callable[[], float] = time.time


class Transaction:
    """Reused for one transaction after the other by the writer's thread."""

    def __init__(self, db: Connection, folder: SegmentFolder, interest: Interest, settings: Settings) -> None:
        self.db = db
        self.folder = folder
        self.segments = SegmentWriter(folder)
        self.interest = interest
        self.settings = settings
        self.now = 0
        self.may_grow = True
        """False when the disk is full: only operations that free or change things may go on."""
        self.may_cut = False
        """Whether a long operation may hand back the rest of its work."""
        self.writes = 0
        """Grows with every change, so that a refusal without side effects can be told from one with."""
        self.published: list[changes.Change] = []
        self._accounts: OrderedDict[int, AccountState] = OrderedDict()
        self._touched: dict[int, AccountState] = {}
        self._earlier: dict[int, AccountState] = {}
        """Accounts touched before the latest savepoint."""
        self._once: set[type[changes.Change]] = set()
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
        self._sequences: dict[str, list[int]] = {}
        self.blobs = Blobs(self)
        self._appended: dict[tuple[int, int], changes.Appended] = {}
        self._mark = (0, 0)
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
        self.db.execute("BEGIN IMMEDIATE")

    def start_submission(self) -> None:
        """The next operations are another commit's: contents are shared within one commit only."""
        self.blobs.start_submission()

    def commit(self) -> list[changes.Change]:
        """Make everything durable: message bytes first, then the rows. What to publish."""
        self._flush()
        self._save_states()
        self.segments.sync()
        for number, size in self.segments.grown().items():
            self.db.execute(
                "INSERT INTO segment VALUES (?, ?, 0, 0) ON CONFLICT (segment) DO UPDATE SET size = excluded.size",
                (number, size),
            )
        self.db.execute("COMMIT")
        self.segments.committed()
        published = self.published
        published.extend(self._account_changes())
        self._reset()
        return published

    def rollback(self) -> None:
        """Undo everything, in the database, the segments and memory."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        self.segments.undo(*self._mark)
        self.forget_states()
        self._sequences.clear()
        self._reset()

    def forget_states(self) -> None:
        """Drop the touched accounts' states; they are loaded again."""
        for account_id in (*self._touched, *self._earlier):
            self._accounts.pop(account_id, None)
        self._touched = {}

    def savepoint(self) -> tuple[int, dict[str, list[int]]]:
        """Begin a part that can be undone by itself."""
        self._flush()
        self._save_states()
        self._earlier.update(self._touched)
        self._touched = {}
        self.db.execute("SAVEPOINT submission")
        return len(self.published), {name: list(block) for name, block in self._sequences.items()}

    def undo_to(self, mark: tuple[int, dict[str, list[int]]]) -> None:
        """Undo what was done since the savepoint."""
        for rows in self._rows.values():
            rows.clear()
        self.blobs.reset()
        self.db.execute("ROLLBACK TO submission")
        self.db.execute("RELEASE submission")
        for account_id in self._touched.keys() & self._earlier.keys():
            self._reload(account_id)
        self.forget_states()
        del self.published[mark[0] :]
        self._appended.clear()
        self._sequences = mark[1]

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self._flush()
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
        state.subscriptions_changed = state.keywords_changed = True
        self._earlier[account_id] = state

    def _reset(self) -> None:
        self.published = []
        self._touched = {}
        self._earlier = {}
        self._once.clear()
        self._appended.clear()
        self.blobs.reset()
        for rows in self._rows.values():
            rows.clear()
        while len(self._accounts) > limits.STATES_CACHED:
            self._accounts.popitem(last=False)

    # --- statements ----------------------------------------------------------------------------------

    def execute(self, statement: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that may change something; its rows (few)."""
        self._flush()
        self.writes += 1
        return self.db.rows(statement, bindings)

    def query(self, statement: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that only reads; its rows (few)."""
        self._flush()
        return self.db.rows(statement, bindings)

    def row_count(self) -> int:
        """Rows that the latest statement changed."""
        return int(self.db.changes())

    def add_row(self, table: str, row: tuple[Any, ...]) -> None:
        """Gather a new row."""
        self.writes += 1
        self._rows[table].append(row)

    def flush(self) -> None:
        """Write the gathered rows (before statements that do not go through this object)."""
        self._flush()

    def _flush(self) -> None:
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

    # --- accounts and mailboxes ------------------------------------------------------------------------

    def account(self, account_id: int) -> AccountState:
        """An account's state. NotFound."""
        state = self._accounts.get(account_id)
        if state is None:
            self._flush()
            state = load_account(self.db, account_id)
            if state is None:
                raise NotFound("There is no such account.")
            self._accounts[account_id] = state
        elif len(self._accounts) > limits.STATES_CACHED // 2:
            self._accounts.move_to_end(account_id)
        return state

    def mailbox(self, account_id: int, mailbox_id: int) -> tuple[AccountState, MailboxState]:
        """A mailbox with its account. NotFound."""
        account = self.account(account_id)
        mailbox = account.mailboxes.get(mailbox_id)
        if mailbox is None:
            raise NotFound("There is no such mailbox.")
        return account, mailbox

    def bump(self, account: AccountState) -> int:
        """A new mod-sequence for a change of the account that is more than new mail."""
        self.writes += 1
        account.modseq += 1
        account.row_due = True
        self._touched[account.account_id] = account
        return account.modseq

    def bump_mailbox(self, account: AccountState, mailbox: MailboxState) -> int:
        """A new mod-sequence for a change of a mailbox that is more than new mail."""
        modseq = self.bump(account)
        mailbox.highest_modseq = modseq
        mailbox.row_due = True
        account.changed.add(mailbox.mailbox_id)
        return modseq

    def bump_for_new_mail(self, account: AccountState, mailbox: MailboxState) -> int:
        """A new mod-sequence for one new message; the rows can wait (see state.py)."""
        self.writes += 1
        account.modseq += 1
        mailbox.highest_modseq = account.modseq
        mailbox.unsaved += 1
        if mailbox.unsaved >= limits.UNSAVED_ADDS:
            mailbox.row_due = True
        account.changed.add(mailbox.mailbox_id)
        self._touched[account.account_id] = account
        return account.modseq

    def forget_account(self, account_id: int) -> None:
        """The account was removed, or its row changed."""
        self.writes += 1
        self._accounts.pop(account_id, None)
        self._touched.pop(account_id, None)

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
            "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            ),
        )

    def _account_changes(self) -> Iterable[changes.AccountChanged]:
        # Looked at after the commit: whoever asks for the account from now on reads it with this commit in it.
        for account in {**self._earlier, **self._touched}.values():
            if account.account_id in self.interest.accounts:
                yield changes.AccountChanged(
                    account.account_id,
                    account.modseq,
                    tuple(
                        account.mailbox_value(account.mailboxes[mailbox_id])
                        for mailbox_id in account.changed
                        if mailbox_id in account.mailboxes
                    ),
                    tuple(account.gone),
                    account.octets,
                    account.messages,
                    account.subscriptions if account.subscriptions_changed else None,
                    account.keywords if account.keywords_changed else None,
                )
            account.changed.clear()
            account.gone.clear()
            account.subscriptions_changed = account.keywords_changed = False

    def refuse_growth(self) -> None:
        """Raise StoreUnavailable while the disk is full. Operations that add something call it first."""
        if not self.may_grow:
            raise StoreUnavailable("There is no space left for new mail at the moment.")

    # --- telling others --------------------------------------------------------------------------------

    def publish(self, change: changes.Change) -> None:
        """Tell it after the commit, behind what was published before."""
        self._appended.clear()
        self.published.append(change)

    def publish_once(self, change: changes.Change) -> None:
        """As `publish`, for a kind of change without details; the second is left out."""
        if type(change) not in self._once:
            self._once.add(type(change))
            self.published.append(change)

    def new_rows(self, account_id: int, mailbox_id: int, modseq: int) -> NewRows:
        """Where to put a new message of a mailbox; runs of them are published together."""
        found = self._appended.get((account_id, mailbox_id))
        if found is None:
            found = changes.Appended(account_id, mailbox_id, modseq, NewRows())
            self._appended[account_id, mailbox_id] = found
            self.published.append(found)
        found.modseq = modseq
        return found.rows

    def journal(self, account: AccountState, mailbox: MailboxState, uids: Ranges, *, vanished: bool) -> None:
        """Note a change for snapshots and returning clients."""
        self.execute(
            "INSERT INTO mailbox_change VALUES (?, ?, ?, ?, ?)",
            (account.account_id, mailbox.mailbox_id, account.modseq, vanished, str(uids)),
        )
