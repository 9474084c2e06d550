"""Logins that stay open (at all doors, JMAP's streams too): whoever is no longer let in is sent away.

Told of every change of people, as all caches of them are, whichever node or command made it, and woken when what
somebody came with ends; then what proves the open logins is read again, many accounts with one question, and at most
once in LOGIN_LOOK_GAP seconds. When that fails, it is tried again, and nobody is sent away: a fault of ours ends
nobody's session.
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

NEVER: Final = float("inf")
ENDED: Final = 0.0


class OpenLogin(msgspec.Struct, eq=False):
    """One session that somebody has logged in to."""

    login: Login
    door: str
    """One of `accounts.model.DOORS`."""
    send_away: Callable[[], None]
    """Called once, on the event loop; must not wait."""
    alarm: asyncio.TimerHandle | None = None
    """Rings when what the login came with ends; None: that never ends."""

    def be_quiet(self) -> None:
        """The alarm is not needed any more."""
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None


class OpenLogins:
    """All of them in this process. Event loop's thread only; `close` ends the watching."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        """`wall`: POSIX seconds."""
        self._store = store
        self._wall = wall
        self._accounts: dict[int, set[OpenLogin]] = {}
        self._changed_at = -limits.LOGIN_LOOK_BACK
        self._everybody = False
        self._ending: set[int] = set()
        """Accounts with a login whose proof has ended, as it was known then."""
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
        for some in self._accounts.values():
            for opened in some:
                opened.be_quiet()

    def add(self, login: Login, door: str, send_away: Callable[[], None]) -> Callable[[], None]:
        """Somebody has logged in; the result is to be called when the session ends."""
        opened = OpenLogin(login, door, send_away)
        self._accounts.setdefault(login.account.account_id, set()).add(opened)
        self._set_alarm(opened, login.expires_at or NEVER)
        if time.monotonic() - self._changed_at < limits.LOGIN_LOOK_BACK:
            # what changed while this one logged in was told before it was here
            self._everybody = True
            self._look_soon()
        return lambda: self._forget(opened)

    def _forget(self, opened: OpenLogin) -> None:
        opened.be_quiet()
        account_id = opened.login.account.account_id
        others = self._accounts.get(account_id, set())
        others.discard(opened)
        if not others:
            self._accounts.pop(account_id, None)

    async def stands(self, login: Login, door: str) -> bool:
        """Whether a login that nobody proved here would be let in, and would be left in."""
        account_id = login.account.account_id
        proofs = await self._store.login_proofs([account_id])
        now = self._wall()
        return good_until(login, door, proofs.get(account_id), now) > now

    # --- when to look --------------------------------------------------------------------------------

    def _heard(self) -> None:
        self._changed_at = time.monotonic()
        self._everybody = True
        self._look_soon()

    def _set_alarm(self, opened: OpenLogin, ends_at: float) -> None:
        opened.be_quiet()
        if ends_at == NEVER:
            return
        # In steps, for the loop's clock neither follows the wall's when that is set nor runs while a machine sleeps.
        wait = min(max(0.0, ends_at - self._wall()), limits.LOGIN_END_STEP)
        opened.alarm = asyncio.get_running_loop().call_later(wait, self._ring, opened, ends_at)

    def _ring(self, opened: OpenLogin, ends_at: float) -> None:
        if ends_at > self._wall():
            self._set_alarm(opened, ends_at)
            return
        opened.alarm = None
        self._ending.add(opened.login.account.account_id)
        self._look_soon()

    def _look_soon(self) -> None:
        if self._looking is None and self._accounts:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    # --- looking -------------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            while (self._everybody or self._ending) and self._accounts:
                everybody, ending = self._everybody, self._ending
                self._everybody, self._ending = False, set()
                try:
                    await self._look_at(list(self._accounts if everybody else ending))
                except Exception as fault:
                    # Whoever is to be sent away must not stay until people change again.
                    self._everybody |= everybody
                    self._ending |= ending
                    if isinstance(fault, PosthouseError):
                        log.warning("open logins are looked at later: %s", fault.public)
                    else:
                        log.exception("open logins cannot be looked at; it is tried again")
                await asyncio.sleep(limits.LOGIN_LOOK_GAP)
        finally:
            self._looking = None

    async def _look_at(self, accounts: list[int]) -> None:
        for start in range(0, len(accounts), limits.LOGIN_LOOK_ACCOUNTS):
            some = accounts[start : start + limits.LOGIN_LOOK_ACCOUNTS]
            proofs = await self._store.login_proofs(some)
            now = self._wall()
            for account_id in some:
                for opened in tuple(self._accounts.get(account_id, ())):
                    ends_at = good_until(opened.login, opened.door, proofs.get(account_id), now)
                    if ends_at > now:
                        self._set_alarm(opened, ends_at)  # a browser's session lives longer when it is used
                    else:
                        self._forget(opened)
                        opened.send_away()


def good_until(login: Login, door: str, proofs: LoginProofs | None, now: float) -> float:
    """Until when (POSIX seconds, NEVER, ENDED) a login would be let in again with what it came with.

    `proofs`: its account's; None: it is gone.
    """
    if proofs is None or proofs.account.disabled:
        return ENDED
    if login.app_password_id is not None:
        for item in proofs.app_passwords:
            if item.app_password_id == login.app_password_id and opens(item, door):
                return item.expires_at or NEVER
        return ENDED
    if login.credential_id is not None:
        for credential in proofs.credentials:
            if credential.credential_id == login.credential_id:
                return credential.expires_at or NEVER
        return ENDED
    second_factor = any(is_second_factor(item) for item in proofs.credentials if live(item, now))
    unchanged = proofs.account.password == login.account.password
    return NEVER if unchanged and not second_factor else ENDED
