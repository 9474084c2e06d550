"""The rows of one batch as one statement: a part for each table, over arrays, and what it returns when it may not be.

A batch costs one round trip however many tables it touches. One row alone is given as values: arrays of one are dear to
make on either side. `LEAN` batches are a transaction by themselves: beside the
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
_SELECTED: Final = {
    "blob": (
        "account_id, blob_id, size, coalesce(digest, substr(sha256(content), 1, 16)), object, content",
        "account_id, blob_id, size, digest, object, content",
    )
}
"""Of tables that are not filled with just what is given: what is selected, and the names of what is given."""
_MOVED: Final = "moved"
_COUNTED: Final = "counted"
_TYPES: Final = {
    **COLUMNS,
    "account_state": _STATES,
    "mailbox": _MAILBOXES,
    "commit_mark": (_T, _B, _B),
    _MOVED: _STATES,
    _COUNTED: _COUNTS,
}
"""The types of the columns of what is given with a batch."""


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
    return _statement(tuple(map(_shape, parts))), _bindings(parts)


def lean(parts: Sequence[Part], rests_on: Lean) -> tuple[str, list[Any]]:
    """The statement that is a transaction by itself. Division by zero: it may not be, and nothing was written."""
    states, counts = rests_on.states, rests_on.counts
    given = [
        *([Part(_MOVED, states)] if states else []),
        *([Part(_COUNTED, counts)] if counts else []),
        *parts,
    ]
    bindings = [rests_on.marked, rests_on.number, rests_on.now, [state[0] for state in states]]
    return _lean_statement(tuple(map(_shape, given))), bindings + _bindings(given)


Shape = tuple[str, bool]
"""Of a part: its table, and whether it is one row, given as values."""


def _shape(part: Part) -> Shape:
    return part.table, len(part.rows) == 1


def _bindings(parts: Iterable[Part]) -> list[Any]:
    bindings: list[Any] = []
    for part in parts:
        bindings += part.rows[0] if len(part.rows) == 1 else map(list, zip(*part.rows, strict=True))
    return bindings


class _Rows:
    """A part's rows within a statement, with numbers of bindings."""

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def of(self, shape: Shape) -> str:
        table, single = shape
        types = _TYPES[table]
        first, self._next = self._next, self._next + len(types)
        if single:
            return "VALUES (" + ", ".join(f"${n}::{t}" for n, t in enumerate(types, first)) + ")"
        return "SELECT * FROM unnest(" + ", ".join(f"${n}::{t}[]" for n, t in enumerate(types, first)) + ")"


def _insert(shape: Shape, rows: _Rows) -> str:
    table = shape[0]
    if table in _SELECTED:
        selected, names = _SELECTED[table]
        return f"INSERT INTO {table} SELECT {selected} FROM ({rows.of(shape)}) AS new ({names})"
    return f"INSERT INTO {table}{_NAMED.get(table, '')} {rows.of(shape)}{_UPSERTS.get(table, '')}"


@cache
def _statement(shapes: tuple[Shape, ...]) -> str:
    rows = _Rows()
    *before, last = [_insert(shape, rows) for shape in shapes]
    named = ", ".join(f"w{n} AS ({insert})" for n, insert in enumerate(before))
    return f"WITH {named} {last}" if named else last


@cache
def _lean_statement(shapes: tuple[Shape, ...]) -> str:
    """The mark first, so that whoever asks after us waits; then the locks, in order; the rows only when all is well."""
    rows = _Rows(5)
    parts = [
        "mark AS (UPDATE commit_mark SET number = $2, at = $3 WHERE node = $1 AND number < $2 RETURNING 1)",
        "locked AS MATERIALIZED (SELECT account_id, modseq FROM account_state"
        " WHERE account_id = ANY($4::bigint[]) AND (SELECT count(*) FROM mark) = 1 ORDER BY account_id FOR UPDATE)",
    ]
    as_it_was = "(SELECT count(*) FROM mark) = 1"
    for n, shape in enumerate(shapes):
        if shape[0] == _MOVED:
            parts.append(_MOVE.format(rows.of(shape)))
            as_it_was += " AND (SELECT count(*) FROM moved) = cardinality($4::bigint[])"
        elif shape[0] == _COUNTED:
            parts.append(_COUNT.format(rows.of(shape)))
        else:
            parts.append(f"w{n} AS ({_insert(shape, rows)})")
    return f"WITH {', '.join(parts)} SELECT 1 / (CASE WHEN {as_it_was} THEN 1 ELSE 0 END)"


_MOVE: Final = (
    "moved AS (UPDATE account_state s SET modseq = n.later FROM ({}) AS n (account_id, modseq, later)"
    " JOIN locked l ON l.account_id = n.account_id AND l.modseq = n.modseq"
    " WHERE s.account_id = n.account_id RETURNING 1)"
)
_COUNT: Final = (
    "counted AS (UPDATE mailbox m SET uid_next = n.u, highest_modseq = n.h, total = n.t, unseen = n.s,"
    " deleted = n.d, size = n.o FROM ({}) AS n (account_id, mailbox_id, u, h, t, s, d, o)"
    " WHERE m.account_id = n.account_id AND m.mailbox_id = n.mailbox_id RETURNING 1)"
)
