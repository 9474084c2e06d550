"""New placements as others hear of them: read back in order of their UIDs and published with the commit."""

from __future__ import annotations

from typing import Final

from posthouse.store.model import RECEIVED_MAX
from posthouse.store.sql.state import AccountState, MailboxState
from posthouse.store.sql.transaction import Transaction

_RECEIVED: Final = (
    f"CASE WHEN received_at < 0 THEN 0 WHEN received_at > {RECEIVED_MAX} THEN {RECEIVED_MAX}"
    " ELSE received_at END"
)
_ARRIVED: Final = ("uid", "flags", "email_id", "size", _RECEIVED)


def publish_arrivals(
    tx: Transaction, account: AccountState, target: MailboxState, first: int, modseq: int
) -> list[int]:
    """Publish the messages of a mailbox from UID `first` on; their emails."""
    rows = tx.new_rows(account.account_id, target, modseq)
    uids, flags, email_ids, sizes, received = tx.integers(
        _ARRIVED,
        "FROM (SELECT * FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid >= ? ORDER BY uid)"
        " AS arrived",
        (account.account_id, target.mailbox_id, first),
    )
    rows.uids.extend(uids)
    rows.flags.extend(flags)
    rows.modseqs.extend([modseq] * len(uids))
    rows.email_ids.extend(email_ids)
    rows.sizes.extend(sizes)
    rows.received.extend(received)
    return list(email_ids)
