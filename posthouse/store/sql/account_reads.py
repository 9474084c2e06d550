"""Reading what changed in an account, its threads, items and uploads. All in a reader's thread.

`email_changes` reads placements and the history of what is gone in one snapshot, so an email that moves meanwhile is
seen exactly once. A mailbox whose row says that nothing older changed is looked at from its first uncounted UID.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

import msgspec

from posthouse import limits
from posthouse.store.account_model import EmailChange, Item, ItemChange, MailboxGone, Upload
from posthouse.store.model import (
    Stored,
)
from posthouse.store.sql.database import Database

_CHANGED: Final = """
FROM (SELECT p.email_id, p.created_modseq, p.modseq FROM mailbox m JOIN placement p
        ON p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id
       WHERE m.account_id = ?1 AND m.highest_modseq > ?2 AND p.modseq > ?2
       UNION ALL
      SELECT p.email_id, p.created_modseq, p.modseq FROM mailbox m JOIN placement p
        ON p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id AND p.uid >= m.uid_next
       WHERE m.account_id = ?1 AND m.highest_modseq <= ?2 AND p.modseq > ?2
       UNION ALL
      SELECT p.email_id, p.created_modseq, l.modseq FROM mailbox m
        JOIN flag_log l ON l.account_id = m.account_id AND l.mailbox_id = m.mailbox_id
        JOIN placement p ON p.account_id = l.account_id AND p.mailbox_id = l.mailbox_id
                        AND p.uid BETWEEN l.first AND l.last
       WHERE m.account_id = ?1 AND l.modseq > ?2) AS changed
"""
"""In placements, in those that came after their mailbox's row was written, and in the log of flag changes."""
_DOOMED: Final = """
SELECT p.email_id, p.created_modseq, d.modseq, coalesce(t.thread_id, 0) FROM doomed_mailbox d
  JOIN placement p ON p.account_id = d.account_id AND p.mailbox_id = d.mailbox_id
  LEFT JOIN email_thread t ON t.account_id = p.account_id AND t.email_id = p.email_id
 WHERE d.account_id = ? AND d.modseq > ?
"""
_decode_gone = msgspec.json.Decoder(list[tuple[int, int, int]]).decode


def _reaches(db: Database, account_id: int, since: int) -> bool:
    """Whether the history is complete after a mod-sequence."""
    rows = db.rows("SELECT modseq FROM history WHERE account_id = ?", (account_id,))
    return not rows or since >= rows[0][0]


def email_changes(db: Database, account_id: int, since: int) -> list[EmailChange] | None:
    """As `Store.email_changes`."""
    with db.snapshot():
        if not _reaches(db, account_id, since):
            return None
        wanted = ("email_id", "created_modseq", "modseq")
        living = zip(*db.integers(wanted, _CHANGED, (account_id, since)), strict=True)
        gone = db.rows(
            "SELECT modseq, emails FROM email_gone WHERE account_id = ? AND modseq > ?", (account_id, since)
        )
        doomed = db.rows(_DOOMED, (account_id, since))
    found: dict[int, EmailChange] = {}
    for email_id, created, modseq in living:
        before = found.get(email_id)
        if before is None or before.modseq < modseq:
            found[email_id] = EmailChange(email_id=email_id, created_modseq=created, modseq=modseq)
    lost = [(*each, modseq) for modseq, text in gone for each in _decode_gone(text)]
    lost += [(email_id, created, thread, modseq) for email_id, created, modseq, thread in doomed]
    for email_id, created, thread, modseq in sorted(lost, key=itemgetter(-1)):
        if created > since + 1:  # of what came with the next commit, a part may have been told already
            continue
        present = found.get(email_id)
        if present is not None and not present.gone:  # it has lost \Deleted again
            found[email_id] = msgspec.structs.replace(present, known_from=present.known_from or created)
            continue
        found[email_id] = EmailChange(
            email_id=email_id, created_modseq=created, modseq=modseq, gone=True, thread_id=thread
        )
    return sorted(found.values(), key=lambda change: (change.modseq, change.email_id))


def mailboxes_gone(db: Database, account_id: int, since: int) -> list[MailboxGone] | None:
    """As `Store.mailboxes_gone`."""
    with db.snapshot():
        if not _reaches(db, account_id, since):
            return None
        rows = db.rows(
            "SELECT mailbox_id, created_modseq, modseq FROM mailbox_gone WHERE account_id = ? AND modseq > ?"
            " ORDER BY modseq, mailbox_id",
            (account_id, since),
        )
    return [MailboxGone(mailbox_id=number, created_modseq=c, modseq=m) for number, c, m in rows]


