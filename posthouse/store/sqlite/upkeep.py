"""The engine's own work behind everybody's back: copying the log, sweeping remains, packing snapshots, deriving.

Each is a small function of the writer's transaction (run only when no commit waits) or a thread of its own. All of
it may be cut off at any instant: what is not done yet is found again at the next start.
"""

from __future__ import annotations

import logging
import threading
import time
from enum import Enum
from pathlib import Path
from typing import Final

import apsw

from posthouse import limits
from posthouse.store.memory.changes import EmailsSwept
from posthouse.store.memory.engine import NewDerived
from posthouse.store.sql import deleted, remains, threads
from posthouse.store.sql.gone import note_emails
from posthouse.store.sql.placements import gone_emails
from posthouse.store.sqlite.connection import BUSY_MS, PAGE_SIZE, Connection, connect, members
from posthouse.store.sqlite.space import SpaceReserve
from posthouse.store.sqlite.transaction import Transaction

log = logging.getLogger("posthouse.store")


# --- copying the write-ahead log into the database --------------------------------------------------------


PATIENCE_MS: Final = 50
"""How long the writer waits for readers of old pages: meanwhile nobody's commit goes on."""
BUSY_SECONDS: Final = 1.0
"""After readers were in the writer's way, before it tries again, or after a quarter of WAL_OCTETS more: a backup reads
for minutes."""
PATIENCE: Final = 4
"""Times WAL_OCTETS_FORCED at which the writer copies the log whether the thread has caught up or not."""


class Anew(Enum):
    """How it went to begin the log anew."""

    DONE = "done"
    BUSY = "busy"
    """A reader still needs old pages."""
    FULL = "full"
    """The disk has no room for what is to be copied."""


