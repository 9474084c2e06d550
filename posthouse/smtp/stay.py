"""How long the session of a login may stay: until what it came with is revoked or ends (`accounts.open_logins`).

Whoever is sent away in the middle of a command hears so at the next read. A message whose text is whole is first
answered, however long that takes: who never hears of the 250 would send it a second time.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from posthouse.accounts.model import Login
from posthouse.accounts.open_logins import OpenLogins
from posthouse.accounts.sasl_login import ConnectionFacts
from posthouse.net.connection import Connection
from posthouse.smtp.replies import Reply

T = TypeVar("T")

SENT_AWAY: Final = Reply(421, "4.7.0", "The login is not good any more")


class Stay:
    """One session's. `end` is called when the session ends."""

    def __init__(self, logins: OpenLogins, connection: Connection) -> None:
        self._logins = logins
        self._connection = connection
        self._log_out = _nothing
        self._answering = False
        self._over = False

    def begin(self, login: Login) -> None:
        """Somebody has logged in."""
        self.end()
        self._log_out = self._logins.add(login, "smtp", self._send_away)

    def end(self) -> None:
        """Nobody is logged in any more."""
        self._log_out()
        self._log_out = _nothing

    async def answered(self, answer: Awaitable[T]) -> T:
        """Wait for an answer that must still be heard."""
        self._answering = True
        try:
            return await answer
        finally:
            self._answering = False
            if self._over:
                self._connection.send_away()

    def _send_away(self) -> None:
        self._over = True
        if not self._answering:
            self._connection.send_away()


def facts_of(connection: Connection, plaintext_policy: str) -> ConnectionFacts:
    """What logging in must know of a connection."""
    return ConnectionFacts(
        door="smtp",
        peer=connection.peer.host,
        tls=connection.tls is not None,
        loopback=connection.is_loopback,
        plaintext_policy=plaintext_policy,
        server_end_point=connection.server_end_point,
        exporter=connection.exporter,
    )


def _nothing() -> None:
    """Nobody has logged in."""
