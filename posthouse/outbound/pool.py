"""Open sessions that wait a moment for the next message to the same server.

A session is found again by the server's address, port and TLS policy, whatever the domain: the route of the next
message has been looked up anew, so MX order is kept. Bounded in number, idle time and age.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from posthouse import limits
from posthouse.outbound.session import Session, Target


class SessionPool:
    """Keeps idle sessions. Owned by one event loop."""

    def __init__(self) -> None:
        self._idle: OrderedDict[Session, asyncio.TimerHandle] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, target: Target, destination: str) -> Session | None:
        """A session with this very server that may take mail for this domain, or None. It belongs to the caller now."""
        for session in list(self._idle):
            if session.target != target or not session.takes(destination):
                continue
            self._idle.pop(session).cancel()
            if not session.broken and session.age < limits.OUTBOUND_SESSION_AGE:
                return session
            self._dismiss(session)
        return None

    def give(self, session: Session) -> None:
        """Hand a session back after use; one that is of no more use is ended."""
        if self._closed or session.broken:
            self._dismiss(session)
            return
        loop = asyncio.get_running_loop()
        self._idle[session] = loop.call_later(limits.OUTBOUND_IDLE_SECONDS, self._expire, session)
        while len(self._idle) > limits.OUTBOUND_IDLE_SESSIONS:
            oldest, timer = self._idle.popitem(last=False)
            timer.cancel()
            self._dismiss(oldest)

    def _expire(self, session: Session) -> None:
        if self._idle.pop(session, None) is not None:
            self._dismiss(session)

    def _dismiss(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all idle sessions, and those that are given back later."""
        self._closed = True
        while self._idle:
            session, timer = self._idle.popitem()
            timer.cancel()
            self._dismiss(session)
        if self._closing:
            await asyncio.wait(set(self._closing))
