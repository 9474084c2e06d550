"""Forgetting old lines of the timeline."""

from __future__ import annotations

from collections.abc import Iterator

from posthouse import limits
from posthouse.store.interface import PruneEvents
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sqlite.transaction import Transaction


def prune(tx: Transaction, op: PruneEvents) -> int | Pieces:
    """PruneEvents. Lines are numbered in the order they came, so the old ones stand in front."""
    pieces = _pieces(tx, op)
    if tx.may_cut:
        return Pieces(pieces)
    *_, pruned = pieces
    return pruned or 0


def _pieces(tx: Transaction, op: PruneEvents) -> Iterator[int | None]:
    """A day's lines may be millions: mail goes on between two pieces of them."""
    ((first_kept,),) = tx.query(
        "SELECT coalesce((SELECT event_id FROM event WHERE at >= ? ORDER BY event_id LIMIT 1),"
        " (SELECT max(event_id) + 1 FROM event), 0)",
        (op.before,),
    )
    pruned = 0
    while True:
        tx.execute(
            "DELETE FROM event WHERE event_id IN"
            " (SELECT event_id FROM event WHERE event_id < ? ORDER BY event_id LIMIT ?)",
            (first_kept, limits.PIECE_ROWS),
        )
        gone = tx.row_count()
        pruned += gone
        if gone < limits.PIECE_ROWS:
            break
        yield None
    yield pruned
