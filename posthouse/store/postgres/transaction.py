"""One transaction of a node's writer: which accounts it locks, how what operations change becomes rows.

Other nodes write the same accounts. The row lock on `account_state` orders all changes of an account: a batch locks
the accounts it names, in ascending order, with one statement, before it looks at them. An account that this node had
in memory is read again only when its mod-sequence has moved meanwhile, for every change moves it. Rows are gathered
and written with one statement for each table of a batch, over arrays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import asyncpg

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.memory import changes
from posthouse.store.postgres.blobs import Blobs
from posthouse.store.postgres.connection import Connection, TransactionLost
from posthouse.store.sql.state import AccountState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sql.transaction import Transaction as BaseTransaction

log = logging.getLogger("posthouse.store")

_B, _T, _O, _F = "bigint", "text", "bytea", "double precision"
_COLUMNS: Final = {
    "blob": (_B, _B, _B, _O, _T, _O),
    "email": (_B, _B, _B, _B, _B, _O),
    "new_email": (_B, _B),
    "placement": (_B,) * 10,
    "event": (_T, _B, _F, _T, _T, _T),
    "verdict": (_B, _B, _T, _O),
}
"""Tables whose new rows are gathered, with the types of their columns."""


def _unnested(types: Sequence[str]) -> str:
    return "SELECT * FROM unnest(" + ", ".join(f"${i}::{t}[]" for i, t in enumerate(types, 1)) + ")"


_INSERTS: Final = {table: f"INSERT INTO {table} {_unnested(types)}" for table, types in _COLUMNS.items()}
_LOCK: Final = (
    "SELECT account_id, modseq FROM account_state WHERE account_id = ANY($1::bigint[])"
    " ORDER BY account_id FOR UPDATE"
)
_SAVE_STATES: Final = (
    f"INSERT INTO account_state (account_id, modseq, uid_validity) {_unnested((_B,) * 3)}"
    " ON CONFLICT (account_id) DO UPDATE SET modseq = excluded.modseq, uid_validity = excluded.uid_validity"
)
_SAVE_MAILBOXES: Final = (
    f"INSERT INTO mailbox {_unnested((_B, _B, _T, _T, *(_B,) * 10))}"
    " ON CONFLICT (account_id, mailbox_id) DO UPDATE SET name = excluded.name, role = excluded.role,"
    " uid_validity = excluded.uid_validity, uid_next = excluded.uid_next,"
    " highest_modseq = excluded.highest_modseq, total = excluded.total,"
    " unseen = excluded.unseen, deleted = excluded.deleted, size = excluded.size,"
    " changed_modseq = excluded.changed_modseq, sort_order = excluded.sort_order"
)
_BLOCKS: Final = {"email": 1000, "blob": 1000, "event": 1000, "queue": 100, "lease": 100, "mailbox": 20}
"""Numbers taken at once, where many are needed: a node keeps what is left, and a restart skips it."""
_TAKE: Final = (
    "INSERT INTO sequence VALUES ($1, 1 + $2) ON CONFLICT (name) DO UPDATE"
    " SET ceiling = sequence.ceiling + $2 RETURNING ceiling - $2"
)

_MARK: Final = (
    "INSERT INTO commit_mark VALUES ($1, $2, $3)"
    " ON CONFLICT (node) DO UPDATE SET number = excluded.number, at = excluded.at"
)
_MARKED: Final = "SELECT number FROM commit_mark WHERE node = $1 FOR UPDATE"


class Transaction(BaseTransaction):
    """Reused for one transaction after the other by the writer's thread."""

    blobs: Blobs
    describes_all = True

    def __init__(
        self, db: Connection, numbers_db: Connection, interest: Interest, settings: Settings, node: str
    ) -> None:
        super().__init__(db, interest, settings)
        self.node = node
        """Our name among the nodes: leases are held by it."""
        self.clock_ahead = 0.0
        """Seconds that the database's clock is ahead of ours."""
        self.db = db
        self._numbers_db = numbers_db
        self.blobs = Blobs(self)
        self.commit_failed = False
        """Whether the latest transaction got as far as its commit: then it is not tried again."""
        self._mark = 0
        """Number of our latest commit; what became of it can be asked later."""
        self._locked: set[int] = set()
        self._numbers: dict[str, tuple[int, int]] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}

    # --- the course of a transaction -----------------------------------------------------------------

    def begin(self) -> None:
        """Start. Nothing may be left over from the one before."""
        self.now = int(self.settings.now())
        self.commit_failed = False
        self.db.begin(bounded=True)

    def lock(self, account_ids: Iterable[int]) -> None:
        """Take the row locks of accounts, and forget what others have changed meanwhile."""
        wanted = sorted(set(account_ids) - self._locked)
        if not wanted:
            return
        present = dict(self.db.fetch(_LOCK, wanted))
        self._locked.update(wanted)
        for account_id in wanted:
            known = self._accounts.get(account_id)
            if known is not None and known.modseq != present.get(account_id):
                del self._accounts[account_id]

    def start_submission(self) -> None:
        """The next operations are another commit's: contents are shared within one commit only."""
        self.blobs.start_submission()

    def commit(self) -> list[changes.Change]:
        """Make everything durable. What to publish."""
        self.flush()
        self._save_states()
        if self.writes_rows:
            self._mark += 1
            self.db.fetch(_MARK, self.node, self._mark, self.now)
        try:
            self.db.commit()
        except TransactionLost:
            self.commit_failed = True
            self.db.rollback()
            if not self._became_durable():
                raise
        return self.committed()

    def _became_durable(self) -> bool:
        """Whether a commit whose answer was lost was carried out nevertheless. False also when nobody can say.

        The transaction has changed our row in `commit_mark`: as long as it is under way somewhere, the lock on that row
        makes us wait. (PostgreSQL's own transaction numbers would not do: after a crash they are given out again.)
        """
        if not self.writes_rows:
            return False
        self._accounts.clear()
        deadline = time.monotonic() + limits.DATABASE_RESOLVE
        while time.monotonic() < deadline:
            try:
                rows = self.db.fetch(_MARKED, self.node)
            except (StoreUnavailable, asyncpg.PostgresError):
                time.sleep(limits.DATABASE_RETRY / 5)
                continue
            return bool(rows) and rows[0][0] == self._mark
        log.error("it is not known whether commit %d was carried out: its senders will try again", self._mark)
        return False

    @property
    def writes_rows(self) -> bool:
        """Whether the transaction has changed anything."""
        return self.writes > self._writes_before

    def committed(self) -> list[changes.Change]:
        """It is known to be durable: what to publish."""
        published = self.published
        published.extend(self._account_changes())
        self._reset()
        return published

    def rollback(self) -> None:
        """Undo everything, in the database and in memory."""
        self.db.rollback()
        self.forget_states()
        self._reset()

    def savepoint(self) -> int:
        """Begin a part that can be undone by itself."""
        self.flush()
        self._save_states()
        self._earlier.update(self._touched)
        self._touched = {}
        self.db.script("SAVEPOINT submission")
        return len(self.published)

    def undo_to(self, mark: int) -> None:
        """Undo what was done since the savepoint."""
        for rows in self._rows.values():
            rows.clear()
        self.blobs.reset()
        self.db.script("ROLLBACK TO submission; RELEASE submission")
        for account_id in self._touched.keys() & self._earlier.keys():
            self._reload(account_id)
        self.forget_states()
        del self.published[mark:]
        self._appended.clear()
        self._once.clear()

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self.flush()
        self._save_states()
        self.db.script("RELEASE submission")

    def _reload(self, account_id: int) -> None:
        """Read an account again that an undone part and an earlier one of this transaction have changed."""
        state = self.load_state(account_id)
        if state is None:
            self._earlier.pop(account_id)
            return
        state.changed.update(state.mailboxes)
        state.gone.extend(self._earlier[account_id].gone)
        state.subscriptions_changed = state.keywords_changed = state.kinds_changed = True
        self._earlier[account_id] = state

    def _reset(self) -> None:
        self.reset_memory()
        self._locked.clear()
        self._writes_before = self.writes
        self.blobs.reset()
        for rows in self._rows.values():
            rows.clear()

    _writes_before = 0

    def forget_everything(self) -> None:
        """What became of a transaction is not known: nothing in memory can be believed."""
        self._accounts.clear()

    def close(self) -> None:
        """Let go of the connections."""
        self.db.close()
        self._numbers_db.close()

    # --- statements ----------------------------------------------------------------------------------

    def fetch(self, statement: str, *bindings: Any) -> list[Any]:
        """Run a statement with `$1` that may change something; its records."""
        self.flush()
        self.writes += 1
        return self.db.fetch(statement, *bindings)

    def add_row(self, table: str, row: tuple[Any, ...]) -> None:
        """Gather a new row."""
        self.writes += 1
        if table == "email":  # the number stands in front in the embedded engine, the account here
            email_id, account_id, *rest = row
            self._rows["new_email"].append((account_id, email_id))
            row = (account_id, email_id, *rest)
        elif table == "event":
            event_id, trace_id, *rest = row
            row = (trace_id, event_id, *rest)
        self._rows[table].append(row)

    def flush(self) -> None:
        """Write the gathered rows."""
        for table, rows in self._rows.items():
            if rows:
                self.db.fetch(_INSERTS[table], *map(list, zip(*rows, strict=True)))
                rows.clear()
        self.blobs.write_owners()

    def take_numbers(self, sequence: str, count: int = 1) -> int:
        """The first of `count` new, consecutive numbers that nobody was ever given."""
        first, end = self._numbers.get(sequence, (1, 1))
        if end - first < count:
            block = max(count, _BLOCKS.get(sequence, 1))
            # In a transaction of its own, so that no other node waits for ours to end.
            ((first,),) = self._numbers_db.fetch(_TAKE, sequence, block)
            end = first + block
        self._numbers[sequence] = (first + count, end)
        return int(first)

    # --- PostgreSQL's own SQL --------------------------------------------------------------------------

    uid_list = "array_agg(uid ORDER BY uid)"
    locking = " FOR UPDATE"
    unleased = "token = 0, holder = ''"

    def uids_of(self, found: Any) -> list[int]:
        """The ascending UIDs of a `uid_list`."""
        return list(found or ())

    def discard_emails(self, account_id: int, email_ids: Collection[int]) -> None:
        """Leave emails to the sweeper."""
        self.fetch(
            "INSERT INTO garbage_email (account_id, email_id) SELECT $1, unnest($2::bigint[])"
            " ON CONFLICT DO NOTHING",
            account_id,
            list(email_ids),
        )

    def emails_copied(self, account_id: int, first: int, count: int) -> None:
        """Emails with consecutive numbers were made that share the blobs of others."""
        copies = (account_id, first, first + count - 1)
        self.execute(
            "INSERT INTO blob_share (account_id, blob_id, owners)"
            " SELECT account_id, blob_id, 1 + count(*) FROM email"
            " WHERE account_id = ? AND email_id BETWEEN ? AND ? GROUP BY account_id, blob_id"
            " ON CONFLICT (account_id, blob_id)"
            " DO UPDATE SET owners = blob_share.owners + excluded.owners - 1",
            copies,
        )
        self.execute(
            "INSERT INTO new_email (account_id, email_id) SELECT account_id, email_id FROM email"
            " WHERE account_id = ? AND email_id BETWEEN ? AND ?",
            copies,
        )

    def destinations_changed(self, destinations: Collection[str]) -> None:
        """Tell the queue's watchers, here and on other nodes."""
        self.publish_once(changes.QueueChanged())

    def remove_queued(self, queue_id: int) -> None:
        """A queued message has no recipients any more."""
        gone = self.execute(
            "DELETE FROM queued WHERE queue_id = ? RETURNING blob_account, blob_id", (queue_id,)
        )
        self.blobs.disown_pairs([(owner, blob_id) for owner, blob_id in gone])

    # --- accounts and mailboxes ------------------------------------------------------------------------

    def load_state(self, account_id: int) -> AccountState | None:
        """Read an account whole, its row locked; None when there is none."""
        if account_id not in self._locked:
            self.lock([account_id])
        return load_account(self.db, account_id)

    def account(self, account_id: int) -> AccountState:
        """An account's state, locked. NotFound."""
        if account_id not in self._locked:
            self.lock([account_id])
        return super().account(account_id)

    def write_state(self, state: AccountState) -> None:
        """Write an account's and its mailboxes' rows (a move)."""
        state.changed.update(state.mailboxes)
        self._touched[state.account_id] = state
        self.writes += 1
        self._save_states()
        state.changed.clear()
        self._touched.clear()

    def _save_states(self) -> None:
        mailboxes = []
        states = []
        for account in sorted(self._touched.values(), key=lambda each: each.account_id):
            account.row_due = False
            states.append((account.account_id, account.modseq, account.uid_validity))
            for mailbox_id in sorted(account.changed):
                mailbox = account.mailboxes.get(mailbox_id)
                if mailbox is None:
                    continue
                mailbox.row_due = False
                mailbox.unsaved = 0
                mailboxes.append(
                    (account.account_id, mailbox_id, mailbox.name, mailbox.role.value if mailbox.role else None,
                     mailbox.uid_validity, mailbox.uid_next, mailbox.highest_modseq, mailbox.total,
                     mailbox.unseen, mailbox.deleted, mailbox.size, mailbox.created_modseq,
                     mailbox.changed_modseq, mailbox.sort_order)
                )  # fmt: skip
        if mailboxes:
            self.db.fetch(_SAVE_MAILBOXES, *map(list, zip(*mailboxes, strict=True)))
        if states:
            self.db.fetch(_SAVE_STATES, *map(list, zip(*states, strict=True)))
