"""Dropping terms that no message of an account has any more (`search_term`), a few at a time, by whichever node.

A node does not list a term twice: it remembers what it has listed (`KnownTerms`). So that no term is missing which a
node believes to be there, whoever lists terms holds a shared lock on the account's list, a sweep an exclusive one, and
each piece of a sweep counts `sweeps` up: what was remembered from before is listed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.store.postgres.transaction import Transaction

Word = tuple[str, str]
"""Class, term."""

MARK: Final = "\ue000"
"""Between an account and a class in a lexeme."""

_KEY: Final = "hashtextextended('search_term ' || a, 0)"
_SHARE: Final = f"SELECT pg_advisory_xact_lock_shared({_KEY}) FROM unnest($1::bigint[]) AS a"
_OWN: Final = f"SELECT pg_advisory_xact_lock({_KEY}) FROM unnest($1::bigint[]) AS a"
_SWEEPS: Final = "SELECT account_id, sweeps FROM search_sweep WHERE account_id = ANY($1::bigint[])"
_REMOVED: Final = (
    "INSERT INTO search_sweep SELECT a, n, 0, 0, NULL, NULL FROM unnest($1::bigint[], $2::bigint[]) AS gone (a, n)"
    " ON CONFLICT (account_id) DO UPDATE SET removed = search_sweep.removed + excluded.removed"
)
_NEXT: Final = (
    "SELECT account_id, removed, class, term FROM search_sweep WHERE class IS NOT NULL OR removed <> looked"
    " ORDER BY class IS NULL, account_id LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_LEFT: Final = "SELECT count(*) FROM (SELECT 1 FROM search_document WHERE account_id = $1 LIMIT $2) AS there"
_PIECE: Final = (
    "SELECT class, term FROM search_term WHERE account_id = $1 AND (class, term) > ($2, $3)"
    " ORDER BY class, term LIMIT $4"
)
# Every term is asked of the index: PostgreSQL does not know what reading the terms of a row costs.
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off"
_DROP: Final = (
    "DELETE FROM search_term USING unnest($2::text[], $3::text[], $4::text[]) AS asked (c, t, lexeme)"
    " WHERE account_id = $1 AND class = c AND term = t AND NOT EXISTS"
    " (SELECT 1 FROM search_document d WHERE d.terms @@ asked.lexeme::tsquery)"
)


class Learnt(msgspec.Struct):
    """Terms of an account that are listed, and how often the list had been swept."""

    sweeps: int
    words: set[Word] = msgspec.field(default_factory=set)


class KnownTerms:
    """Which terms a node knows to be listed: most words of a message came before."""

    def __init__(self) -> None:
        self._accounts: dict[int, Learnt] = {}
        self._count = 0

    def of(self, account_id: int, sweeps: int) -> Collection[Word]:
        """An account's, as long as none can have gone."""
        known = self._accounts.get(account_id)
        return known.words if known is not None and known.sweeps == sweeps else ()

    def remember(self, learnt: Mapping[int, Learnt]) -> None:
        """These are committed."""
        for account_id, new in learnt.items():
            known = self._accounts.setdefault(account_id, Learnt(new.sweeps))
            if known.sweeps != new.sweeps:
                self._count -= len(known.words)
                known = self._accounts[account_id] = Learnt(new.sweeps)
            before = len(known.words)
            known.words |= new.words
            self._count += len(known.words) - before
        if self._count > limits.SEARCH_KNOWN_TERMS:
            self._accounts.clear()
            self._count = 0


def begin_to_list(tx: Transaction, account_ids: Collection[int]) -> dict[int, int]:
    """Keep sweeps of these accounts' terms away until the commit; how often each was swept."""
    wanted = sorted(account_ids)
    tx.fetch(_SHARE, wanted)
    return dict.fromkeys(wanted, 0) | dict(tx.fetch(_SWEEPS, wanted))


def note_removed(tx: Transaction, account_ids: Collection[int]) -> None:
    """Indexed messages of these accounts went: one for each time that an account is named."""
    counts = [(account_id, list(account_ids).count(account_id)) for account_id in sorted(set(account_ids))]
    if counts:
        tx.fetch(_REMOVED, *map(list, zip(*counts, strict=True)))


def sweep_terms(tx: Transaction) -> bool:
    """Look at one account, or at some terms of it; whether there may be more to do."""
    rows = tx.fetch(_NEXT)
    if not rows:
        return False
    account_id, removed, class_, term = rows[0]
    if class_ is None:
        if not _is_due(tx, account_id, removed):
            tx.fetch("UPDATE search_sweep SET looked = removed WHERE account_id = $1", account_id)
            return True
        class_ = term = ""
    tx.fetch(_OWN, [account_id])
    piece = tx.fetch(_PIECE, account_id, class_, term, limits.SEARCH_SWEEP_PIECE)
    if piece:
        classes, terms = map(list, zip(*piece, strict=True))
        lexemes = [quoted(lexeme_of(account_id, *word)) for word in zip(classes, terms, strict=True)]
        tx.fetch(_BY_INDEX)
        tx.fetch(_DROP, account_id, classes, terms, lexemes)
    if len(piece) < limits.SEARCH_SWEEP_PIECE:
        ended = "removed = 0, looked = 0, class = NULL, term = NULL"
        tx.fetch(f"UPDATE search_sweep SET sweeps = sweeps + 1, {ended} WHERE account_id = $1", account_id)
    else:
        place: tuple[Any, ...] = tuple(piece[-1])
        here = "UPDATE search_sweep SET sweeps = sweeps + 1, class = $2, term = $3 WHERE account_id = $1"
        tx.fetch(here, account_id, *place)
    return True


def _is_due(tx: Transaction, account_id: int, removed: int) -> bool:
    """As many were removed as there are left, so that each message pays for few looks at a term."""
    ((left,),) = tx.fetch(_LEFT, account_id, removed + 1)
    return left == 0 or (removed >= limits.SEARCH_SWEEP and removed >= left)


def lexeme_of(account_id: int, class_: str, term: str) -> str:
    """A term as it stands in a message's `tsvector`."""
    return f"{account_id:x}{MARK}{class_}{term}"


def quoted(lexeme: str) -> str:
    """A lexeme as a `tsquery`."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
