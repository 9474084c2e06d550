"""Forgetting old lines of the timeline."""

from __future__ import annotations

from posthouse.store.interface import PruneEvents
from posthouse.store.sqlite.transaction import Transaction


def prune(tx: Transaction, op: PruneEvents) -> int:
    """PruneEvents. Lines are numbered in the order they came, so the old ones stand in front."""
    ((first_kept,),) = tx.query(
        "SELECT coalesce((SELECT event_id FROM event WHERE at >= ? ORDER BY event_id LIMIT 1),"
        " (SELECT max(event_id) + 1 FROM event), 0)",
        (op.before,),
    )
    tx.execute("DELETE FROM event WHERE event_id < ?", (first_kept,))
    return tx.row_count()
