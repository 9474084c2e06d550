"""Which nodes are alive: each gives a sign of life; who was silent for long is dead, and others take over.

Silence is measured by the database's clock alone. After an outage of the database everybody was silent: who comes back
first gives the others NODE_PATIENCE to come back too, for what they deliver meanwhile must not be sent twice. Each
says which schema it knows, so that nothing is written that a node of the version before would misread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from posthouse import limits
from posthouse.store.postgres import migrate
from posthouse.store.postgres.transaction import Transaction

MARK_KEPT: Final = 30 * 86_400
"""Seconds that the latest commit of a node that is gone is remembered."""
_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
_BEAT: Final = (
    f"INSERT INTO node (node, name, roles, version, schema, seen_at) VALUES ($1, $2, $3, $4, $5, {_NOW})"
    f" ON CONFLICT (node) DO UPDATE SET seen_at = {_NOW}"
)
_DEAD: Final = f"DELETE FROM node WHERE seen_at < {_NOW} - $1 RETURNING node"
_FORGET: Final = (
    # Never of a living node: its next commit, if the answer is lost, is asked after by this row.
    "DELETE FROM commit_mark m WHERE at < $1 AND NOT EXISTS"
    " (SELECT 1 FROM node WHERE node.node = rtrim(m.node, '+'))"
)
_AGREED: Final = "SELECT (SELECT max(version) FROM schema_version), coalesce(min(schema), 0) FROM node"
_ORPHANED: Final = (
    "SELECT DISTINCT holder FROM queued_recipient WHERE holder <> ''"
    " AND NOT EXISTS (SELECT 1 FROM node WHERE node = holder)"
)


class Node:
    """Ourselves among the others."""

    def __init__(self, node: str, name: str, roles: tuple[str, ...], version: str) -> None:
        self._row = (node, name, " ".join(roles), version, max(migrate.steps()))
        self._beaten = -math.inf
        self._since = math.inf
        """Since when we have given signs of life without a break."""
        self.died: Callable[[list[str]], None] = _nobody
        """Told who has gone without giving its leases back."""
        self.agreed: Callable[[int, int], None] = _nothing
        """Told the schema of the database, and the lowest that a node knows."""

    async def beat(self, connection: asyncpg.Connection[Any]) -> None:
        """Give a sign of life when it is time, and bury the dead."""
        now = time.monotonic()
        if now - self._beaten < limits.NODE_BEAT:
            return
        await connection.execute(_BEAT, *self._row)
        if now - self._beaten > limits.NODE_SILENCE / 2:
            self._since = now
        self._beaten = now
        patient = now - self._since < limits.NODE_PATIENCE
        if not patient:
            await connection.execute(_DEAD, limits.NODE_SILENCE)
        await connection.execute(_FORGET, int(time.time() - MARK_KEPT))
        self.agreed(*await connection.fetchrow(_AGREED))
        if patient:
            return
        dead = [row[0] for row in await connection.fetch(_ORPHANED) if row[0] != self._row[0]]
        if dead:
            self.died(dead)

    def leave(self, tx: Transaction) -> None:
        """We end in good order."""
        tx.fetch("DELETE FROM node WHERE node = $1", self._row[0])


def _nobody(_: list[str]) -> None:
    pass


def _nothing(_present: int, _lowest: int) -> None:
    pass
