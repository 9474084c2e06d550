"""Operations for imports and exports: UIDs that messages bring along, and what has been done already."""

from __future__ import annotations

from collections.abc import Sequence

from posthouse.store.care import KeepUids, NoteTransferred
from posthouse.store.memory.changes import MailboxGone
from posthouse.store.sql.database import Database
from posthouse.store.sql.messages import UID_MAX
from posthouse.store.sql.transaction import Transaction

_AT_ONCE = 500
"""Marks of one statement: engines bound how many bindings it may have."""


def keep_uids(tx: Transaction, op: KeepUids) -> bool:
    """KeepUids."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if mailbox.uid_validity != op.uid_validity:
        if mailbox.uid_next > 1 or not 0 < op.uid_validity <= UID_MAX:
            return False
        # RFC 9051 §2.3.1.1: nobody can have seen a message under the old one. The next mailbox gets a higher one.
        mailbox.uid_validity = op.uid_validity
        account.uid_validity = max(account.uid_validity, op.uid_validity)
        tx.bump_mailbox(account, mailbox)
        tx.publish(MailboxGone(op.account_id, op.mailbox_id))  # whoever has it open looks anew
    if mailbox.uid_next < op.uid_next < UID_MAX:
        mailbox.uid_next = op.uid_next
        tx.bump_mailbox(account, mailbox)
        tx.end_run()
    return True


def note(tx: Transaction, op: NoteTransferred) -> None:
    """NoteTransferred."""
    for mark in op.marks:
        tx.execute("INSERT INTO transferred VALUES (?, ?) ON CONFLICT DO NOTHING", (op.account_id, mark))


def read(db: Database, account_id: int, marks: Sequence[bytes]) -> frozenset[bytes]:
    """Which marks are known."""
    found: set[bytes] = set()
    for start in range(0, len(marks), _AT_ONCE):
        some = marks[start : start + _AT_ONCE]
        rows = db.rows(
            f"SELECT mark FROM transferred WHERE account_id = ? AND mark IN ({', '.join('?' * len(some))})",
            (account_id, *some),
        )
        found.update(bytes(mark) for (mark,) in rows)
    return frozenset(found)
