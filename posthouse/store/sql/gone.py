"""The history of what is gone: emails and mailboxes that were destroyed, for clients that return (RFC 8620 §5.2).

The latest HISTORY_ROWS changes of an account are kept; `history` tells from where on they are complete.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse import limits
from posthouse.store.sql.state import AccountState
from posthouse.store.sql.transaction import Transaction

GoneEmail = tuple[int, int, int]
"""Email, its created_modseq, its thread or 0."""


def note_emails(tx: Transaction, account_id: int, modseq: int, emails: Sequence[GoneEmail]) -> None:
    """These emails left their last mailbox with a mod-sequence."""
    if not emails:
        return
    text = msgspec.json.encode(emails).decode()
    tx.execute("INSERT INTO email_gone VALUES (?, ?, ?, ?)", (account_id, modseq, emails[0][0], text))
    if modseq % limits.HISTORY_LOOK == 0:
        _prune(tx, account_id)


def note_mailbox(tx: Transaction, account: AccountState, mailbox_id: int, created_modseq: int) -> None:
    """A mailbox was deleted."""
    tx.execute(
        "INSERT INTO mailbox_gone VALUES (?, ?, ?, ?)",
        (account.account_id, account.modseq, mailbox_id, created_modseq),
    )


def _prune(tx: Transaction, account_id: int) -> None:
    rows = tx.query(
        "SELECT modseq FROM email_gone WHERE account_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (account_id, limits.HISTORY_ROWS),
    )
    if not rows:
        return
    end_history(tx, account_id, rows[0][0])


def end_history(tx: Transaction, account_id: int, oldest: int) -> None:
    """Forget what changed up to a mod-sequence."""
    for table in ("email_gone", "mailbox_gone", "item_gone", "passage"):
        tx.execute(f"DELETE FROM {table} WHERE account_id = ? AND modseq <= ?", (account_id, oldest))
    tx.execute(
        "INSERT INTO history VALUES (?, ?) ON CONFLICT (account_id) DO UPDATE SET modseq ="
        " CASE WHEN history.modseq > excluded.modseq THEN history.modseq ELSE excluded.modseq END",
        (account_id, oldest),
    )