class Checkpointer:
    """A thread that copies the log whenever WAL_OCTETS more of it have come.

    SQLite begins the log anew by itself once all is copied and nobody is writing. Under load without a pause that
    never happens, so above WAL_OCTETS_FORCED the thread catches up once more and then the writer takes the last,
    short step itself, between two transactions. So it does when the thread is late and the disk has hardly more room
    than what is not copied yet: a log that no longer fits into the file could never be begun anew. Where a reader is
    in the way of that, new mail is refused until it is done: what goes into the log meanwhile must still fit.
    """

    def __init__(self, path: Path, space: SpaceReserve) -> None:
        self._path = path
        self._space = space
        self._wake = threading.Event()
        self._stopping = False
        self._size = 0
        self._log = 0
        """Which log it is: one more each time that it begins anew."""
        self._copied = (0, 0)
        """The log that the thread has copied from, and octets of it."""
        self._caught_up = False
        self._busy = (0, 0.0)
        """Not tried again below this size and before this time."""
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Blocks."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def look(self, tx: Transaction) -> None:
        """In the writer's thread, after each transaction: is there enough to copy?"""
        size = tx.wal_octets
        if size < self._size:
            self._log += 1
            self._caught_up = False
        self._size = size
        which, copied = self._copied
        uncopied = size - (copied if which == self._log else 0)
        late = size >= limits.WAL_OCTETS_FORCED * (1 if self._caught_up else PATIENCE)
        late = late or (not tx.may_grow and size >= limits.WAL_OCTETS // 4)
        tight = uncopied >= limits.SPACE_RESERVE // 2 and not self._space.has_room_for(uncopied)
        busy = size < self._busy[0] and time.monotonic() < self._busy[1]
        if (late or tight) and not busy:
            tight = self._begin_anew(tx) is not Anew.DONE and tight
        elif uncopied >= limits.WAL_OCTETS:
            self._wake.set()
        if tight and not self._space.awaited:
            log.warning("the disk is nearly full and a reader holds the log: new mail is refused meanwhile")
        self._space.awaited = tight

    def _begin_anew(self, tx: Transaction) -> Anew:
        self._caught_up = False
        done = begin_log_anew(tx)
        if done is Anew.FULL and self._space.release():
            done = begin_log_anew(tx)
        if done is Anew.DONE:
            self._log += 1
            self._size = tx.wal_octets = 0
            self._busy = (0, 0.0)
        elif done is Anew.BUSY:
            self._busy = (self._size + limits.WAL_OCTETS // 4, time.monotonic() + BUSY_SECONDS)
        return done

    def wake(self) -> None:
        """Copy now, whatever there is (so that the file can shrink)."""
        self._wake.set()

    def _run(self) -> None:
        db = connect(self._path)
        while True:
            self._wake.wait()
            if self._stopping:
                break
            self._wake.clear()
            try:
                self._copy(db)
            except apsw.FullError:
                # Before the log takes what space is left: it would have to be copied to become free again.
                if self._space.release():
                    self._wake.set()
            except apsw.Error as fault:
                log.warning("the log could not be copied into the database: %s", fault)
        db.close()

    def _copy(self, db: Connection) -> None:
        which = self._log
        _, copied = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._copied = (which, copied * PAGE_SIZE)
        self._caught_up = True


def begin_log_anew(tx: Transaction, patience_ms: int = PATIENCE_MS) -> Anew:
    """In the writer's thread: copy what is left of the log, to use its space again; on a full disk for anything."""
    tx.db.set_busy_timeout(patience_ms)
    mode = apsw.SQLITE_CHECKPOINT_RESTART if tx.may_grow else apsw.SQLITE_CHECKPOINT_TRUNCATE
    try:
        tx.db.wal_checkpoint(mode=mode)
    except apsw.Error as fault:  # a reader was in the way, or the disk: the next time, then
        log.info("the log goes on growing for now: %s", fault)
        return Anew.FULL if isinstance(fault, apsw.FullError) else Anew.BUSY
    finally:
        tx.db.set_busy_timeout(BUSY_MS)
    return Anew.DONE


# --- sweeping what deleted messages left behind -----------------------------------------------------------


def sweep(tx: Transaction) -> bool:
    """Remove a batch of remains; whether there is more."""
    return _sweep_mailbox(tx) or _make_room(tx) or _sweep_emails(tx)


def _make_room(tx: Transaction) -> bool:
    """On a full disk what could still be brought back is the first to go."""
    if tx.may_grow:
        return False
    found = tx.query("SELECT account_id FROM deleted_email LIMIT 1")
    return bool(found) and deleted.discard_some(tx, found[0][0], _rows_at_once(tx)) > 0


def _sweep_mailbox(tx: Transaction) -> bool:
    """Turn a piece of a deleted mailbox's messages into remains of emails."""
    rows = tx.query("SELECT account_id, mailbox_id, modseq, name FROM doomed_mailbox LIMIT 1")
    if not rows:
        return False
    key, (modseq, name) = rows[0][:2], rows[0][2:]
    if key[1] == remains.ACCOUNT:
        if not remains.sweep(tx, key[0]):
            tx.execute("DELETE FROM doomed_mailbox WHERE account_id = ? AND mailbox_id = ?", key)
        return True
    some = (
        "account_id = ? AND mailbox_id = ? AND uid IN (SELECT uid FROM placement"
        " WHERE account_id = ? AND mailbox_id = ? ORDER BY uid LIMIT ?)"
    )
    bindings = (*key, *key, limits.PIECE_ROWS)
    if modseq:
        note_emails(tx, key[0], modseq, gone_emails(tx, key[0], some, bindings))
    if name and tx.may_grow:
        deleted.keep_deleted(tx, name, some, bindings)
    else:  # emails of a removed account may be in several of its mailboxes
        tx.execute(
            f"INSERT OR IGNORE INTO garbage_email SELECT email_id FROM placement WHERE {some}", bindings
        )
    tx.execute(f"DELETE FROM placement WHERE {some}", bindings)
    if tx.row_count() < limits.PIECE_ROWS:
        for table in ("mailbox_change", "mailbox_snapshot", "doomed_mailbox"):
            tx.execute(f"DELETE FROM {table} WHERE account_id = ? AND mailbox_id = ?", key)
    return True


def _rows_at_once(tx: Transaction) -> int:
    """On a full disk little at a time: deleting, too, goes through the log."""
    return limits.SWEEP_BATCH if tx.may_grow else limits.SWEEP_BATCH // 16 + 1


def _sweep_emails(tx: Transaction) -> bool:
    rows = tx.query(
        "SELECT g.email_id, e.account_id, e.blob_id FROM garbage_email g LEFT JOIN email e USING (email_id)"
        " ORDER BY g.email_id LIMIT ?",
        (_rows_at_once(tx),),
    )
    if not rows:
        return False
    tx.blobs.disown(0, [blob_id for _, _, blob_id in rows if blob_id is not None])
    email_ids = members(email_id for email_id, _, _ in rows)
    for account_id in {account_id for _, account_id, _ in rows if account_id is not None}:
        swept = [email_id for email_id, owner, _ in rows if owner == account_id]
        tx.publish(EmailsSwept(account_id, swept))
        mine = members(swept)
        for table in ("derived", "email_thread", "email_origin", "verdict", "lesson"):
            tx.execute(
                f"DELETE FROM {table} WHERE account_id = ? AND email_id IN (SELECT value FROM carray(?))",
                (account_id, mine),
            )
    tx.execute("DELETE FROM email WHERE email_id IN (SELECT value FROM carray(?))", (email_ids,))
    tx.execute("DELETE FROM garbage_email WHERE email_id IN (SELECT value FROM carray(?))", (email_ids,))
    return True


# --- giving space back --------------------------------------------------------------------------------------


def give_back(tx: Transaction) -> bool:
    """Let the database file shrink by a piece when much of it is free, or the disk is full; whether there is more."""
    ((free,),) = tx.query("PRAGMA freelist_count")
    ((pages,),) = tx.query("PRAGMA page_count")
    spare = 0 if not tx.may_grow else max(limits.FREE_OCTETS_KEPT // PAGE_SIZE, pages // 4)
    if free <= spare:
        return False
    tx.execute(f"PRAGMA incremental_vacuum({_rows_at_once(tx)})")
    return True


# --- keeping derived values -------------------------------------------------------------------------------


def keep_derived(tx: Transaction, computed: list[NewDerived], done_to: int = 0) -> None:
    """Write derived values of emails that are still there; `done_to`: all emails up to this one have theirs."""
    if not tx.may_grow:
        return
    if done_to:
        tx.execute("INSERT OR REPLACE INTO note VALUES ('derived_to', ?)", (done_to,))
    for new in computed:
        derived = new.derived
        tx.execute(
            "INSERT OR IGNORE INTO derived SELECT account_id, email_id, ?, ?, ?, ?, ? FROM email"
            " WHERE email_id = ? AND account_id = ?",
            (derived.sent_at, derived.preview, derived.envelope, derived.body_structure, derived.parts,
             new.email_id, new.account_id),
        )  # fmt: skip
        if tx.row_count():
            threads.assign(tx, new.account_id, new.email_id, derived.thread_keys)
