"""Operations and reads of `store.retention`, within a writer's transaction or a reader's connection."""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.errors import Conflict, StoreUnavailable
from posthouse.store.model import FLAGGED
from posthouse.store.retention import (
    DAY,
    KEPT_ROLES,
    Aging,
    Defaults,
    OldRemoved,
    RemoveOld,
    SetRetention,
    days_of,
)
from posthouse.store.sql.database import Database
from posthouse.store.sql.placements import Selection, leave
from posthouse.store.sql.transaction import Transaction

_KEY: Final = "account_id = ? AND mailbox_id = ?"


def put(tx: Transaction, op: SetRetention) -> None:
    """SetRetention."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if op.days and mailbox.role in KEPT_ROLES:
        raise Conflict("This mailbox keeps its mail.")
    if op.days is not None and not 0 <= op.days <= limits.RETENTION_DAYS:
        raise Conflict(f"Mail can be kept for 1 to {limits.RETENTION_DAYS} days, or for good (0).")
    if op.days == mailbox.kept_days:
        return
    if not tx.has_retention:
        raise StoreUnavailable("This waits until all nodes have been upgraded.")
    forget(tx, op.account_id, op.mailbox_id)
    if op.days is not None:
        tx.execute("INSERT INTO retention VALUES (?, ?, ?)", (op.account_id, op.mailbox_id, op.days))
    mailbox.kept_days = op.days
    mailbox.changed_modseq = tx.bump_mailbox(account, mailbox)


def forget(tx: Transaction, account_id: int, mailbox_id: int) -> None:
    """What was said of a mailbox holds no more."""
    if tx.has_retention:
        tx.execute(f"DELETE FROM retention WHERE {_KEY}", (account_id, mailbox_id))


def remove_old(tx: Transaction, op: RemoveOld) -> OldRemoved:
    """RemoveOld. Days and flags are looked at in the transaction that removes: nobody changes them between."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    key = (op.account_id, op.mailbox_id)
    days = days_of(mailbox.kept_days, mailbox.role, op.defaults)
    if not days:
        return OldRemoved(messages=0, done_to=0)
    before = tx.now - days * DAY
    found = tx.query(
        f"SELECT uid FROM placement WHERE {_KEY} AND uid > ? AND saved_at <= ? ORDER BY uid LIMIT ?",
        (*key, op.after, before, limits.PIECE_ROWS),
    )
    if not found:
        return OldRemoved(messages=0, done_to=0)
    (first,), (last,) = found[0], found[-1]
    tx.settle_flags(*key, first, last)
    old = Selection(
        f"{_KEY} AND uid BETWEEN ? AND ? AND saved_at <= ? AND flags & ? = 0",
        (*key, first, last, before, FLAGGED),
        first,
        last,
    )
    gone = leave(tx, account, mailbox, old, keep_emails=False)
    return OldRemoved(messages=len(gone), done_to=last if len(found) == limits.PIECE_ROWS else 0)


# --- reading ----------------------------------------------------------------------------------------------

_AGING: Final = """
SELECT a.account_id, a.mailbox_id,
       (SELECT 1 FROM placement p WHERE p.account_id = a.account_id AND p.mailbox_id = a.mailbox_id
           AND p.saved_at <= ? - a.days * ? AND p.flags & ? = 0 LIMIT 1)
  FROM (SELECT m.account_id, m.mailbox_id,
               CASE WHEN r.days IS NOT NULL THEN r.days
                    WHEN m.role = 'trash' THEN CAST(? AS BIGINT)
                    WHEN m.role = 'junk' THEN CAST(? AS BIGINT) ELSE 0 END AS days
          FROM mailbox m {join} retention r ON r.account_id = m.account_id AND r.mailbox_id = m.mailbox_id
         WHERE m.account_id > ? OR m.account_id = ? AND m.mailbox_id > ?) AS a
 WHERE a.days > 0 ORDER BY a.account_id, a.mailbox_id LIMIT ?
"""
"""That one message is asked for in a subquery keeps PostgreSQL from reading all placements to join them."""
_CHOSEN: Final = _AGING.format(join="JOIN")
_CHOSEN_OR_BY_DEFAULT: Final = _AGING.format(join="LEFT JOIN")


def aging(db: Database, now: int, defaults: Defaults, after: tuple[int, int]) -> list[Aging]:
    """As `Store.aging`. What is logged about flags shows a moment later; `RemoveOld` looks again."""
    if not db.has_retention:
        return []
    rows = db.rows(
        _CHOSEN_OR_BY_DEFAULT if defaults.trash or defaults.junk else _CHOSEN,
        (
            *(now, DAY, FLAGGED, defaults.trash, defaults.junk),
            *(after[0], *after, limits.RETENTION_LOOKED_AT),
        ),
    )
    return [
        Aging(account_id=account_id, mailbox_id=mailbox_id, has_old=old is not None)
        for account_id, mailbox_id, old in rows
    ]


def old_messages(db: Database, account_id: int, mailbox_id: int, before: int) -> int:
    """As `Store.old_messages`. What is logged about flags counts a moment later."""
    ((count,),) = db.rows(
        f"SELECT COUNT(*) FROM placement WHERE {_KEY} AND saved_at <= ? AND flags & ? = 0",
        (account_id, mailbox_id, before, FLAGGED),
    )
    return int(count)
