"""One transaction of a node's writer: which accounts it locks, how what operations change becomes rows.

Other nodes write the same accounts. The row lock on `account_state` orders all changes of an account: a batch locks
the accounts it names, in ascending order, with one statement, before it looks at them. An account that this node had
in memory is read again only when its mod-sequence has moved meanwhile, for every change moves it. Rows are gathered
and written with one statement for all tables of a batch, over arrays (`batch.py`).

New mail for accounts that are all in memory is lean: that one statement is the whole transaction. It goes by what
memory says and writes nothing when an account has moved (`Moved`); then the batch is run again with locks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

import asyncpg

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.memory import changes
from posthouse.store.postgres import batch
from posthouse.store.postgres.blobs import Blobs
from posthouse.store.postgres.connection import Connection, NotCarriedOut, TransactionLost
from posthouse.store.postgres.flag_log import FlagLog
from posthouse.store.postgres.numbers import Numbers
from posthouse.store.sql.state import AccountState, MailboxState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sql.transaction import Transaction as BaseTransaction

log = logging.getLogger("posthouse.store")

_LOCK: Final = (
    "SELECT account_id, modseq FROM account_state WHERE account_id = ANY($1::bigint[])"
    " ORDER BY account_id FOR UPDATE"
)
_MARKED: Final = "SELECT number, at FROM commit_mark WHERE node = $1 FOR UPDATE"
_CLAIM: Final = (
    "UPDATE commit_mark SET number = $2, at = 0 WHERE node = $1 AND number < $2 RETURNING number, at"
)


class Moved(Exception):
    """A lean batch rested on something that is not so, or needs more than rows: it is run again with locks."""


class Transaction(BaseTransaction):
    """Reused for one transaction after the other by the writer's thread."""

    blobs: Blobs
    flag_log: FlagLog
    describes_all = True

    def __init__(
        self,
        db: Connection,
        numbers_db: Connection,
        interest: Interest,
        settings: Settings,
        node: str,
        mark: str,
    ) -> None:
        super().__init__(db, interest, settings)
        self.node = node
        """Our name among the nodes: leases are held by it."""
        self._marked = mark
        """Whose row in `commit_mark` is this writer's."""
        self.clock_ahead = 0.0
        """Seconds that the database's clock is ahead of ours."""
        self.db = db
        self.blobs = Blobs(self)
        self.flag_log = FlagLog(self)
        self.commit_failed = False
        """Whether the latest transaction got as far as its commit: then it is not tried again."""
        self._mark = 0
        """Number of our latest commit; what became of it can be asked later."""
        self._locked: set[int] = set()
        self._numbers = Numbers(numbers_db)
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in batch.COLUMNS}
        self._rests_on: dict[int, int] | None = None
        """While a lean batch runs: its accounts with the mod-sequences that memory has."""

    # --- the course of a transaction -----------------------------------------------------------------

    def begin(self) -> None:
        """Start. Nothing may be left over from the one before."""
        self.now = int(self.settings.now())
        self.commit_failed = False
        self.db.begin(bounded=True)

    def begin_lean(self, account_ids: Iterable[int]) -> bool:
        """Start a transaction that is one statement, going by what memory says. False: it knows too little."""
        rests_on = {}
        if not self.db.joins:
            return False
        for account_id in account_ids:
            state = self._accounts.get(account_id)
            if state is None:
                return False
            rests_on[account_id] = state.modseq
        self.now = int(self.settings.now())
        self.commit_failed = False
        self._rests_on = rests_on
        self._locked.update(rests_on)
        return True

    def lock(self, account_ids: Iterable[int]) -> None:
        """Take the row locks of accounts, and forget what others have changed meanwhile."""
        wanted = sorted(set(account_ids) - self._locked)
        if not wanted:
            return
        self._must_not_be_lean()
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
        if self._rests_on is not None:
            return self._commit_lean(self._rests_on)
        self.blobs.write_owners()
        parts = self._gathered() + self._states()
        if self.writes_rows:
            self._mark += 1
            parts.append(batch.Part("commit_mark", [(self._marked, self._mark, self.now)]))
        self._write(parts)
        try:
            self.db.commit()
        except TransactionLost:
            self.commit_failed = True
            self.db.rollback()
            if not self._became_durable(_MARKED, self._marked):
                raise
        return self.committed()

    def _commit_lean(self, rests_on: dict[int, int]) -> list[changes.Change]:
        """All in one statement, which nobody can be sure of when its answer is lost: then it is asked for."""
        if self.blobs.shares:
            raise Moved
        self._mark += 1
        accounts = [(self._accounts[account_id], before) for account_id, before in rests_on.items()]
        ground = batch.Lean(self._marked, self._mark, self.now, *batch.counts_of(accounts))
        statement, bindings = batch.lean(self._gathered(), ground)
        try:
            self.db.fetch_once(statement, *bindings)
        except asyncpg.DivisionByZeroError as fault:
            raise Moved from fault
        except NotCarriedOut:
            raise
        except StoreUnavailable as fault:
            self.commit_failed = True  # unless it is known that it never will be carried out
            if not self._became_durable(_CLAIM, self._marked, self._mark):
                raise TransactionLost from fault
        return self.committed()

    def _became_durable(self, question: str, *bindings: Any) -> bool:
        """Whether a commit whose answer was lost was carried out nevertheless. False also when nobody can say.

        The transaction has changed our row in `commit_mark`: as long as it is under way somewhere, the lock on that row
        makes us wait. (PostgreSQL's own transaction numbers would not do: after a crash they are given out again.)
        A lean one may not have begun yet: the question takes its number away (`at` is 0), so that it never will.
        """
        if not self.writes_rows:
            return False
        self._accounts.clear()
        deadline = time.monotonic() + limits.DATABASE_RESOLVE
        while time.monotonic() < deadline:
            try:
                self.db.fetch(question, *bindings)
                rows = self.db.fetch(_MARKED, self._marked)
            except (StoreUnavailable, asyncpg.PostgresError):
                time.sleep(limits.DATABASE_RETRY / 5)
                continue
            durable = bool(rows) and rows[0][0] == self._mark and rows[0][1] > 0
            if question == _CLAIM and not durable:
                self.commit_failed = False
            return durable
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
        self.flag_log.committed(self._accounts)
        self._reset()
        return published

    def rollback(self) -> None:
        """Undo everything, in the database and in memory."""
        self.db.rollback()
        self.forget_states()
        self.flag_log.undone()
        self._reset()

    def savepoint(self) -> int:
        """Begin a part that can be undone by itself."""
        self.flush()
        self._write(self._states())
        self._earlier.update(self._touched)
        self._touched = {}
        self.db.script("SAVEPOINT submission")
        return len(self.published)

    def undo_to(self, mark: int) -> None:
        """Undo what was done since the savepoint."""
        for rows in self._rows.values():
            rows.clear()
        self.blobs.reset()
        self.flag_log.undone()
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
        self._write(self._states())
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
        self._rests_on = None
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
        self._numbers.close()

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
        self._must_not_be_lean()
        self._write(self._gathered())
        self.blobs.write_owners()

    def _must_not_be_lean(self) -> None:
        if self._rests_on is not None:
            raise Moved

    def _gathered(self) -> list[batch.Part]:
        return [batch.Part(table, rows) for table, rows in self._rows.items() if rows]

    def _write(self, parts: list[batch.Part]) -> None:
        together = [parts] if self.db.joins else [[part] for part in parts]
        for some in together:
            if some:
                statement, bindings = batch.written(some)
                self.db.fetch(statement, *bindings)
        for rows in self._rows.values():
            rows.clear()

    def take_numbers(self, sequence: str, count: int = 1) -> int:
        """The first of `count` new, consecutive numbers that nobody was ever given."""
        return self._numbers.take(sequence, count)

    def journal(self, account: AccountState, mailbox: MailboxState, uids: Ranges, *, vanished: bool) -> None:
        """Note a change for snapshots and returning clients."""
        row = (account.account_id, mailbox.mailbox_id, account.modseq, int(vanished), str(uids))
        self.add_row("mailbox_change", row)

    def log_flags(
        self, account_id: int, mailbox_id: int, modseq: int, changed: Ranges, keep: int, bits: int
    ) -> bool:
        """Make a change of many flags durable as a rule; the placements follow in a quiet moment (`flag_log.py`)."""
        return self.flag_log.note(self.account(account_id), mailbox_id, changed, (modseq, keep, bits))

    def settle_flags(self, account_id: int, mailbox_id: int, first: int, last: int) -> None:
        """Bring the placements up to what is logged about these UIDs."""
        self.flag_log.settle(self.account(account_id), mailbox_id, first, last)

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
        self.blobs.copied(account_id, first, first + count - 1)
        self.execute(
            "INSERT INTO new_email (account_id, email_id) SELECT account_id, email_id FROM email"
            " WHERE account_id = ? AND email_id BETWEEN ? AND ?",
            (account_id, first, first + count - 1),
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
        account = load_account(self.db, account_id)
        if account is not None:
            self.flag_log.load(account)
        return account

    def account(self, account_id: int) -> AccountState:
        """An account's state, locked. NotFound."""
        if account_id not in self._locked:
            self.lock([account_id])
        return super().account(account_id)

    def write_states(self, states: list[AccountState]) -> None:
        """Write accounts' and their mailboxes' rows (a move)."""
        for state in states:
            state.changed.update(state.mailboxes)
        self.writes += 1
        self._write(batch.states_of(states))
        for state in states:
            state.changed.clear()

    def _states(self) -> list[batch.Part]:
        return batch.states_of(self._touched.values())
