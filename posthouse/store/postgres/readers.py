"""What a reading thread works with: a connection of its own, and the object store that all share."""

from __future__ import annotations

from posthouse.store.postgres.connection import Connection, Server
from posthouse.store.s3 import Objects


class Reader:
    """One thread only."""

    def __init__(self, server: Server, objects: Objects | None, clock_ahead: float) -> None:
        self.db = Connection(server)
        self.objects = objects
        self.clock_ahead = clock_ahead
        """Seconds that the database's clock is ahead of ours."""

    def close(self) -> None:
        """Let go of the connection."""
        self.db.close()
