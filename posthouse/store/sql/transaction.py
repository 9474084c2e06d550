"""One transaction of a writer, as operations see it: statements, accounts in memory, numbers, what to tell afterwards.

Engines derive from it what is theirs: how rows are gathered and written, how accounts are loaded, how numbers are
given out. Whatever operation is written with `query` and `execute` in the SQL that SQLite and PostgreSQL share
(`?` and `?1` for bindings, `ON CONFLICT` instead of `REPLACE`, casts around sums) runs on both.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from posthouse import limits
from posthouse.errors import NotFound, StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.mailbox_index import NewRows
from posthouse.store.memory import changes
from posthouse.store.model import (
    Content,
)
from posthouse.store.sql.database import Database
from posthouse.store.sql.state import AccountState, MailboxState


class Interest(msgspec.Struct):
    """What the event loop has in memory, so that the writer describes only that. The set is read across threads."""

    accounts: set[int] = msgspec.field(default_factory=set)


class Settings(msgspec.Struct, kw_only=True):
    """What the writer is told; read in its thread, set in others."""

    default_quota: int = 0
    keep_deleted: bool = False
    """Whether mail that is deleted can be brought back for a time."""
    now: Callable[[], float] = time.time


class LoggedFlags(msgspec.Struct, frozen=True):
    """A flag change that placements do not show yet: the flags of all UIDs of a run become `flags & keep | bits`."""

    first: int
    last: int
    keep: int
    bits: int

    def then(self, keep: int, bits: int) -> LoggedFlags:
        """This change and another of the same run after it, as one."""
        return LoggedFlags(self.first, self.last, self.keep & keep, self.bits & keep | bits)


class FlagRules(Protocol):
    """What an engine's log of flag changes can, so that one change can follow another in it."""

    def only(self, key: tuple[int, int], first: int, last: int, /) -> LoggedFlags | None:
        """What is logged of a mailbox about any UID of a run, if that is one run that lies within."""
        ...

    def note_again(self, key: tuple[int, int], modseq: int, new: LoggedFlags, /) -> None:
        """Put a changed rule in the place of the one about the same run."""
        ...


class BlobOwners(Protocol):
    """Message bytes within a transaction: stored once for all who own them, removed with the last owner."""

    def of(self, account_id: int, content: Content, /) -> int:
        """The blob of a content, stored at its first use in this commit, with one owner more."""
        ...

    def own(self, account_id: int, blob_id: int, /) -> None:
        """One owner more."""
        ...

    def disown(self, account_id: int, blob_ids: Sequence[int], /) -> None:
        """One owner less for each time a blob is named; blobs without owners are removed."""
        ...


