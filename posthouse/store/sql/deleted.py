"""Operations and reads of `store.deleted`, within a writer's transaction or a reader's connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.deleted import DeletedEmail, ForgetDeleted, RestoreEmails
from posthouse.store.judgement import REJECTS
from posthouse.store.memory import changes
from posthouse.store.model import DELETED, Role
from posthouse.store.sql import shared
from posthouse.store.sql.arrivals import publish_arrivals
from posthouse.store.sql.database import Database
from posthouse.store.sql.messages import refuse_full, refuse_over_quota
from posthouse.store.sql.state import MailboxState, count
from posthouse.store.sql.transaction import Transaction

_NOT_KEPT: Final = frozenset({Role.DRAFTS, Role.JUNK})


def kept_from(tx: Transaction, mailbox: MailboxState) -> bool:
    """Whether what leaves this mailbox for good can be brought back for a time."""
    return (
        tx.settings.keep_deleted
        and tx.remembers_deleted
        and tx.may_grow
        and mailbox.role not in _NOT_KEPT
        and mailbox.name != REJECTS
    )


def keep_deleted(tx: Transaction, name: str, where: str, bindings: Sequence[Any]) -> None:
    """Note the emails of placements that are about to be removed; `name`: of their mailbox."""
    tx.execute(
        "INSERT INTO deleted_email SELECT account_id, email_id, CAST(? AS BIGINT), CAST(? AS TEXT),"
        f" flags & ?, received_at FROM placement WHERE {where} ON CONFLICT DO NOTHING",
        (tx.now, name, ~DELETED, *bindings),
    )


def restore(tx: Transaction, op: RestoreEmails) -> Ranges:
    """RestoreEmails."""
    tx.refuse_growth()
    account, target = tx.mailbox(op.account_id, op.mailbox_id)
    condition, these = tx.among("d.email_id", op.email_ids)
    source = (
        "FROM deleted_email d JOIN email e ON e.account_id = d.account_id AND e.email_id = d.email_id"
        f" WHERE d.account_id = ? AND {condition}"
    )
    bindings = (op.account_id, these)
    ((messages, octets, unseen),) = tx.query(
        "SELECT count(*), CAST(coalesce(sum(e.size), 0) AS BIGINT), count(*) FILTER (WHERE d.flags & 1 = 0)"
        f" {source}",
        bindings,
    )
    if not messages:
        return EMPTY
    refuse_full(target, messages)
    refuse_over_quota(tx, account, octets)
    modseq = tx.bump_mailbox(account, target)
    first = target.uid_next
    tx.execute(
        "INSERT INTO placement SELECT account_id, CAST(? AS BIGINT), ? + nth - 1, email_id, flags,"
        " CAST(? AS BIGINT), CAST(? AS BIGINT), size, received_at, CAST(? AS BIGINT)"
        " FROM (SELECT d.account_id, d.email_id, d.flags, e.size, d.received_at,"
        f" row_number() OVER (ORDER BY d.received_at, d.email_id) AS nth {source}) AS chosen",
        (op.mailbox_id, first, modseq, modseq, tx.now, *bindings),
    )
    condition, these = tx.among("email_id", op.email_ids)
    tx.execute(f"DELETE FROM deleted_email WHERE account_id = ? AND {condition}", (op.account_id, these))
    target.uid_next = first + messages
    count(account, target, messages, octets, unseen, 0)
    email_ids = publish_arrivals(tx, account, target, first, modseq)
    if op.mailbox_id in account.shared:
        shared.note(tx, account, target, email_ids, came=True)
    return Ranges.between(first, first + messages - 1)


def forget(tx: Transaction, op: ForgetDeleted) -> int:
    """ForgetDeleted."""
    if op.email_ids:
        which, some = tx.among("email_id", op.email_ids)
        return _discard(tx, op.account_id, which, (some,))
    return _discard(tx, op.account_id, "deleted_at < ?", (op.before,))


def discard_some(tx: Transaction, account_id: int, most: int = limits.PIECE_ROWS) -> int:
    """Leave some deleted emails of an account to the sweeper, whenever they were deleted; how many."""
    return _discard(tx, account_id, "TRUE", (), most)


def _discard(
    tx: Transaction, account_id: int, which: str, bindings: Collection[Any], most: int = limits.PIECE_ROWS
) -> int:
    rows = tx.execute(
        "DELETE FROM deleted_email WHERE account_id = ? AND email_id IN (SELECT email_id FROM deleted_email"
        f" WHERE account_id = ? AND {which} LIMIT ?) RETURNING email_id",
        (account_id, account_id, *bindings, most),
    )
    if rows:
        tx.discard_emails(account_id, [email_id for (email_id,) in rows])
        tx.publish_once(changes.RemainsCame())
    return len(rows)


# --- reading ----------------------------------------------------------------------------------------------

_SELECT: Final = (
    "SELECT d.email_id, d.deleted_at, d.received_at, d.mailbox, e.size FROM deleted_email d"
    " JOIN email e ON e.account_id = d.account_id AND e.email_id = d.email_id WHERE d.account_id = ?"
)


def _emails(rows: Sequence[Sequence[Any]]) -> list[DeletedEmail]:
    fields = DeletedEmail.__struct_fields__
    return [msgspec.convert(dict(zip(fields, row, strict=True)), DeletedEmail) for row in rows]


def latest(db: Database, account_id: int, limit: int, since: int) -> list[DeletedEmail]:
    """As `Store.deleted`."""
    order = "ORDER BY d.deleted_at DESC, d.email_id DESC LIMIT ?"
    return _emails(db.rows(f"{_SELECT} AND d.deleted_at >= ? {order}", (account_id, since, limit)))


def these(db: Database, account_id: int, email_ids: Sequence[int]) -> list[DeletedEmail]:
    """As `Store.deleted_emails`."""
    condition, some = db.among("d.email_id", email_ids)
    return _emails(db.rows(f"{_SELECT} AND {condition} ORDER BY d.email_id", (account_id, some)))


def accounts(db: Database, before: int) -> list[int]:
    """As `Store.accounts_with_deleted`."""
    rows = db.rows("SELECT DISTINCT account_id FROM deleted_email WHERE deleted_at < ?", (before,))
    return [account_id for (account_id,) in rows]
