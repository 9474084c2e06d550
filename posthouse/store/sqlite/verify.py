"""Reads the whole store and tells what is not as it should be: `posthouse verify`.

Looked at: the database file itself, every message's bytes against their digest, what points at what, the counts that
mailboxes keep. All while the store is in use: each question is one statement, which sees one commit. Mended, if wanted,
is what follows from the rest: counts, owners of bytes, remains, snapshots. Bytes that are gone stay gone: such
messages are named, and everything else is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Damaged, NotFound
from posthouse.store.sql import bodiless
from posthouse.store.sqlite.emails import read_whole
from posthouse.store.sqlite.flag_log import FLAGS_NOW
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.transaction import Transaction


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come."""

    messages: int
    total: int


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be."""

    kind: str
    what: str
    mended: bool = False


MORE: Final = "more"
"""The kind that counts the flaws which are not told one by one."""


class _Rule(msgspec.Struct, frozen=True):
    """Rows that should not be there (a statement that finds them as one text each), and how to mend them."""

    kind: str
    find: str
    mend: tuple[str, ...] = ()
    by: Callable[[Transaction], None] | None = None
    """Mends what takes more than statements."""


_BODILESS: Final = (
    "FROM placement p WHERE NOT EXISTS (SELECT 1 FROM email e WHERE e.email_id = p.email_id)"
    " ORDER BY account_id, mailbox_id, uid"
)


def _expunge_bodiless(tx: Transaction) -> None:
    bodiless.expunge(tx, tx.query(f"SELECT account_id, mailbox_id, uid {_BODILESS}"))


_NOWHERE: Final = (
    "email_id NOT IN (SELECT email_id FROM placement)"
    " AND email_id NOT IN (SELECT email_id FROM garbage_email)"
    " AND (account_id, email_id) NOT IN (SELECT account_id, email_id FROM deleted_email)"
)
_OWNED: Final = (
    "WITH owned AS (SELECT blob_id, count(*) AS owners FROM (SELECT blob_id FROM email"
    " UNION ALL SELECT blob_id FROM queued UNION ALL SELECT blob_id FROM upload) GROUP BY blob_id)"
)
"""How many really own each blob."""

_RULES: Final = (
    _Rule(
        "placement without email",
        f"SELECT 'account ' || account_id || ' mailbox ' || mailbox_id || ' uid ' || uid {_BODILESS}",
        by=_expunge_bodiless,
    ),
    _Rule(
        "email in no mailbox",
        f"SELECT 'email ' || email_id FROM email WHERE {_NOWHERE}",
        (f"INSERT INTO garbage_email SELECT email_id FROM email WHERE {_NOWHERE}",),
    ),
    _Rule(
        "email without bytes",
        "SELECT 'email ' || email_id FROM email e"
        " WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.blob_id = e.blob_id)",
    ),
    _Rule(
        "wrong owners of bytes",
        f"{_OWNED} SELECT 'bytes ' || blob_id FROM owned LEFT JOIN blob_share s USING (blob_id)"
        " WHERE owned.owners != coalesce(s.owners, 1)",
        (
            "DELETE FROM blob_share",
            f"INSERT INTO blob_share {_OWNED} SELECT blob_id, owners FROM owned WHERE owners > 1",
        ),
    ),
    _Rule(
        "bytes that nobody has",
        f"{_OWNED} SELECT 'bytes ' || blob_id FROM blob WHERE blob_id NOT IN (SELECT blob_id FROM owned)",
    ),
    _Rule(
        "queued message without recipients",
        "SELECT 'queue ' || queue_id FROM queued q"
        " WHERE NOT EXISTS (SELECT 1 FROM queued_recipient r WHERE r.queue_id = q.queue_id)",
    ),
    _Rule(
        "queued recipient without message",
        "SELECT 'queue ' || queue_id || ' ' || address FROM queued_recipient r"
        " WHERE NOT EXISTS (SELECT 1 FROM queued q WHERE q.queue_id = r.queue_id)",
        ("DELETE FROM queued_recipient WHERE queue_id NOT IN (SELECT queue_id FROM queued)",),
    ),
    _Rule(
        "destination that the queue has forgotten",
        "SELECT DISTINCT destination FROM queued_recipient WHERE destination NOT IN"
        " (SELECT destination FROM queue_destination)",
        (
            "INSERT INTO queue_destination SELECT destination, min(due_at) FROM queued_recipient"
            " WHERE destination NOT IN (SELECT destination FROM queue_destination) GROUP BY destination",
        ),
    ),
    _Rule(
        "mailbox without account",
        "SELECT 'account ' || account_id || ' ' || name FROM mailbox"
        " WHERE account_id NOT IN (SELECT account_id FROM account)",
    ),
)

_COUNTS: Final = (
    "SELECT m.account_id, m.mailbox_id, m.name FROM mailbox m LEFT JOIN"
    f" (SELECT p.account_id AS a, p.mailbox_id AS b, count(*) AS n, sum({FLAGS_NOW} & 1 = 0) AS u,"
    f" sum({FLAGS_NOW} & 8 != 0) AS d, sum(p.size) AS s FROM placement p JOIN mailbox m2"
    " ON m2.account_id = p.account_id AND m2.mailbox_id = p.mailbox_id AND p.uid < m2.uid_next"
    " GROUP BY p.account_id, p.mailbox_id) c ON c.a = m.account_id AND c.b = m.mailbox_id"
    " WHERE (m.total, m.unseen, m.deleted, m.size)"
    " IS NOT (coalesce(c.n, 0), coalesce(c.u, 0), coalesce(c.d, 0), coalesce(c.s, 0))"
)
"""Mailboxes whose counts (of the UIDs below uid_next) are not those of their messages."""


async def verify(
    open_reader: Callable[[], Reader],
    background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
    *,
    fix: bool,
) -> AsyncIterator[Checked | Flaw]:
    """Everything that was found, and how far it has come."""
    reader = await asyncio.to_thread(open_reader)
    told = 0
    try:
        for find in (_file, _pointers, _counts):
            for flaw in await asyncio.to_thread(find, reader):
                told += 1
                if told <= limits.VERIFY_FLAWS:
                    yield flaw
        async for each in _bytes(reader):
            told += isinstance(each, Flaw)
            if isinstance(each, Checked) or told <= limits.VERIFY_FLAWS:
                yield each
    finally:
        await asyncio.to_thread(reader.close)
    mended: list[Flaw] = await background(_mend) if fix and told else []
    for flaw in mended[: limits.VERIFY_FLAWS]:
        yield flaw
    untold = max(told, len(mended)) - limits.VERIFY_FLAWS
    if untold > 0:
        yield Flaw(kind=MORE, what=f"{untold} more flaws", mended=len(mended) >= told)


def _file(reader: Reader) -> list[Flaw]:
    rows = reader.db.rows("PRAGMA integrity_check(100)")
    return [Flaw(kind="damaged database", what=text) for (text,) in rows if text != "ok"]


def _pointers(reader: Reader) -> list[Flaw]:
    return [
        Flaw(kind=rule.kind, what=what)
        for rule in _RULES
        for (what,) in reader.db.rows(f"{rule.find} LIMIT {limits.VERIFY_FLAWS + 1}")
    ]


def _counts(reader: Reader) -> list[Flaw]:
    rows = reader.db.rows(_COUNTS)
    return [Flaw(kind="wrong counts", what=f"account {a} mailbox {name}") for a, _, name in rows]


# --- the bytes ----------------------------------------------------------------------------------------------


async def _bytes(reader: Reader) -> AsyncIterator[Checked | Flaw]:
    ((total,),) = await asyncio.to_thread(reader.db.rows, "SELECT count(*) FROM blob")
    done, last = 0, 0
    while batch := await asyncio.to_thread(_batch, reader, last):
        last = batch[-1][0]
        done += len(batch)
        for flaw in await asyncio.to_thread(lambda some=batch: list(_damaged(reader, some))):  # type: ignore[misc]
            yield flaw
        yield Checked(messages=done, total=max(total, done))


def _batch(reader: Reader, last: int) -> list[tuple[Any, ...]]:
    return reader.db.rows(
        "SELECT blob_id FROM blob WHERE blob_id > ? ORDER BY blob_id LIMIT ?",
        (last, limits.VERIFY_BATCH),
    )


def _damaged(reader: Reader, batch: list[tuple[Any, ...]]) -> Iterator[Flaw]:
    for (blob_id,) in batch:
        try:
            read_whole(reader, blob_id)
        except NotFound:
            continue  # deleted meanwhile
        except Damaged as why:
            for where in _owners(reader, blob_id):
                yield Flaw(kind="damaged message", what=f"{where}: {why}")


def _owners(reader: Reader, blob_id: int) -> list[str]:
    rows = reader.db.rows(
        "SELECT a.address || ' ' || m.name || ' uid ' || p.uid FROM email e"
        " JOIN placement p ON p.account_id = e.account_id AND p.email_id = e.email_id"
        " JOIN account a ON a.account_id = e.account_id"
        " JOIN mailbox m ON m.account_id = p.account_id AND m.mailbox_id = p.mailbox_id WHERE e.blob_id = ?1"
        " UNION ALL SELECT 'queue ' || queue_id FROM queued WHERE blob_id = ?1",
        (blob_id,),
    )
    return [where for (where,) in rows] or [f"bytes {blob_id} that nobody has"]


# --- mending ------------------------------------------------------------------------------------------------


def _mend(tx: Transaction) -> list[Flaw]:
    """In the writer's thread, by itself: nothing changes meanwhile, so whatever is wrong now is wrong."""
    mended: list[Flaw] = []
    miscounted = tx.query(_COUNTS)
    for rule in _RULES:
        found = tx.query(rule.find)
        for statement in rule.mend if found else ():
            tx.execute(statement)
        if rule.by is not None and found:
            rule.by(tx)
        if rule.mend or rule.by is not None:
            mended += [Flaw(kind=rule.kind, what=what, mended=True) for (what,) in found]
    for account_id, mailbox_id, name in miscounted:
        _recount(tx, account_id, mailbox_id)
        mended.append(Flaw(kind="wrong counts", what=f"account {account_id} mailbox {name}", mended=True))
    if mended:
        tx.execute("DELETE FROM mailbox_snapshot")
    return mended


def _recount(tx: Transaction, account_id: int, mailbox_id: int) -> None:
    account, mailbox = tx.mailbox(account_id, mailbox_id)
    tx.settle_flags(account_id, mailbox_id, 1, mailbox.uid_next)
    ((total, unseen, deleted, size),) = tx.query(
        "SELECT count(*), total(flags & 1 = 0), total(flags & 8 != 0), total(size) FROM placement"
        " WHERE account_id = ? AND mailbox_id = ?",
        (account_id, mailbox_id),
    )
    account.messages += total - mailbox.total
    account.octets += int(size) - mailbox.size
    mailbox.total, mailbox.unseen, mailbox.deleted, mailbox.size = total, int(unseen), int(deleted), int(size)
    tx.bump_mailbox(account, mailbox)
