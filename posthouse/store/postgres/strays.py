"""Objects that nothing points at: noted when they lose their row or are found without one, removed after a grace.

Within the transactions of upkeep; the object store is asked by `sweeping.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from posthouse import limits

if TYPE_CHECKING:
    from posthouse.store.postgres.transaction import Transaction

_NOTE: Final = (
    "INSERT INTO stray_object SELECT object, $2 FROM unnest($1::text[]) AS new (object)"
    " ON CONFLICT (object) DO NOTHING"
)
_STRAYS: Final = (
    "SELECT s.object FROM stray_object s WHERE s.since <= $1 ORDER BY s.since LIMIT $2 FOR UPDATE SKIP LOCKED"
)
_FORGET: Final = "DELETE FROM stray_object WHERE object = ANY($1::text[])"
_OWNED: Final = "SELECT DISTINCT object FROM blob WHERE object = ANY($1::text[])"


def note(tx: Transaction, keys: Collection[str], since: int) -> None:
    """These objects may have lost their last row."""
    if keys:
        tx.fetch(_NOTE, sorted(keys), since)


def note_unowned(tx: Transaction, keys: list[str], since: int) -> None:
    """Note those of the objects that have no rows."""
    note(tx, set(keys) - _owned(tx, keys), since)


def due(tx: Transaction, before: float) -> list[str]:
    """Objects that were strays before a time and have no rows; those that have some are strays no more."""
    keys = [row[0] for row in tx.fetch(_STRAYS, int(before), limits.SWEEP_BATCH)]
    owned = _owned(tx, keys)
    if owned:
        tx.fetch(_FORGET, sorted(owned))
    return [key for key in keys if key not in owned]


def gone(tx: Transaction, keys: list[str]) -> None:
    """These objects are removed."""
    tx.fetch(_FORGET, keys)


def _owned(tx: Transaction, keys: list[str]) -> set[str]:
    return {row[0] for row in tx.fetch(_OWNED, keys)}
