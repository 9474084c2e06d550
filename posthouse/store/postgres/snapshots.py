"""A mailbox index from the database: whole, or what it has missed since other nodes changed the mailbox.

The packed snapshot is a cache, brought up to date from the change journal and the newer UIDs; so is an index that a
node has in memory. When the journal no longer reaches back so far the index is read whole and compared.
"""

from __future__ import annotations

from array import array
from typing import Final

from posthouse import limits
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.mailbox_index import MailboxIndex, NewRows
from posthouse.store.memory.missed import Missed, take_over
from posthouse.store.memory.packed import CODES, Packed, unpack
from posthouse.store.model import RECEIVED_MAX
from posthouse.store.postgres.connection import Connection, snapshot
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.transaction import Transaction

ROWS_PER_READ: Final = 20_000
"""Placements read at a time."""
_NEW: Final = (
    f"SELECT uid, flags, modseq, email_id, size, least(greatest(received_at, 0), {RECEIVED_MAX}) FROM placed"
    " WHERE account_id = $1 AND mailbox_id = $2 AND uid >= $3 ORDER BY uid LIMIT $4"
)
_AGAIN: Final = (
    "SELECT uid, flags, modseq FROM placed"
    " WHERE account_id = $1 AND mailbox_id = $2 AND uid = ANY($3::bigint[]) ORDER BY uid"
)
_JOURNAL: Final = (
    "SELECT modseq, vanished, uids FROM mailbox_change"
    " WHERE account_id = $1 AND mailbox_id = $2 AND modseq > $3 ORDER BY modseq"
)
_WRITE: Final = (
    "INSERT INTO mailbox_snapshot AS s SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM mailbox"
    " WHERE account_id = $1 AND mailbox_id = $2 AND uid_validity = $3)"
    " ON CONFLICT (account_id, mailbox_id) DO UPDATE SET uid_validity = excluded.uid_validity,"
    " uid_next = excluded.uid_next, modseq = excluded.modseq, packed = excluded.packed"
    " WHERE s.uid_validity <> excluded.uid_validity OR s.modseq < excluded.modseq"
)


# --- writing --------------------------------------------------------------------------------------------------


def write(tx: Transaction, packed: Packed) -> None:
    """Keep a snapshot, and forget journal rows that only it needed. Other nodes may still want the latest of them."""
    key = (packed.account_id, packed.mailbox_id)
    tx.lock([packed.account_id])
    tx.fetch(_WRITE, *key, packed.uid_validity, packed.uid_next, packed.modseq, packed.packed)
    tx.fetch(
        "DELETE FROM mailbox_change WHERE account_id = $1 AND mailbox_id = $2 AND vanished = 0 AND modseq <= $3",
        *key,
        packed.modseq - limits.JOURNAL_KEPT,
    )
    _merge_journal(tx, key)


