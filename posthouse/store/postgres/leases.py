"""Leases of single things by single nodes: the lock on a maildrop (RFC 1939 §4) for all nodes together.

A lease is good while its node gives signs of life (`nodes.py`), so holding one costs nothing, and what a dead node
held is free after NODE_SILENCE. Each new holder gets a higher token.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.memory.readers import Readers
from posthouse.store.postgres.connection import Connection
from posthouse.store.postgres.readers import Reader

_ACQUIRE: Final = """
INSERT INTO lease AS l VALUES ($1, $2, $3, 1) ON CONFLICT (name) DO UPDATE
   SET node = excluded.node, holder = excluded.holder, token = l.token + 1
 WHERE l.holder = '' OR (l.node = excluded.node AND l.holder = excluded.holder)
    OR NOT EXISTS (SELECT 1 FROM node WHERE node.node = l.node
                    AND seen_at > extract(epoch FROM clock_timestamp())::float8 - $4)
RETURNING token
"""
_RELEASE: Final = "UPDATE lease SET holder = '' WHERE name = $1 AND node = $2 AND holder = $3"


class ClusterLocks:
    """`pop3.locks.MaildropLocks` through the database."""

    def __init__(self, readers: Readers[Reader], node: str) -> None:
        self._readers = readers
        self._node = node

    async def acquire(self, account_id: int, session_id: str) -> bool:
        """Take the lock, or say that another session has it. StoreUnavailable."""
        asked = self._readers.run(_acquire, f"pop3 {account_id}", self._node, session_id)
        try:
            return await asyncio.shield(asked) is not None
        except asyncio.CancelledError:
            # The session is gone, but the lock may be its own in a moment, and nobody else would give it back.
            asked.add_done_callback(lambda done: self._give_back(done, account_id, session_id))
            raise

    def _give_back(self, done: Any, account_id: int, session_id: str) -> None:
        if not done.cancelled() and done.exception() is None and done.result() is not None:
            with contextlib.suppress(StoreUnavailable):  # closed: the lease ends with the node
                returned = self._readers.run(_release, f"pop3 {account_id}", self._node, session_id)
                returned.add_done_callback(_seen)

    async def take_duty(self, duty: str) -> bool:
        """Whether a duty is this node's: the first one that asks keeps it as long as it lives."""
        return await self._readers.run(_acquire, f"duty {duty}", self._node, self._node) is not None

    async def release(self, account_id: int, session_id: str) -> None:
        """Give it back; others can take it when this returns, so that a reply to QUIT comes after (RFC 1939 §6).

        The work is handed over before anything is waited for, so a cancelled session releases too.
        """
        done = self._readers.run(_release, f"pop3 {account_id}", self._node, session_id)
        done.add_done_callback(_seen)
        await asyncio.wait((done,))


def acquire(db: Connection, name: str, node: str, holder: str) -> int | None:
    """Take a lease; its token, or None when another has it."""
    rows = db.fetch(_ACQUIRE, name, node, holder, limits.NODE_SILENCE)
    return rows[0][0] if rows else None


def _acquire(reader: Reader, name: str, node: str, holder: str) -> int | None:
    return acquire(reader.db, name, node, holder)


def _release(reader: Reader, name: str, node: str, holder: str) -> None:
    reader.db.fetch(_RELEASE, name, node, holder)


def _seen(done: Any) -> None:
    """The database may be away: the lease ends with our signs of life then."""
    if not done.cancelled():
        done.exception()
