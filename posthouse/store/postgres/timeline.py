"""Forgetting old lines of the timeline."""

from __future__ import annotations

from posthouse.store.interface import PruneEvents
from posthouse.store.postgres.transaction import Transaction


def prune(tx: Transaction, op: PruneEvents) -> int:
    """PruneEvents."""
    rows = tx.fetch(
        "WITH gone AS (DELETE FROM event WHERE at < $1 RETURNING 1) SELECT count(*) FROM gone", op.before
    )
    return int(rows[0][0])
