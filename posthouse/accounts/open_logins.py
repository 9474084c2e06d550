"""Logins that stay open (IMAP, POP3): whoever is no longer let in is sent away, whichever node or command changed it.

Told of every change of people, as all caches of them are; then what proves the open logins is read again, many
accounts with one question, and at most once in LOGIN_LOOK_GAP seconds. When that fails, it is tried again, and nobody
is sent away: a fault of ours ends nobody's session.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.factors import is_second_factor
from posthouse.accounts.logins import opens
from posthouse.accounts.model import Login
from posthouse.errors import PosthouseError
from posthouse.store.credentials import LoginProofs, live
from posthouse.store.interface import Store

log: Final = logging.getLogger(__name__)


class OpenLogin(msgspec.Struct, frozen=True, eq=False):
    """One session that somebody has logged in to."""

    login: Login
    door: str
    """One of `accounts.model.DOORS`."""
    send_away: Callable[[], None]
    """Called once, on the event loop; must not wait."""


class OpenLogins:
    """All of them in this process. Event loop's thread only; `close` ends the watching."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        """`wall`: POSIX seconds."""
        self._store = store
        self._wall = wall
        self._accounts: dict[int, set[OpenLogin]] = {}
        self._changed_at = -limits.LOGIN_LOOK_BACK
        self._again = False
        self._looking: asyncio.Task[None] | None = None
        self._unwatch = store.watch_people(self._heard)

    def __len__(self) -> int:
        """Sessions that are open."""
        return sum(map(len, self._accounts.values()))

    def close(self) -> None:
        """Watch no more."""
        self._unwatch()
        if self._looking is not None:
            self._looking.cancel()

    def add(self, login: Login, door: str, send_away: Callable[[], None]) -> Callable[[], None]:
        """Somebody has logged in; the result is to be called when the session ends."""
        opened = OpenLogin(login, door, send_away)
        account_id = login.account.account_id
        self._accounts.setdefault(account_id, set()).add(opened)
        if time.monotonic() - self._changed_at < limits.LOGIN_LOOK_BACK:
            self._look_soon()  # what changed while this one logged in was told before it was here

        def ended() -> None:
            others = self._accounts.get(account_id, set())
            others.discard(opened)
            if not others:
                self._accounts.pop(account_id, None)

        return ended

    def _heard(self) -> None:
        self._changed_at = time.monotonic()
        self._look_soon()

    def _look_soon(self) -> None:
        self._again = True
        if self._looking is None and self._accounts:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._again and self._accounts:
                self._again = False
                try:
                    await self._look_at_all()
                except PosthouseError as fault:
                    log.warning("open logins are looked at later: %s", fault.public)
                    self._again = True
                except Exception:
                    # Whoever is to be sent away must not stay until people change again.
                    log.exception("open logins cannot be looked at; it is tried again")
                    self._again = True
                await asyncio.sleep(limits.LOGIN_LOOK_GAP)
        finally:
            self._looking = None

    async def _look_at_all(self) -> None:
        accounts = list(self._accounts)
        for start in range(0, len(accounts), limits.LOGIN_LOOK_ACCOUNTS):
            some = accounts[start : start + limits.LOGIN_LOOK_ACCOUNTS]
            proofs = await self._store.login_proofs(some)
            now = self._wall()
            for account_id in some:
                for opened in tuple(self._accounts.get(account_id, ())):
                    if not still_good(opened.login, opened.door, proofs.get(account_id), now):
                        self._accounts[account_id].discard(opened)
                        opened.send_away()


def still_good(login: Login, door: str, proofs: LoginProofs | None, now: float) -> bool:
    """Whether a login would be let in again with what it came with. `proofs`: its account's, None: it is gone."""
    if proofs is None or proofs.account.disabled:
        return False
    if login.app_password_id is not None:
        return any(
            item.app_password_id == login.app_password_id
            and opens(item, door)
            and (not item.expires_at or item.expires_at > now)
            for item in proofs.app_passwords
        )
    held = [item for item in proofs.credentials if live(item, now)]
    if login.credential_id is not None:
        return any(item.credential_id == login.credential_id for item in held)
    return proofs.account.password == login.account.password and not any(map(is_second_factor, held))
