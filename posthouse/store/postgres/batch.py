"""The rows of one batch as one statement: a part for each table, over arrays, and what it returns when it may not be.

A batch costs one round trip however many tables it touches. `LEAN` batches are a transaction by themselves: beside the
rows they prove that our mark has not been taken back and that no account has moved, else they fail as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from posthouse.store.sql.state import AccountState, MailboxState

_B, _T, _O, _F = "bigint", "text", "bytea", "double precision"
COLUMNS: Final = {
    "blob": (_B, _B, _B, _O, _T, _O),
    "email": (_B, _B, _B, _B, _B, _O),
    "new_email": (_B, _B),
    "placement": (_B,) * 10,
    "event": (_T, _B, _F, _T, _T, _T),
    "verdict": (_B, _B, _T, _O),
    "mailbox_change": (_B, _B, _B, _B, _T),
    "flag_log": (_B,) * 7,
}
"""Tables whose new rows are gathered, with the types of their columns."""
_STATES: Final = (_B,) * 3
_MAILBOXES: Final = (_B, _B, _T, _T, *(_B,) * 10)
_COUNTS: Final = (_B,) * 8
_UPSERTS: Final = {
    "commit_mark": " ON CONFLICT (node) DO UPDATE SET number = excluded.number, at = excluded.at",
    "account_state": (
        " ON CONFLICT (account_id) DO UPDATE SET modseq = excluded.modseq, uid_validity = excluded.uid_validity"
    ),
    "mailbox": (
        " ON CONFLICT (account_id, mailbox_id) DO UPDATE SET name = excluded.name, role = excluded.role,"
        " uid_validity = excluded.uid_validity, uid_next = excluded.uid_next,"
        " highest_modseq = excluded.highest_modseq, total = excluded.total,"
        " unseen = excluded.unseen, deleted = excluded.deleted, size = excluded.size,"
        " changed_modseq = excluded.changed_modseq, sort_order = excluded.sort_order"
    ),
}
_NAMED: Final = {"account_state": " (account_id, modseq, uid_validity)"}
"""Tables of which not all columns are given, or not in their order."""
_TYPES: Final = {**COLUMNS, "account_state": _STATES, "mailbox": _MAILBOXES, "commit_mark": (_T, _B, _B)}


class Part(msgspec.Struct, frozen=True):
    """Rows of one table."""

    table: str
    rows: Sequence[tuple[Any, ...]]


class Lean(msgspec.Struct, frozen=True):
    """What a batch that is a transaction by itself rests on, and the counts that it moves."""

    marked: str
    """Whose mark (`commit_mark`), its new number, and the time in POSIX seconds."""
    number: int
    now: int
    states: Sequence[tuple[int, int, int]]
    """Of each account: its number, the mod-sequence that memory has, the new one."""
    counts: Sequence[tuple[int, ...]]
    """Of each mailbox: account, mailbox, uid_next, highest_modseq, total, unseen, deleted, size."""


def states_of(accounts: Iterable[AccountState]) -> list[Part]:
    """The rows of changed accounts and of their changed mailboxes, which are then no longer due."""
    mailboxes = []
    states = []
    for account in sorted(accounts, key=lambda each: each.account_id):
        account.row_due = False
        states.append((account.account_id, account.modseq, account.uid_validity))
        mailboxes += [
            (account.account_id, mailbox.mailbox_id, mailbox.name, mailbox.role.value if mailbox.role else None,
             mailbox.uid_validity, mailbox.uid_next, mailbox.highest_modseq, mailbox.total,
             mailbox.unseen, mailbox.deleted, mailbox.size, mailbox.created_modseq,
             mailbox.changed_modseq, mailbox.sort_order)
            for mailbox in _changed(account)
        ]  # fmt: skip
    return [part for part in (Part("mailbox", mailboxes), Part("account_state", states)) if part.rows]


def counts_of(
    accounts: Iterable[tuple[AccountState, int]],
) -> tuple[list[tuple[int, int, int]], list[tuple[int, ...]]]:
    """What a lean batch moves (`Lean.states`, `Lean.counts`); with each account the mod-sequence it had before."""
    states = []
    counts: list[tuple[int, ...]] = []
    for account, before in accounts:
        account.row_due = False
        states.append((account.account_id, before, account.modseq))
        counts += [
            (account.account_id, mailbox.mailbox_id, mailbox.uid_next, mailbox.highest_modseq,
             mailbox.total, mailbox.unseen, mailbox.deleted, mailbox.size)
            for mailbox in _changed(account)
        ]  # fmt: skip
    return states, counts


def _changed(account: AccountState) -> Iterator[MailboxState]:
    for mailbox_id in sorted(account.changed):
        mailbox = account.mailboxes.get(mailbox_id)
        if mailbox is not None:
            mailbox.row_due = False
            mailbox.unsaved = 0
            yield mailbox


def written(parts: Sequence[Part]) -> tuple[str, list[Any]]:
    """A statement that writes all parts, and its bindings. For an open transaction with the accounts locked."""
    bindings: list[Any] = []
    for part in parts:
        bindings += _columns(part.rows)
    return _statement(tuple(part.table for part in parts)), bindings


def lean(parts: Sequence[Part], rests_on: Lean) -> tuple[str, list[Any]]:
    """The statement that is a transaction by itself. Division by zero: it may not be, and nothing was written."""
    bindings: list[Any] = [rests_on.marked, rests_on.number, rests_on.now]
    bindings += _columns(rests_on.states) or [[], [], []]
    if rests_on.counts:
        bindings += _columns(rests_on.counts)
    for part in parts:
        bindings += _columns(part.rows)
    return _lean_statement(tuple(part.table for part in parts), bool(rests_on.counts)), bindings


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


class _Arrays:
    """Hands out numbers of bindings."""

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def of(self, types: Sequence[str]) -> str:
        first, self._next = self._next, self._next + len(types)
        return "unnest(" + ", ".join(f"${n}::{t}[]" for n, t in enumerate(types, first)) + ")"


def _inserts(tables: Sequence[str], arrays: _Arrays) -> Iterator[str]:
    for table in tables:
        rows = f"SELECT * FROM {arrays.of(_TYPES[table])}"
        yield f"INSERT INTO {table}{_NAMED.get(table, '')} {rows}{_UPSERTS.get(table, '')}"


@cache
def _statement(tables: tuple[str, ...]) -> str:
    *before, last = _inserts(tables, _Arrays())
    named = ", ".join(f"w{n} AS ({insert})" for n, insert in enumerate(before))
    return f"WITH {named} {last}" if named else last


@cache
def _lean_statement(tables: tuple[str, ...], with_counts: bool) -> str:
    """The mark first, so that whoever asks after us waits; then the locks, in order; the rows only when all is well."""
    arrays = _Arrays(4)
    parts = [
        "mark AS (UPDATE commit_mark SET number = $2, at = $3 WHERE node = $1 AND number < $2 RETURNING 1)",
        "locked AS MATERIALIZED (SELECT account_id, modseq FROM account_state"
        " WHERE account_id = ANY($4::bigint[]) AND (SELECT count(*) FROM mark) = 1 ORDER BY account_id FOR UPDATE)",
        "moved AS (UPDATE account_state s SET modseq = n.later"
        f" FROM {arrays.of(_STATES)} AS n (account_id, modseq, later)"
        " JOIN locked l ON l.account_id = n.account_id AND l.modseq = n.modseq"
        " WHERE s.account_id = n.account_id RETURNING 1)",
    ]
    if with_counts:
        parts.append(
            "counted AS (UPDATE mailbox m SET uid_next = n.u, highest_modseq = n.h, total = n.t, unseen = n.s,"
            f" deleted = n.d, size = n.o FROM {arrays.of(_COUNTS)} AS n (account_id, mailbox_id, u, h, t, s, d, o)"
            " WHERE m.account_id = n.account_id AND m.mailbox_id = n.mailbox_id RETURNING 1)"
        )
    parts += [f"w{n} AS ({insert})" for n, insert in enumerate(_inserts(tables, arrays))]
    return (
        f"WITH {', '.join(parts)} SELECT 1 / (CASE WHEN (SELECT count(*) FROM mark) = 1"
        " AND (SELECT count(*) FROM moved) = cardinality($4::bigint[]) THEN 1 ELSE 0 END)"
    )
