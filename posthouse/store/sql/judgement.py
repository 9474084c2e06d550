"""Operations on what the junk filter keeps: verdicts, lessons, memos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from posthouse import limits
from posthouse.store.judgement import EndLesson, Lesson, LessonKind, Memo, PruneMemos, PutMemo, RemoveMemo
from posthouse.store.memory.changes import LessonsCame
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

_AT_ONCE = 500
"""Numbers or keys of one statement: engines bound how many bindings it may have."""
_PAIRS = (1, 4, 16, 64)
"""Pairs of account and key in one statement; few sizes, so that the statements stay prepared."""


def note_lessons(tx: Transaction, kind: LessonKind, where: str, bindings: Sequence[Any]) -> None:
    """Emails among the placements that a condition selects are to be learnt from: the latest of very many."""
    if not tx.may_grow:
        return
    tx.execute(
        "INSERT INTO lesson SELECT account_id, email_id, ? FROM"
        f" (SELECT account_id, email_id FROM placement WHERE {where} ORDER BY uid DESC LIMIT ?) AS p WHERE true"
        " ON CONFLICT (account_id, email_id) DO UPDATE SET kind = excluded.kind",
        (kind.value, *bindings, limits.LESSONS_PER_COMMAND),
    )
    tx.publish_once(LessonsCame())


def pass_on_lessons(
    tx: Transaction, kind: LessonKind, account_id: int, where: str, bindings: Sequence[Any]
) -> None:
    """Emails whose copies are to be learnt from need not be: clients without MOVE flag, copy and delete."""
    tx.execute(
        "DELETE FROM lesson WHERE account_id = ? AND kind = ? AND email_id IN"
        f" (SELECT email_id FROM placement WHERE {where})",
        (account_id, kind.value, *bindings),
    )


def note_lesson(tx: Transaction, kind: LessonKind, account_id: int, email_id: int) -> None:
    """One email is to be learnt from."""
    tx.execute(
        "INSERT INTO lesson VALUES (?, ?, ?) ON CONFLICT (account_id, email_id) DO UPDATE SET kind = excluded.kind",
        (account_id, email_id, kind.value),
    )
    tx.publish_once(LessonsCame())


def end_lesson(tx: Transaction, op: EndLesson) -> None:
    """EndLesson."""
    key = (op.account_id, op.email_id)
    if op.kind is not None:
        tx.execute(
            "DELETE FROM lesson WHERE account_id = ? AND email_id = ? AND kind = ?", (*key, op.kind.value)
        )
    there = tx.query("SELECT 1 FROM email WHERE account_id = ? AND email_id = ?", key)
    if there and tx.may_grow:
        tx.execute(
            "INSERT INTO verdict (account_id, email_id, learnt, data) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account_id, email_id) DO UPDATE SET learnt = excluded.learnt",
            (*key, op.learnt, b""),
        )


def put_memo(tx: Transaction, op: PutMemo) -> None:
    """PutMemo."""
    if not tx.may_grow:
        return
    memo = op.memo
    tx.execute(
        "INSERT INTO memo (account_id, kind, key, until, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id, kind, key) DO UPDATE SET until = excluded.until, data = excluded.data",
        (memo.account_id, memo.kind, memo.key, memo.until, memo.data),
    )


def remove_memo(tx: Transaction, op: RemoveMemo) -> None:
    """RemoveMemo."""
    tx.execute(
        "DELETE FROM memo WHERE account_id = ? AND kind = ? AND key = ?", (op.account_id, op.kind, op.key)
    )


def prune_memos(tx: Transaction, op: PruneMemos) -> int:
    """PruneMemos."""
    gone = tx.execute(
        "DELETE FROM memo WHERE (account_id, kind, key) IN"
        " (SELECT account_id, kind, key FROM memo WHERE until IS NOT NULL AND until <= ? ORDER BY until LIMIT ?)"
        " RETURNING 1",
        (op.now, limits.PIECE_ROWS),
    )
    return len(gone)


def read_verdicts(db: Database, account_id: int, email_ids: Sequence[int]) -> dict[int, tuple[bytes, str]]:
    """Email → (verdict or empty, as what it was learnt)."""
    found: dict[int, tuple[bytes, str]] = {}
    for start in range(0, len(email_ids), _AT_ONCE):
        some = email_ids[start : start + _AT_ONCE]
        for email_id, data, learnt in db.rows(
            "SELECT email_id, data, learnt FROM verdict"
            f" WHERE account_id = ? AND email_id IN ({', '.join('?' * len(some))})",
            (account_id, *some),
        ):
            found[email_id] = (bytes(data), learnt)
    return found


def read_lessons(db: Database, limit: int) -> list[Lesson]:
    """Some lessons that wait, by account."""
    return [
        Lesson(account_id=account_id, email_id=email_id, kind=LessonKind(kind), learnt=learnt)
        for account_id, email_id, kind, learnt in db.rows(
            "SELECT l.account_id, l.email_id, l.kind, coalesce(v.learnt, '') FROM lesson l LEFT JOIN verdict v"
            " ON v.account_id = l.account_id AND v.email_id = l.email_id"
            " ORDER BY l.account_id, l.email_id LIMIT ?",
            (limit,),
        )
    ]


def read_memos(
    db: Database, account_id: int, kind: str, keys: Sequence[str] | None, now: float, limit: int
) -> list[Memo]:
    """Memos of a kind that have not ended, by key."""
    which = "" if keys is None else f" AND key IN ({', '.join('?' * len(keys))})"
    rows = db.rows(
        "SELECT key, data, until FROM memo WHERE account_id = ? AND kind = ? AND (until IS NULL OR until > ?)"
        f"{which} ORDER BY key LIMIT ?",
        (account_id, kind, now, *(keys or ()), limit),
    )
    return [
        Memo(account_id=account_id, kind=kind, key=key, data=bytes(data), until=until)
        for key, data, until in rows
    ]


def read_memos_of(
    db: Database, kind: str, keys: Sequence[tuple[int, str]], now: float
) -> dict[tuple[int, str], Memo]:
    """Memos of a kind that have not ended, of several accounts, by (account, key)."""
    found = {}
    for start in range(0, len(keys), _PAIRS[-1]):
        some = keys[start : start + _PAIRS[-1]]
        size = next(size for size in _PAIRS if size >= len(some))
        padded = [*some, *[some[-1]] * (size - len(some))]
        rows = db.rows(
            "SELECT account_id, key, data, until FROM memo WHERE (until IS NULL OR until > ?) AND ("
            + " OR ".join(["(account_id = ? AND kind = ? AND key = ?)"] * size)
            + ")",
            (now, *(value for account_id, key in padded for value in (account_id, kind, key))),
        )
        for account_id, key, data, until in rows:
            memo = Memo(account_id=account_id, kind=kind, key=key, data=bytes(data), until=until)
            found[account_id, key] = memo
    return found
