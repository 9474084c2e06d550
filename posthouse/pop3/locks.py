"""The exclusive lock on a maildrop (RFC 1939 §4): at most one POP3 session of an account at a time.

`MaildropLocks` is what a server needs; `LocalLocks` keeps them in the memory of one process. IMAP sessions
and deliveries are not held up by it.
"""

from __future__ import annotations

from typing import Protocol


class MaildropLocks(Protocol):
    """Locks by account."""

    async def acquire(self, account_id: int, session_id: str) -> bool:
        """Take the lock, or say that another session has it."""
        ...

    async def release(self, account_id: int, session_id: str) -> None:
        """Give it back; nothing happens when it is not this session's."""
        ...


class LocalLocks:
    """Locks within this process. Its methods never suspend, so a cancelled session still releases."""

    def __init__(self) -> None:
        self._holders: dict[int, str] = {}

    async def acquire(self, account_id: int, session_id: str) -> bool:
        """Take the lock, or say that another session has it."""
        return self._holders.setdefault(account_id, session_id) == session_id

    async def release(self, account_id: int, session_id: str) -> None:
        """Give it back."""
        if self._holders.get(account_id) == session_id:
            del self._holders[account_id]
