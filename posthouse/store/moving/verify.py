"""Reads a cluster's whole store and tells what is not as it should be: `posthouse verify` on one of its nodes.

Account by account, each question one statement, so that nodes go on meanwhile and no statement is long. Mended, if
wanted, is what follows from the rest: counts and owners of bytes, in transactions of the node, with the account locked
and its mod-sequence moved on, so that all nodes read it again. What others change without that lock (sweeping, the
queue) is locked before it is counted anew. Bytes that are gone stay gone: such messages are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import Damaged, NotFound
from posthouse.store.model import Stored
from posthouse.store.postgres.bodies import read_whole
from posthouse.store.postgres.connection import Connection
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql import bodiless
from posthouse.store.sqlite.verify import MORE, Checked, Flaw

BLOBS_AT_ONCE: Final = 500
"""Numbers of message bytes read with one statement; the bytes come one by one."""


class Mend(msgspec.Struct, frozen=True):
    """To be done within transactions before it goes on, until there is no more."""

    work: Callable[[Transaction], bool]


class _Rule(msgspec.Struct, frozen=True):
    """Rows of an account ($1) that should not be there, as one text each, and what mends them."""

    kind: str
    find: str
    by: Callable[[Transaction, int], bool] | None = None
    """Whether there may be more is its result."""


_COUNTED: Final = (
    "(SELECT m.mailbox_id, count(p.uid) AS total, count(p.uid) FILTER (WHERE p.flags & 1 = 0) AS unseen,"
    " count(p.uid) FILTER (WHERE p.flags & 8 <> 0) AS deleted, coalesce(sum(p.size), 0)::bigint AS size"
    " FROM mailbox m LEFT JOIN placed p ON p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id"
    " WHERE m.account_id = $1 GROUP BY m.mailbox_id) AS c"
)
_MISCOUNTED: Final = (
    "m.account_id = $1 AND c.mailbox_id = m.mailbox_id"
    " AND (m.total, m.unseen, m.deleted, m.size) <> (c.total, c.unseen, c.deleted, c.size)"
)
_OWNED: Final = (
    "(SELECT blob_id, count(*) AS owners FROM (SELECT blob_id FROM email WHERE account_id = $1"
    " UNION ALL SELECT blob_id FROM upload WHERE account_id = $1"
    " UNION ALL SELECT blob_id FROM queued WHERE blob_account = $1) AS each GROUP BY blob_id) AS o"
)
_LIVING: Final = (
    "(SELECT pack, sum(pack_octets)::bigint AS living FROM blob WHERE account_id = $1 AND pack IS NOT NULL"
    " GROUP BY pack) AS l"
)
_BODILESS: Final = (
    "FROM placement p WHERE account_id = $1"
    " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account_id = p.account_id AND e.email_id = p.email_id)"
)
_RECOUNT: Final = (
    "UPDATE mailbox m SET total = c.total, unseen = c.unseen, deleted = c.deleted, size = c.size"
    f" FROM {_COUNTED} WHERE {_MISCOUNTED}"
)
_WRONGLY_OWNED: Final = (
    f"FROM {_OWNED} LEFT JOIN blob_share s ON s.account_id = $1 AND s.blob_id = o.blob_id"
    " WHERE coalesce(s.owners, 1) <> o.owners"
)
_THESE: Final = "account_id = $1 AND blob_id = ANY($2::bigint[])"
_LOCK_BLOBS: Final = f"SELECT 1 FROM blob WHERE {_THESE} ORDER BY blob_id FOR UPDATE"
_LOCK_OWNERS: Final = f"SELECT 1 FROM blob_share WHERE {_THESE} ORDER BY blob_id FOR UPDATE"
_OWNED_ONCE: Final = f"DELETE FROM blob_share WHERE {_THESE}"
_OWNED_MORE: Final = (
    f"INSERT INTO blob_share SELECT $1, o.blob_id, o.owners FROM {_OWNED}"
    " WHERE o.owners > 1 AND o.blob_id = ANY($2::bigint[])"
)
_LOCK_PACKS: Final = "SELECT 1 FROM pack WHERE account_id = $1 ORDER BY blob_id FOR UPDATE"
_REWEIGH: Final = (
    "UPDATE pack p SET living = coalesce((SELECT sum(b.pack_octets)::bigint FROM blob b"
    " WHERE b.account_id = $1 AND b.pack = p.blob_id), 0) WHERE p.account_id = $1"
)


def _expunge(tx: Transaction, account_id: int) -> bool:
    rows = tx.fetch(
        f"SELECT account_id, mailbox_id, uid {_BODILESS} ORDER BY mailbox_id, uid LIMIT $2",
        *(account_id, limits.PIECE_ROWS),
    )
    bodiless.expunge(tx, [(account, mailbox, uid) for account, mailbox, uid in rows])
    return len(rows) == limits.PIECE_ROWS


def _recount(tx: Transaction, account_id: int) -> bool:
    tx.fetch(_RECOUNT, account_id)
    return _move_on(tx, account_id)


def _set_owners(tx: Transaction, account_id: int) -> bool:
    """Who takes an owner away holds both locks before it looks (`Blobs.disown_pairs`)."""
    wrong = [row[0] for row in tx.fetch(f"SELECT o.blob_id {_WRONGLY_OWNED}", account_id)]
    for statement in (_LOCK_BLOBS, _LOCK_OWNERS, _OWNED_ONCE, _OWNED_MORE):
        tx.fetch(statement, account_id, wrong)
    return _move_on(tx, account_id)


def _reweigh(tx: Transaction, account_id: int) -> bool:
    tx.fetch(_LOCK_PACKS, account_id)
    tx.fetch(_REWEIGH, account_id)
    return False


def _move_on(tx: Transaction, account_id: int) -> bool:
    """What nodes have of the account in memory is of the past; and this is all."""
    tx.fetch("UPDATE account_state SET modseq = modseq + 1 WHERE account_id = $1", account_id)
    return False


_RULES: Final = (
    _Rule(
        "placement without email",
        f"SELECT 'mailbox ' || mailbox_id || ' uid ' || uid {_BODILESS} ORDER BY mailbox_id, uid",
        _expunge,
    ),
    _Rule(
        "email without bytes",
        "SELECT 'email ' || email_id FROM email e WHERE account_id = $1"
        " AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.account_id = e.account_id AND b.blob_id = e.blob_id)",
    ),
    _Rule(
        "wrong counts",
        f"SELECT 'mailbox ' || m.mailbox_id FROM mailbox m, {_COUNTED} WHERE {_MISCOUNTED}",
        _recount,
    ),
    _Rule("wrong owners of bytes", f"SELECT 'bytes ' || o.blob_id {_WRONGLY_OWNED}", _set_owners),
    _Rule(
        "wrong octets of a pack",
        f"SELECT 'pack ' || p.blob_id FROM pack p LEFT JOIN {_LIVING} ON l.pack = p.blob_id"
        " WHERE p.account_id = $1 AND p.living <> coalesce(l.living, 0)",
        _reweigh,
    ),
)
_BLOBS: Final = (
    "SELECT blob_id FROM blob b WHERE account_id = $1 AND blob_id > $2 AND NOT EXISTS"
    " (SELECT 1 FROM pack p WHERE p.account_id = b.account_id AND p.blob_id = b.blob_id)"
    " ORDER BY blob_id LIMIT $3"
)
_WHOSE: Final = (
    "SELECT email_id, count(*) OVER () FROM email WHERE account_id = $1 AND blob_id = $2"
    " ORDER BY email_id LIMIT $3"
)


class _Untold(msgspec.Struct, frozen=True):
    """Flaws of a kind that are too many to be told one by one."""

    count: int
    mended: bool


def verified(reader: Reader, *, fix: bool) -> Iterator[Checked | Flaw | Mend]:
    """Flaws as they are found, what mends them (before they are told), and after each account how far it has come.

    At most VERIFY_FLAWS flaws; the last one counts those that were not told.
    """
    told = untold = 0
    mended = True
    for each in _found(reader, fix=fix):
        if isinstance(each, Flaw) and told < limits.VERIFY_FLAWS:
            told += 1
            yield each
        elif isinstance(each, Flaw | _Untold):
            untold += each.count if isinstance(each, _Untold) else 1
            mended = mended and each.mended
        else:
            yield each
    if untold:
        yield Flaw(kind=MORE, what=f"{untold} more flaws", mended=mended)


def _found(reader: Reader, *, fix: bool) -> Iterator[Checked | Flaw | Mend | _Untold]:
    db = reader.db
    ((total,),) = db.fetch("SELECT coalesce(sum(total), 0)::bigint FROM mailbox")
    done = 0
    for (account_id,) in db.fetch("SELECT account_id FROM account ORDER BY account_id"):
        for rule in _RULES:
            yield from _looked_at(db, account_id, rule, fix=fix)
        yield from _damaged(reader, account_id)
        ((messages,),) = db.fetch(
            "SELECT coalesce(sum(total), 0)::bigint FROM mailbox WHERE account_id = $1", account_id
        )
        done += messages
        yield Checked(messages=done, total=max(done, total))
    yield from _damaged(reader, 0)  # of the queue alone


def _looked_at(db: Connection, account_id: int, rule: _Rule, *, fix: bool) -> Iterator[Flaw | Mend | _Untold]:
    found = [row[0] for row in db.fetch(f"{rule.find} LIMIT {limits.VERIFY_FLAWS}", account_id)]
    untold = 0
    if len(found) == limits.VERIFY_FLAWS:
        ((count,),) = db.fetch(f"SELECT count(*) FROM ({rule.find}) AS found", account_id)
        untold = count - len(found)
    by = rule.by if found and fix else None
    if by is not None:
        yield Mend(lambda tx: _mend(tx, account_id, by))
    for what in found:
        yield Flaw(kind=rule.kind, what=f"account {account_id} {what}", mended=by is not None)
    if untold > 0:
        yield _Untold(untold, by is not None)


def _mend(tx: Transaction, account_id: int, by: Callable[[Transaction, int], bool]) -> bool:
    tx.lock([account_id])
    return by(tx, account_id)


def _damaged(reader: Reader, account_id: int) -> Iterator[Flaw]:
    last = 0
    while batch := reader.db.fetch(_BLOBS, account_id, last, BLOBS_AT_ONCE):
        last = batch[-1][0]
        for (blob_id,) in batch:
            if not _whole(reader, account_id, blob_id):
                rows = reader.db.fetch(_WHOSE, account_id, blob_id, limits.VERIFY_OWNERS)
                whose = ", ".join(f"email {email_id}" for email_id, _ in rows) or "nobody's"
                if rows and rows[0][1] > len(rows):
                    whose += f" and {rows[0][1] - len(rows)} more"
                yield Flaw(kind="damaged message", what=f"account {account_id} bytes {blob_id}: {whose}")


def _whole(reader: Reader, account_id: int, blob_id: int) -> bool:
    try:
        read_whole(reader, Stored(blob_id=blob_id, prefix=b"", size=0, account_id=account_id))
    except Damaged:
        return False
    except NotFound:
        pass  # it went meanwhile
    return True
