"""Work behind everybody's back, by whichever node takes it: sweeping remains, keeping derived values.

Each piece is a transaction of the node's writer; rows are taken with `SKIP LOCKED`, so nodes never do the same twice
and never wait for each other. All of it may be cut off at any instant.
"""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.store.memory.changes import EmailsSwept
from posthouse.store.memory.engine import NewDerived
from posthouse.store.postgres import threads
from posthouse.store.postgres.term_sweep import note_removed, sweep_terms
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql import deleted, remains
from posthouse.store.sql.gone import note_emails
from posthouse.store.sql.placements import gone_emails

_DOOMED: Final = "SELECT * FROM doomed_mailbox LIMIT 1 FOR UPDATE SKIP LOCKED"
_GARBAGE: Final = (
    "SELECT account_id, email_id FROM garbage_email ORDER BY account_id, email_id LIMIT $1"
    " FOR UPDATE SKIP LOCKED"
)
_PAIRS: Final = "unnest($1::bigint[], $2::bigint[]) AS gone (a, e)"
_THESE: Final = "account_id = a AND email_id = e"


def sweep(tx: Transaction) -> bool:
    """Remove a batch of remains; whether there is more."""
    return _sweep_mailbox(tx) or _sweep_emails(tx) or sweep_terms(tx)


def _sweep_mailbox(tx: Transaction) -> bool:
    """Turn a piece of a deleted mailbox's messages into remains of emails."""
    rows = tx.fetch(_DOOMED)
    if not rows:
        return False
    account_id, mailbox_id, modseq, *name = rows[0]  # a schema that waits has no name yet
    name = "".join(name)
    key = (account_id, mailbox_id)
    if mailbox_id == remains.ACCOUNT:
        if not remains.sweep(tx, account_id):
            tx.execute("DELETE FROM doomed_mailbox WHERE account_id = ? AND mailbox_id = ?", key)
        return True
    some = (
        "account_id = ? AND mailbox_id = ? AND uid IN (SELECT uid FROM placement"
        " WHERE account_id = ? AND mailbox_id = ? ORDER BY uid LIMIT ?)"
    )
    bindings = (*key, *key, limits.PIECE_ROWS)
    if modseq:
        tx.lock([account_id])
        note_emails(tx, account_id, modseq, gone_emails(tx, account_id, some, bindings))
    if name:
        deleted.keep_deleted(tx, name, some, bindings)
    gone = tx.execute(f"DELETE FROM placement WHERE {some} RETURNING email_id", bindings)
    if not name:
        tx.discard_emails(account_id, [row[0] for row in gone])
    if len(gone) < limits.PIECE_ROWS:
        for table in ("mailbox_change", "mailbox_snapshot", "flag_log", "doomed_mailbox"):
            tx.execute(f"DELETE FROM {table} WHERE account_id = ? AND mailbox_id = ?", key)
    return True


def _sweep_emails(tx: Transaction) -> bool:
    rows = tx.fetch(_GARBAGE, limits.SWEEP_BATCH)
    if not rows:
        return False
    accounts, emails = map(list, zip(*rows, strict=True))
    lost = tx.fetch(
        f"DELETE FROM email USING {_PAIRS} WHERE {_THESE} RETURNING account_id, blob_id", accounts, emails
    )
    tx.blobs.disown_pairs([(account_id, blob_id) for account_id, blob_id in lost])
    for table in (
        "derived",
        "email_thread",
        "email_origin",
        "verdict",
        "lesson",
        "new_email",
        "garbage_email",
    ):
        tx.fetch(f"DELETE FROM {table} USING {_PAIRS} WHERE {_THESE}", accounts, emails)
    unindexed = f"DELETE FROM search_document USING {_PAIRS} WHERE {_THESE} RETURNING account_id"
    note_removed(tx, [row[0] for row in tx.fetch(unindexed, accounts, emails)])
    for account_id in set(accounts):
        swept = [email_id for owner, email_id in rows if owner == account_id]
        tx.publish(EmailsSwept(account_id, swept))
    return True


# --- derived values and the index ------------------------------------------------------------------------

_KEEP: Final = (
    "INSERT INTO derived SELECT n.a, n.e, n.s, n.p, n.v, n.b, n.o FROM unnest($1::bigint[], $2::bigint[],"
    " $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[]) AS n (a, e, s, p, v, b, o)"
    " JOIN email ON account_id = n.a AND email_id = n.e ON CONFLICT DO NOTHING RETURNING account_id, email_id"
)


def keep_derived(tx: Transaction, computed: list[NewDerived]) -> None:
    """Write derived values of emails that are still there."""
    rows = [
        (new.account_id, new.email_id, new.derived.sent_at, new.derived.preview.replace("\0", ""),
         new.derived.envelope, new.derived.body_structure, new.derived.parts)
        for new in computed
    ]  # fmt: skip
    if not rows:
        return
    tx.lock(new.account_id for new in computed)  # threads of an account are decided one after the other
    kept = {(row[0], row[1]) for row in tx.fetch(_KEEP, *map(list, zip(*rows, strict=True)))}
    threads.assign(
        tx,
        {
            (new.account_id, new.email_id): new.derived.thread_keys
            for new in computed
            if (new.account_id, new.email_id) in kept
        },
    )