class Transaction(ABC):
    """Reused for one transaction after the other by the writer's thread."""

    blobs: BlobOwners
    flag_log: FlagRules
    describes_all = False
    """Whether changes of every account are published, also of those that are not in memory here."""

    def __init__(self, db: Database, interest: Interest, settings: Settings) -> None:
        self._database = db
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
        self._appended: dict[tuple[int, int], changes.Appended] = {}

    @property
    def remembers_deleted(self) -> bool:
        """Whether the schema has a place for mail that can be brought back."""
        return self._database.remembers_deleted

    @property
    def has_retention(self) -> bool:
        """Whether the schema has a place for what owners say of their mailboxes."""
        return self._database.has_retention

    # --- the course of a transaction -----------------------------------------------------------------

    @abstractmethod
    def begin(self) -> None:
        """Start. Nothing may be left over from the one before."""

    @abstractmethod
    def start_submission(self) -> None:
        """The next operations are another commit's: contents are shared within one commit only."""

    @abstractmethod
    def commit(self) -> list[changes.Change]:
        """Make everything durable. What to publish."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo everything, in the database and in memory."""

    @abstractmethod
    def savepoint(self) -> Any:
        """Begin a part that can be undone by itself; what `undo_to` needs."""

    @abstractmethod
    def undo_to(self, mark: Any) -> None:
        """Undo what was done since the savepoint."""

    @abstractmethod
    def release(self) -> None:
        """Keep what was done since the savepoint."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    def forget_states(self) -> None:
        """Drop the touched accounts' states; they are loaded again."""
        for account_id in (*self._touched, *self._earlier):
            self._accounts.pop(account_id, None)
        self._touched = {}

    def reset_memory(self) -> None:
        """After a commit or a rollback."""
        self.published = []
        self._touched = {}
        self._earlier = {}
        self._once.clear()
        self._appended.clear()
        while len(self._accounts) > limits.STATES_CACHED:
            self._accounts.popitem(last=False)

    # --- statements ----------------------------------------------------------------------------------

    def execute(self, statement: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that may change something; its rows (few)."""
        self.flush()
        self.writes += 1
        return self._database.rows(statement, bindings)

    def query(self, statement: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that only reads; its rows (few)."""
        self.flush()
        return self._database.rows(statement, bindings)

    @abstractmethod
    def add_row(self, table: str, row: tuple[Any, ...]) -> None:
        """Gather a new row."""

    @abstractmethod
    def flush(self) -> None:
        """Write the gathered rows."""

    @abstractmethod
    def take_numbers(self, sequence: str, count: int = 1) -> int:
        """The first of `count` new, consecutive numbers, above all given out before."""

    def settle_flags(self, account_id: int, mailbox_id: int, first: int, last: int) -> None:  # noqa: B027
        """Before flags of placements from UID `first` to `last` are looked at: an engine that logs them does it."""

    def log_flags(
        self, account_id: int, mailbox_id: int, modseq: int, changed: Ranges, keep: int, bits: int
    ) -> bool:
        """Whether the engine made a flag change durable in a way of its own; else the placements are rewritten."""
        return False

    def logged_flags(self, account_id: int, mailbox_id: int, first: int, last: int) -> LoggedFlags | None:
        """What is logged about any UID from `first` to `last`, if that is one run that lies within; else None."""
        return self.flag_log.only((account_id, mailbox_id), first, last)

    def log_flags_again(self, account_id: int, mailbox_id: int, modseq: int, changed: LoggedFlags) -> None:
        """Put a changed rule in the place of the one that is logged about the same run."""
        self.writes += 1
        self.flag_log.note_again((account_id, mailbox_id), modseq, changed)

    # --- where the engines' SQL differs ----------------------------------------------------------------

    uid_list: str
    """An expression: the UIDs of all rows as one value, which `uids_of` reads."""
    locking: str
    """Stands behind a SELECT whose rows are about to be changed."""

    @abstractmethod
    def uids_of(self, found: Any) -> list[int]:
        """The ascending UIDs of a `uid_list`."""

    def among(self, column: str, numbers: Collection[int]) -> tuple[str, Any]:
        """A condition (column is one of the numbers) and its one binding."""
        return self._database.among(column, numbers)

    def integers(self, wanted: Sequence[str], source: str, bindings: Sequence[Any]) -> list[list[int]]:
        """Expressions that give integers, each as a list; `source` is everything from FROM on."""
        self.flush()
        return self._database.integers(wanted, source, bindings)

    @abstractmethod
    def discard_emails(self, account_id: int, email_ids: Collection[int]) -> None:
        """Leave emails to the sweeper."""

    @abstractmethod
    def emails_copied(self, account_id: int, first: int, count: int) -> None:
        """Emails with consecutive numbers were made that share the blobs of others."""

    unleased: str
    """What an UPDATE sets to take a lease from a queued recipient."""

    @abstractmethod
    def destinations_changed(self, destinations: Collection[str]) -> None:
        """Recipients of these destinations have come, gone, or become due at another time."""

    @abstractmethod
    def remove_queued(self, queue_id: int) -> None:
        """A queued message has no recipients any more."""

    @abstractmethod
    def load_state(self, account_id: int) -> AccountState | None:
        """Read an account whole; None when there is none."""

    # --- accounts and mailboxes ------------------------------------------------------------------------

    def account(self, account_id: int) -> AccountState:
        """An account's state. NotFound."""
        state = self._accounts.get(account_id)
        if state is None:
            self.flush()
            state = self.load_state(account_id)
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

    def bump_kind(self, account: AccountState, kind: str) -> int:
        """A new mod-sequence for a change of an item."""
        modseq = self.bump(account)
        account.kinds[kind] = modseq
        account.kinds_changed = True
        self.execute(
            "INSERT INTO item_state VALUES (?, ?, ?)"
            " ON CONFLICT (account_id, kind) DO UPDATE SET modseq = excluded.modseq",
            (account.account_id, kind, modseq),
        )
        return modseq

    def bump_mailbox(self, account: AccountState, mailbox: MailboxState) -> int:
        """A new mod-sequence for a change of a mailbox that is more than new mail."""
        modseq = self.bump(account)
        mailbox.highest_modseq = account.mail_modseq = modseq
        mailbox.row_due = True
        account.changed.add(mailbox.mailbox_id)
        return modseq

    def bump_for_new_mail(self, account: AccountState, mailbox: MailboxState) -> int:
        """A new mod-sequence for one new message; the rows can wait (see state.py)."""
        self.writes += 1
        account.modseq += 1
        mailbox.highest_modseq = account.mail_modseq = account.modseq
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

    def _account_changes(self) -> Iterable[changes.AccountChanged]:
        # Looked at after the commit: whoever asks for the account from now on reads it with this commit in it.
        for account in {**self._earlier, **self._touched}.values():
            if self.describes_all or account.account_id in self.interest.accounts:
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
                    account.mail_modseq,
                    dict(account.kinds) if account.kinds_changed else None,
                    after=account.told,
                )
            account.told = account.modseq
            account.changed.clear()
            account.gone.clear()
            account.subscriptions_changed = account.keywords_changed = account.kinds_changed = False

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

    def end_run(self) -> None:
        """The next new message does not follow the one before: they are published apart."""
        self._appended.clear()

    def new_rows(self, account_id: int, mailbox: MailboxState, modseq: int) -> NewRows:
        """Where to put a new message of a mailbox; runs of them are published together."""
        key = (account_id, mailbox.mailbox_id)
        found = self._appended.get(key)
        before = mailbox.tell(modseq)
        if found is None:
            found = self._appended[key] = changes.Appended(*key, modseq, NewRows(), before)
            self.published.append(found)
        found.modseq = modseq
        return found.rows

    def journal(self, account: AccountState, mailbox: MailboxState, uids: Ranges, *, vanished: bool) -> None:
        """Note a change for snapshots and returning clients."""
        self.execute(
            "INSERT INTO mailbox_change VALUES (?, ?, ?, ?, ?)",
            (account.account_id, mailbox.mailbox_id, account.modseq, vanished, str(uids)),
        )
