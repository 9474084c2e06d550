"""New numbers for a node: blocks of them are taken in transactions of their own, so that no other node waits."""

from __future__ import annotations

from typing import Final

from posthouse.store.postgres.connection import Connection

_BLOCKS: Final = {"email": 1000, "blob": 1000, "event": 1000, "queue": 100, "lease": 100, "mailbox": 20}
"""Numbers taken at once, where many are needed: a node keeps what is left, and a restart skips it."""
_TAKE: Final = (
    "INSERT INTO sequence VALUES ($1, 1 + $2) ON CONFLICT (name) DO UPDATE"
    " SET ceiling = sequence.ceiling + $2 RETURNING ceiling - $2"
)


class Numbers:
    """What is left of the blocks of one writer."""

    def __init__(self, db: Connection) -> None:
        """`db`: a connection without a transaction of its own."""
        self._db = db
        self._left: dict[str, tuple[int, int]] = {}

    def take(self, sequence: str, count: int) -> int:
        """The first of `count` new, consecutive numbers that nobody was ever given."""
        first, end = self._left.get(sequence, (1, 1))
        if end - first < count:
            block = max(count, _BLOCKS.get(sequence, 1))
            ((first,),) = self._db.fetch(_TAKE, sequence, block)
            end = first + block
        self._left[sequence] = (first + count, end)
        return int(first)

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()
