"""A mailbox index on disk: packed in one row, and brought up to date from the journal when it is loaded.

The snapshot is a cache: it may be old (the change journal and newer UIDs fill it up) or missing or damaged (the
index is read from the placements then). Arrays are kept as they are in memory, uncompressed (measured: unpacking
takes longer than reading more), so that loading 100,000 messages is one row and six copies: 3 ms.
"""

from __future__ import annotations

from array import array
from typing import Any

import msgspec

from posthouse import limits
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.mailbox_index import MailboxIndex, NewRows
from posthouse.store.memory.packed import CODES, Packed, unpack
from posthouse.store.model import RECEIVED_MAX
from posthouse.store.sqlite.connection import Connection, columns, integer, members, snapshot
from posthouse.store.sqlite.flag_log import put_on_top
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.transaction import Transaction

ROWS_PER_READ = 10_000
"""Placements read at a time: the interpreter is held for about a millisecond."""
_RECEIVED = f"min(max(received_at, 0), {RECEIVED_MAX})"
_COLUMNS = [integer(name) for name in ("uid", "flags", "modseq", "email_id", "size", _RECEIVED)]


def write(tx: Transaction, packed: Packed) -> None:
    """Keep a snapshot, and forget journal rows that only it needed."""
    if not tx.may_grow:
        return
    db = tx.db
    tx.flush()
    key = (packed.account_id, packed.mailbox_id)
    db.execute(
        "INSERT OR REPLACE INTO mailbox_snapshot SELECT ?1, ?2, ?3, ?4, ?5, ?6"
        " WHERE EXISTS (SELECT 1 FROM mailbox WHERE account_id = ?1 AND mailbox_id = ?2 AND uid_validity = ?3)"
        " AND NOT EXISTS (SELECT 1 FROM mailbox_snapshot WHERE account_id = ?1 AND mailbox_id = ?2"
        " AND uid_validity = ?3 AND modseq > ?5)",
        (*key, packed.uid_validity, packed.uid_next, packed.modseq, packed.packed),
    )
    db.execute(
        "DELETE FROM mailbox_change WHERE account_id = ? AND mailbox_id = ? AND vanished = 0 AND modseq <= ?",
        (*key, packed.modseq),
    )
    _merge_journal(db, key)


def _merge_journal(db: Connection, key: tuple[int, int]) -> None:
    """Make one row of the older half of the expunges when there are too many."""
    mine = "account_id = ? AND mailbox_id = ? AND vanished = 1"
    ((rows,),) = db.rows(f"SELECT count(*) FROM mailbox_change WHERE {mine}", key)
    if rows <= limits.JOURNAL_ROWS:
        return
    ((last,),) = db.rows(
        f"SELECT modseq FROM mailbox_change WHERE {mine} ORDER BY modseq LIMIT 1 OFFSET ?", (*key, rows // 2)
    )
    ((text,),) = db.rows(
        f"SELECT json_group_array(uids) FROM mailbox_change WHERE {mine} AND modseq <= ?", (*key, last)
    )
    gone = [pair for uids in msgspec.json.decode(text, type=list[str]) for pair in Ranges.parse(uids).pairs()]
    db.execute(f"DELETE FROM mailbox_change WHERE {mine} AND modseq <= ?", (*key, last))
    db.execute("INSERT INTO mailbox_change VALUES (?, ?, ?, 1, ?)", (*key, last, str(Ranges(gone))))


def load(reader: Reader, account_id: int, mailbox_id: int) -> MailboxIndex | None:
    """A mailbox's index as of now, or None when there is no such mailbox."""
    with snapshot(reader.db):
        return _load(reader.db, account_id, mailbox_id)


def _load(db: Connection, account_id: int, mailbox_id: int) -> MailboxIndex | None:
    key = (account_id, mailbox_id)
    rows = db.rows(
        "SELECT m.uid_validity, m.uid_next, m.highest_modseq, s.uid_next, s.modseq, s.packed FROM mailbox m"
        " LEFT JOIN mailbox_snapshot s USING (account_id, mailbox_id, uid_validity)"
        " WHERE m.account_id = ? AND m.mailbox_id = ?",
        key,
    )
    if not rows:
        return None
    uid_validity, uid_next, modseq, known_next, known_modseq, packed = rows[0]
    index = None
    if packed is not None:
        index = _from_snapshot(db, key, packed, (uid_validity, known_next, known_modseq))
    if index is None:
        index = MailboxIndex(account_id, mailbox_id, uid_validity)
    _append_new(db, key, index)
    put_on_top(db, index)
    index.uid_next = max(index.uid_next, uid_next)
    index.highest_modseq = max(index.highest_modseq, modseq)
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
    index.uid_next, index.highest_modseq = known[1:]
    changed: list[tuple[int, int]] = []
    gone: list[tuple[int, int]] = []
    ((text,),) = db.rows(
        "SELECT json_group_array(json_array(modseq, vanished, uids)) FROM mailbox_change"
        " WHERE account_id = ? AND mailbox_id = ? AND modseq > ?",
        (*key, known[2]),
    )
    for modseq, vanished, uids in msgspec.json.decode(text, type=list[tuple[int, int, str]]):
        index.highest_modseq = max(index.highest_modseq, modseq)
        (gone if vanished else changed).extend(Ranges.parse(uids).pairs())
    index.remove(Ranges(gone))
    again = Ranges(changed) & Ranges([(1, known[1] - 1)]) if changed and known[1] > 1 else EMPTY
    if len(again) > len(index) // 2 + ROWS_PER_READ:
        return None
    _read_flags_again(db, key, index, list(again))
    return index


def _read_flags_again(db: Connection, key: tuple[int, int], index: MailboxIndex, changed: list[int]) -> None:
    for start in range(0, len(changed), ROWS_PER_READ):
        some = members(changed[start : start + ROWS_PER_READ])
        uids, flags, modseqs = columns(
            db,
            [integer("uid"), integer("flags"), integer("modseq")],
            "FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM carray(?))",
            (*key, some),
        )
        for uid, flag, modseq in zip(uids, flags, modseqs, strict=True):
            i = index.position(uid)
            if i is not None:
                index.flags[i] = flag
                index.modseqs[i] = modseq


def _append_new(db: Connection, key: tuple[int, int], index: MailboxIndex) -> None:
    """Read placements from the index's next UID on."""
    while True:
        found = columns(
            db,
            _COLUMNS,
            "FROM (SELECT * FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid >= ?"
            " ORDER BY uid LIMIT ?)",
            (*key, index.uid_next, ROWS_PER_READ),
        )
        arrays: list[Any] = [array(code, column) for code, column in zip(CODES, found, strict=True)]
        index.append(NewRows(*arrays))
        if found[2]:
            index.highest_modseq = max(index.highest_modseq, *found[2])
        if len(found[0]) < ROWS_PER_READ:
            return


def vanished_since(reader: Reader, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
    """UIDs expunged after a mod-sequence; a superset when old journal rows were merged."""
    ((text,),) = reader.db.rows(
        "SELECT json_group_array(uids) FROM mailbox_change"
        " WHERE account_id = ? AND mailbox_id = ? AND modseq > ? AND vanished = 1",
        (account_id, mailbox_id, modseq),
    )
    gone: list[tuple[int, int]] = []
    for uids in msgspec.json.decode(text, type=list[str]):
        gone.extend(Ranges.parse(uids).pairs())
    return Ranges(gone)