def _merge_journal(tx: Transaction, key: tuple[int, int]) -> None:
    """Make one row of the older half of the expunges when there are too many."""
    rows = tx.fetch(
        "SELECT modseq, uids FROM mailbox_change"
        " WHERE account_id = $1 AND mailbox_id = $2 AND vanished = 1 ORDER BY modseq LIMIT $3",
        *key,
        limits.JOURNAL_ROWS + 1,
    )
    if len(rows) <= limits.JOURNAL_ROWS:
        return
    older = rows[: len(rows) // 2]
    last = older[-1][0]
    gone = [pair for _, uids in older for pair in Ranges.parse(uids).pairs()]
    tx.fetch(
        "DELETE FROM mailbox_change WHERE account_id = $1 AND mailbox_id = $2 AND vanished = 1 AND modseq <= $3",
        *key,
        last,
    )
    tx.fetch("INSERT INTO mailbox_change VALUES ($1, $2, $3, 1, $4)", *key, last, str(Ranges(gone)))


# --- reading --------------------------------------------------------------------------------------------------


def load(reader: Reader, account_id: int, mailbox_id: int) -> MailboxIndex | None:
    """A mailbox's index as of now, or None when there is no such mailbox."""
    with snapshot(reader.db):
        return _load(reader.db, (account_id, mailbox_id))


def _load(db: Connection, key: tuple[int, int]) -> MailboxIndex | None:
    rows = db.fetch(
        "SELECT m.uid_validity, m.uid_next, m.highest_modseq, s.uid_next, s.modseq, s.packed FROM mailbox m"
        " LEFT JOIN mailbox_snapshot s USING (account_id, mailbox_id, uid_validity)"
        " WHERE m.account_id = $1 AND m.mailbox_id = $2",
        *key,
    )
    if not rows:
        return None
    uid_validity, uid_next, modseq, known_next, known_modseq, packed = rows[0]
    index = _from_snapshot(db, key, packed, (uid_validity, known_next, known_modseq)) if packed else None
    if index is None:
        index = MailboxIndex(*key, uid_validity)
        index.append(_new_rows(db, key, 1))
    index.uid_next = uid_next
    index.highest_modseq = modseq
    return index


def _from_snapshot(
    db: Connection, key: tuple[int, int], packed: bytes, known: tuple[int, int, int]
) -> MailboxIndex | None:
    """The snapshot with the journal replayed; None when it is damaged or most of it would be read again."""
    index = MailboxIndex(*key, known[0])
    try:
        index.uids, index.flags, index.modseqs, index.email_ids, index.sizes, index.received = unpack(packed)
    except ValueError:
        return None
    index.from_snapshot = True
    missed = _missed(db, key, known[1], known[2])
    if len(missed.flagged) > len(index) // 2 + ROWS_PER_READ:
        return None
    take_over(index, missed)
    return index


def _new_rows(db: Connection, key: tuple[int, int], first: int) -> NewRows:
    rows = NewRows()
    columns: tuple[array[int], ...] = (
        rows.uids, rows.flags, rows.modseqs, rows.email_ids, rows.sizes, rows.received
    )  # fmt: skip
    while True:
        found = db.fetch(_NEW, *key, first, ROWS_PER_READ)
        if found:
            for column, code, values in zip(columns, CODES, zip(*found, strict=True), strict=True):
                column.extend(array(code, values))
            first = rows.uids[-1] + 1
        if len(found) < ROWS_PER_READ:
            return rows


def _missed(db: Connection, key: tuple[int, int], uid_next: int, modseq: int) -> Missed:
    """What has happened after a mod-sequence, by the journal."""
    changed: list[tuple[int, int]] = []
    gone: list[tuple[int, int]] = []
    for _, vanished, uids in db.fetch(_JOURNAL, *key, modseq):
        (gone if vanished else changed).extend(Ranges.parse(uids).pairs())
    missed = Missed(vanished=Ranges(gone) & _below(uid_next), rows=_new_rows(db, key, uid_next))
    again = (Ranges(changed) & _below(uid_next)) - missed.vanished
    if again:
        uids = list(again)
        for start in range(0, len(uids), ROWS_PER_READ):
            missed.flagged += map(tuple, db.fetch(_AGAIN, *key, uids[start : start + ROWS_PER_READ]))
    return missed


def _below(uid_next: int) -> Ranges:
    return Ranges([(1, uid_next - 1)]) if uid_next > 1 else EMPTY


def missed_by(
    reader: Reader, account_id: int, mailbox_id: int, uid_validity: int, uid_next: int, modseq: int
) -> Missed:
    """What an index in memory has missed; whole, when the journal does not reach back so far."""
    key = (account_id, mailbox_id)
    db = reader.db
    with snapshot(db):
        rows = db.fetch(
            "SELECT m.uid_next, m.highest_modseq, coalesce(s.modseq, 0), m.uid_validity FROM mailbox m"
            " LEFT JOIN mailbox_snapshot s USING (account_id, mailbox_id)"
            " WHERE m.account_id = $1 AND m.mailbox_id = $2",
            *key,
        )
        if not rows or rows[0][3] != uid_validity:
            return Missed(gone=True)
        present_next, present_modseq, pruned_to, _ = rows[0]
        if modseq < pruned_to - limits.JOURNAL_KEPT:
            return Missed(modseq=present_modseq, uid_next=present_next, whole=_load(db, key))
        missed = _missed(db, key, uid_next, modseq)
    missed.modseq, missed.uid_next = present_modseq, present_next
    return missed


def vanished_since(reader: Reader, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
    """UIDs expunged after a mod-sequence; a superset when old journal rows were merged."""
    gone: list[tuple[int, int]] = []
    for _, vanished, uids in reader.db.fetch(_JOURNAL, account_id, mailbox_id, modseq):
        if vanished:
            gone.extend(Ranges.parse(uids).pairs())
    return Ranges(gone)