def threads(db: Database, account_id: int, email_ids: Sequence[int]) -> dict[int, int]:
    """The threads that are decided."""
    if not email_ids:
        return {}
    if len(email_ids) <= limits.EMAILS_PER_READ:
        condition, some = db.among("t.email_id", email_ids)
        source = f"FROM email_thread t WHERE t.account_id = ? AND {condition}"
        bindings: tuple[object, ...] = (account_id, some)
    else:
        source = "FROM email_thread t WHERE t.account_id = ? AND t.email_id BETWEEN ? AND ?"
        bindings = (account_id, min(email_ids), max(email_ids))
    ids, found = db.integers(("t.email_id", "t.thread_id"), source, bindings)
    return dict(zip(ids, found, strict=True))


def origins(db: Database, account_id: int, email_ids: Sequence[int]) -> dict[int, int]:
    """What copies are copies of."""
    condition, some = db.among("email_id", email_ids)
    source = f"FROM email_origin WHERE account_id = ? AND {condition}"
    ids, found = db.integers(("email_id", "origin_id"), source, (account_id, some))
    return dict(zip(ids, found, strict=True))


def saved_dates(db: Database, account_id: int, mailbox_id: int, uids: Sequence[int]) -> dict[int, int]:
    """When messages came into a mailbox, by UID."""
    condition, some = db.among("uid", uids)
    source = f"FROM placement WHERE account_id = ? AND mailbox_id = ? AND {condition}"
    found, saved = db.integers(("uid", "saved_at"), source, (account_id, mailbox_id, some))
    return dict(zip(found, saved, strict=True))


# --- items ------------------------------------------------------------------------------------------------

_ITEM: Final = "account_id, kind, item_id, data, created_modseq, modseq, due_at"


def _item(row: tuple[object, ...]) -> Item:
    return msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item)


def items(db: Database, account_id: int, kind: str, item_ids: Sequence[int] | None) -> list[Item]:
    """As `Store.items`."""
    which = ""
    bindings: tuple[object, ...] = (account_id, kind)
    if item_ids is not None:
        condition, some = db.among("item_id", item_ids)
        which = f" AND {condition}"
        bindings = (*bindings, some)
    if item_ids is not None and not item_ids:
        return []
    rows = db.rows(
        f"SELECT {_ITEM} FROM item WHERE account_id = ? AND kind = ?{which} ORDER BY item_id", bindings
    )
    return [_item(row) for row in rows]


def item_count(db: Database, account_id: int, kind: str) -> int:
    """As `Store.item_count`."""
    ((count,),) = db.rows("SELECT count(*) FROM item WHERE account_id = ? AND kind = ?", (account_id, kind))
    return int(count)


def item_changes(db: Database, account_id: int, kind: str, since: int) -> list[ItemChange] | None:
    """As `Store.item_changes`."""
    key = (account_id, kind, since)
    with db.snapshot():
        if not _reaches(db, account_id, since):
            return None
        living = db.rows(
            "SELECT item_id, created_modseq, modseq FROM item WHERE account_id = ? AND kind = ? AND modseq > ?",
            key,
        )
        gone = db.rows(
            "SELECT item_id, created_modseq, modseq FROM item_gone"
            " WHERE account_id = ? AND kind = ? AND modseq > ?",
            key,
        )
    found = {
        number: ItemChange(item_id=number, created_modseq=c, modseq=m, gone=True)
        for number, c, m in gone
        if c <= since + 1  # of what came with the next commit, a part may have been told already
    }
    for number, c, m in living:
        found[number] = ItemChange(item_id=number, created_modseq=c, modseq=m)
    return sorted(found.values(), key=lambda change: (change.modseq, change.item_id))


def items_due(db: Database, kind: str, now: float, limit: int) -> list[Item]:
    """As `Store.items_due`."""
    rows = db.rows(
        f"SELECT {_ITEM} FROM item WHERE kind = ? AND due_at <= ? ORDER BY due_at LIMIT ?", (kind, now, limit)
    )
    return [_item(row) for row in rows]


def next_item_due(db: Database, kind: str) -> float | None:
    """As `Store.next_item_due`."""
    ((due,),) = db.rows("SELECT min(due_at) FROM item WHERE kind = ? AND due_at IS NOT NULL", (kind,))
    return None if due is None else float(due)


# --- uploads ----------------------------------------------------------------------------------------------


def uploads(db: Database, account_id: int, upload_ids: Sequence[int]) -> list[Upload | None]:
    """As `Store.uploads`."""
    condition, some = db.among("upload_id", upload_ids)
    rows = db.rows(
        "SELECT upload_id, blob_id, size, media_type, created_at FROM upload"
        f" WHERE account_id = ? AND {condition}",
        (account_id, some),
    )
    found = {
        number: Upload(
            upload_id=number,
            stored=Stored(blob_id=blob_id, prefix=b"", size=size, account_id=account_id),
            media_type=media_type,
            created_at=created_at,
        )
        for number, blob_id, size, media_type, created_at in rows
    }
    return [found.get(number) for number in upload_ids]
