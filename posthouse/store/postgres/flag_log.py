"""Large flag changes as one small row, and the placements brought up to it in a quiet moment, by any node.

`STORE 1:* +FLAGS (\\Seen)` on 5,000 messages would rewrite 5,000 placements before `OK`. What is made durable instead
is one run of UIDs and one rule: `flags & keep | bits` for all UIDs from `first` to `last`.

Rows come and go under the account's row lock alone, and runs of a mailbox never overlap. Whoever looks at flags of
placements in a writer settles them first (`Transaction.settle_flags`); readers read the view `placed`, which has the
log on top, in one snapshot. A row that is written moves the account's mod-sequence, so a node whose memory of the
account is believed knows of it; one that is settled does not, so memory may name a mailbox that has none left.

Nodes of a program before schema 9 do not read the log: as long as one is alive nothing is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store.memory import changes
from posthouse.store.sql.state import AccountState
from posthouse.store.sql.transaction import LoggedFlags

if TYPE_CHECKING:
    from posthouse.store.postgres.transaction import Transaction

Key = tuple[int, int]
"""Account, mailbox."""

_LOGGED: Final = "SELECT DISTINCT mailbox_id FROM flag_log WHERE account_id = $1"
_TAKE: Final = (
    "WITH taken AS (DELETE FROM flag_log WHERE account_id = $1 AND mailbox_id = $2 AND first <= $4 AND last >= $3"
    " RETURNING first, last, modseq, keep, bits), there AS (SELECT count(*) AS before FROM flag_log"
    " WHERE account_id = $1 AND mailbox_id = $2) SELECT before, taken.* FROM there LEFT JOIN taken ON true"
)
"""How many there were, with each that goes."""
_ONLY: Final = (
    "SELECT first, last, keep, bits FROM flag_log"
    " WHERE account_id = $1 AND mailbox_id = $2 AND first <= $4 AND last >= $3 LIMIT 2"
)
_AGAIN: Final = (
    "UPDATE flag_log SET modseq = $4, keep = $5, bits = $6"
    " WHERE account_id = $1 AND mailbox_id = $2 AND first = $3"
)
_APPLY: Final = (
    "UPDATE placement SET flags = flags & $6 | $7, modseq = $5"
    " WHERE account_id = $1 AND mailbox_id = $2 AND uid BETWEEN $3 AND $4"
)
_OLDEST: Final = "SELECT account_id, mailbox_id, first FROM flag_log LIMIT 1"


class FlagLog:
    """What a writer's transaction does with the log."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._clean: set[Key] = set()
        """Mailboxes that this transaction has settled whole."""

    def load(self, account: AccountState) -> None:
        """Note which mailboxes of an account that was just read have something in the log."""
        account.logged = {row[0] for row in self._tx.db.fetch(_LOGGED, account.account_id)}

    def note(
        self, account: AccountState, mailbox_id: int, changed: Ranges, rule: tuple[int, int, int]
    ) -> bool:
        """Log a change (mod-sequence, keep, bits) of UIDs if it is worth it: many, in few runs; whether it was.

        What was logged about them must have been settled.
        """
        worth = len(changed) >= limits.FLAGS_LOGGED and changed.run_count() <= limits.FLAGS_LOGGED_RUNS
        if not worth or not self._tx.db.logs_flags:
            return False
        for first, last in changed.pairs():
            self._tx.add_row("flag_log", (account.account_id, mailbox_id, first, last, *rule))
        account.logged.add(mailbox_id)
        self._clean.discard((account.account_id, mailbox_id))
        self._tx.publish_once(changes.FlagsLogged())
        return True

    def only(self, key: Key, first: int, last: int) -> LoggedFlags | None:
        """What is logged about any UID from `first` to `last`, if that is one run that lies within."""
        logged = key[1] in self._tx.account(key[0]).logged and key not in self._clean
        if not logged or not self._tx.db.logs_flags:
            return None
        rows = self._tx.fetch(_ONLY, *key, first, last)
        if len(rows) != 1 or rows[0][0] < first or rows[0][1] > last:
            return None
        return LoggedFlags(*rows[0])

    def note_again(self, key: Key, modseq: int, new: LoggedFlags) -> None:
        """Put a changed rule in the place of the one about the same run."""
        self._tx.fetch(_AGAIN, *key, new.first, modseq, new.keep, new.bits)

    def settle(self, account: AccountState, mailbox_id: int, first: int, last: int) -> None:
        """Bring the placements of a mailbox up to what is logged about any UID from `first` to `last`."""
        key = (account.account_id, mailbox_id)
        if mailbox_id in account.logged and key not in self._clean and not self._settle(key, first, last):
            self._clean.add(key)

    def settle_one(self) -> bool:
        """Settle a logged run of whichever account; whether there was one."""
        rows = self._tx.db.fetch(_OLDEST)
        for account_id, mailbox_id, first in rows:
            self._tx.lock([account_id])
            self._settle((account_id, mailbox_id), first, first)
        return bool(rows)

    def _settle(self, key: Key, first: int, last: int) -> int:
        """How many runs of the mailbox are left."""
        rows = self._tx.fetch(_TAKE, *key, first, last)
        taken = [row for _, *row in rows if row[0] is not None]
        for start, end, modseq, keep, bits in taken:
            self._tx.fetch(_APPLY, *key, start, end, modseq, keep, bits)
        return int(rows[0][0]) - len(taken)

    def committed(self, accounts: dict[int, AccountState]) -> None:
        """What this transaction settled is so."""
        for account_id, mailbox_id in self._clean:
            if account_id in accounts:
                accounts[account_id].logged.discard(mailbox_id)
        self._clean.clear()

    def undone(self) -> None:
        """It is not."""
        self._clean.clear()
