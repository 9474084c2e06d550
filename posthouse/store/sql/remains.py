"""What removed accounts leave behind in tables that may be long: swept a piece at a time, after the account is gone.

Numbers of accounts are never given again, so nobody sees these rows. A removed account stands in `doomed_mailbox` as
a mailbox with the number 0 until nothing of it is left; a crash in between changes nothing of that.
"""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.store.sql import deleted, uploads
from posthouse.store.sql.transaction import Transaction

ACCOUNT: Final = 0
"""The number of no mailbox: it stands for the account itself."""
_NARROW: Final = {
    "thread_key": "key",
    "transferred": "mark",
    "twin": "email_id, mailbox_id",
    "item_gone": "kind, modseq, item_id",
}
_WIDE: Final = {
    "item": "kind, item_id",
    "email_gone": "modseq, first",
    "passage": "modseq, mailbox_id, came",
}
"""Tables with what tells rows of one account apart."""
SWEPT: Final = (*_NARROW, *_WIDE, "deleted_email", "upload")
"""The tables."""


def sweep(tx: Transaction, account_id: int) -> bool:
    """Remove some rows of a removed account; False: there were none."""
    for tables, most in ((_NARROW, limits.PIECE_ROWS), (_WIDE, limits.SWEEP_BATCH)):
        for table, key in tables.items():
            gone = tx.execute(
                f"DELETE FROM {table} WHERE account_id = ?1 AND ({key}) IN"
                f" (SELECT {key} FROM {table} WHERE account_id = ?1 LIMIT ?2) RETURNING 1",
                (account_id, most),
            )
            if gone:
                return True
    if tx.remembers_deleted and deleted.discard_some(tx, account_id, limits.SWEEP_BATCH):
        return True
    return uploads.remove_some(tx, account_id, limits.SWEEP_BATCH)
