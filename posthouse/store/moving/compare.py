"""What both sides ask of an account in the shared SQL."""

from __future__ import annotations

from typing import Final

from posthouse.store.moving.tables import Fingerprint, Totals
from posthouse.store.sql.database import Database
from posthouse.store.sql.state import load_account, load_mailboxes

_COUNTED: Final = (
    ("email_thread", "CAST(coalesce(sum(email_id), 0) AS BIGINT)"),
    ("upload", "CAST(coalesce(max(upload_id), 0) AS BIGINT)"),
    ("transferred", "0"),
)
"""What may change without a mod-sequence. Threads come and go, uploads too, but always with a higher number."""
_LIVING: Final = "account_id = ?1 AND mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE account_id = ?1)"
"""What a deleted mailbox held may be swept on one side already."""


def fingerprint(db: Database, account_id: int) -> Fingerprint | None:
    """Equal as long as an account's mail is the same."""
    state = load_account(db, account_id)
    if state is None:
        return None
    counted: list[int] = []
    for table, numbers in _COUNTED:
        counted += db.rows(f"SELECT count(*), {numbers} FROM {table} WHERE account_id = ?", (account_id,))[0]
    return Fingerprint(state.modseq, tuple(counted))


def totals(db: Database, account_id: int, placement: str = "placement") -> Totals:
    """What is compared of an account's mail. `placement`: the table, or what shows it as it is."""
    mailboxes = sorted(
        (each.mailbox_id, each.name, each.role, each.uid_validity, each.uid_next, each.highest_modseq,
         each.total, each.unseen, each.deleted, each.size, each.created_modseq, each.changed_modseq,
         each.sort_order, each.kept_days)
        for each in load_mailboxes(db, account_id)
    )  # fmt: skip
    (placements,) = db.rows(
        "SELECT count(*), CAST(coalesce(sum(uid), 0) AS BIGINT), CAST(coalesce(sum(modseq), 0) AS BIGINT),"
        " CAST(coalesce(sum(flags), 0) AS BIGINT), CAST(coalesce(sum(email_id), 0) AS BIGINT)"
        f" FROM {placement} AS placed WHERE {_LIVING}",
        (account_id,),
    )
    (emails,) = db.rows(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), CAST(coalesce(sum(received_at), 0) AS BIGINT)"
        " FROM (SELECT DISTINCT e.email_id, e.size, e.received_at FROM"
        f" (SELECT account_id, email_id FROM placement WHERE {_LIVING}) AS p"
        " JOIN email e ON e.email_id = p.email_id AND e.account_id = p.account_id) AS mine",
        (account_id,),
    )
    ((threads,),) = db.rows("SELECT count(*) FROM email_thread WHERE account_id = ?", (account_id,))
    return Totals(tuple(mailboxes), placements, emails, threads)
