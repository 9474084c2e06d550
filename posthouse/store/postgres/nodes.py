"""Which nodes are alive: each gives a sign of life; who was silent for long is dead, and others take over.

Silence is measured by the database's clock alone. After an outage of the database everybody was silent: who comes back
first gives the others NODE_PATIENCE to come back too, for what they deliver meanwhile must not be sent twice. Each
says which schema it knows, so that nothing is written that a node of the version before would misread.

Hosts are remembered longer than nodes: their names stand in the DNS and in messages when they are away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec

from posthouse import limits
from posthouse.store.host_facts import HostFacts
from posthouse.store.postgres import migrate
from posthouse.store.postgres.transaction import Transaction

MARK_KEPT: Final = 30 * 86_400
"""Seconds that the latest commit of a node that is gone is remembered."""
HOSTS_SINCE: Final = 14
"""The schema from which on hosts are remembered."""
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
_AGREED: Final = """
SELECT (SELECT array_agg(version) FROM schema_version), coalesce(min(schema), 0) FROM node
"""
"""The steps that the database has, and the lowest schema that a node knows."""
_ORPHANED: Final = (
    "SELECT DISTINCT holder FROM queued_recipient WHERE holder <> ''"
    " AND NOT EXISTS (SELECT 1 FROM node WHERE node = holder)"
)
_APPEAR: Final = (
    f"INSERT INTO host (name, roles, doors, version, seen_at, ended) VALUES ($1, $2, $3, $4, {_NOW}, false)"
    " ON CONFLICT (name, roles) DO UPDATE SET doors = excluded.doors, version = excluded.version,"
    " seen_at = excluded.seen_at, ended = false"
)
_FORGET_HOSTS: Final = f"DELETE FROM host WHERE seen_at < {_NOW} - $1"
_HOSTS: Final = f"SELECT name, roles, doors, version, {_NOW} - seen_at, ended FROM host ORDER BY name, roles"
_PORTS: Final = msgspec.json.Decoder(dict[str, int])


class Node:
    """Ourselves among the others."""

    def __init__(
        self, node: str, name: str, roles: tuple[str, ...], version: str, ports: Mapping[str, int]
    ) -> None:
        """`ports`: listener → port, of those that we serve. Without roles (a command) we are no host."""
        self._row = (node, name, " ".join(roles), version, max(migrate.steps()))
        self._host = (name, " ".join(roles), msgspec.json.encode(ports).decode(), version)
        self.hosts: tuple[HostFacts, ...] = ()
        """Those of the house, as they were at our last sign of life."""
        self._remembers = False
        self._beaten = -math.inf
        self._since = math.inf
        """Since when we have given signs of life without a break."""
        self.died: Callable[[list[str]], None] = _nobody
        """Told who has gone without giving its leases back."""
        self.agreed: Callable[[frozenset[int], int], None] = _nothing
        """Told the steps of the database's schema, and the lowest that a node knows."""

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
        steps, lowest = await connection.fetchrow(_AGREED)
        if HOSTS_SINCE in steps:
            await self._look_at_hosts(connection)
        self.agreed(frozenset(steps), lowest)
        if patient:
            return
        dead = [row[0] for row in await connection.fetch(_ORPHANED) if row[0] != self._row[0]]
        if dead:
            self.died(dead)

    async def _look_at_hosts(self, connection: asyncpg.Connection[Any]) -> None:
        """Appear among the hosts, and see who else is there."""
        self._remembers = True
        if self._host[1]:
            await connection.execute(_APPEAR, *self._host)
        await connection.execute(_FORGET_HOSTS, limits.HOST_REMEMBERED)
        self.hosts = tuple(
            HostFacts(
                name=name,
                roles=tuple(roles.split()),
                ports=_PORTS.decode(doors),
                version=version,
                silent=max(silent, 0.0),
                ended=ended,
            )
            for name, roles, doors, version, silent, ended in await connection.fetch(_HOSTS)
        )

    def leave(self, tx: Transaction) -> None:
        """We end in good order."""
        tx.fetch("DELETE FROM node WHERE node = $1", self._row[0])
        if self._remembers:
            tx.fetch("UPDATE host SET ended = true WHERE name = $1 AND roles = $2", *self._host[:2])


def _nobody(_: list[str]) -> None:
    pass


def _nothing(_steps: frozenset[int], _lowest: int) -> None:
    pass
