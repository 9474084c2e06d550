"""Who may log in: right passwords, app passwords, SCRAM; memory of success; delays and bans.

Invariants: nothing tells an unknown name from a wrong password or a disabled account, neither the answer nor the
time it takes; the event loop never hashes; a guess is counted before its answer goes out; a blocked address or name
is not even asked. Passwords are remembered only as a hash under a key that this process makes for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from posthouse import limits
from posthouse.accounts.model import AppPasswordNeeded, Login, LoginDelayed, LoginFailed
from posthouse.accounts.passwords import (
    hash_password,
    looks_like_app_password,
    verify_app_password,
    verify_password,
)
from posthouse.accounts.slots import Slots
from posthouse.accounts.throttle import NOBODY, Throttle, peer_key
from posthouse.counts import LOGINS
from posthouse.sasl.model import ScramKeys
from posthouse.sasl.scram import parse_keys
from posthouse.store.model import Account, AppPassword

WRONG = "wrong name or password"
APP_PASSWORD = "this account has a second factor: programs need an app password, made in the webmail"
DELAYED = "too many failed logins, try again later"
BUSY = "too many logins at once, try again later"


class People(Protocol):
    """What is asked of the directory."""

    async def login_account(self, login: str) -> tuple[str, Account | None]:
        """The login name as an address (or as given when it is none) and its account."""
        ...

    async def app_passwords(self, account: Account) -> tuple[AppPassword, ...]:
        """The account's app passwords."""
        ...

    def app_password_used(self, used: AppPassword, peer: str) -> None:
        """Note, some time, that it was used from there."""
        ...

    async def second_factor(self, account: Account) -> bool:
        """Whether the account's password alone is not enough."""
        ...


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Time as seen here; tests move it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Logins:
    """Proves identities. `secret`: 32 octets that stay the same over restarts (for the fakes of unknown names)."""

    def __init__(self, people: People, *, scheme: str, secret: bytes, clock: Clock | None = None) -> None:
        self._people = people
        self._clock = clock or Clock()
        self._secret = secret
        self._scheme = scheme
        self._key = os.urandom(32)
        self._dummy: str | None = None
        self._right: dict[bytes, tuple[float, int | None]] = {}
        self._wrong: dict[bytes, float] = {}
        self._running: dict[bytes, asyncio.Future[bool]] = {}
        threads = max(1, min(limits.HASH_THREADS, os.cpu_count() or 1))
        self._slots = Slots(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        forgive, size = limits.LOGIN_FORGIVE, limits.LOGIN_TABLE
        self._addresses = Throttle(most=limits.LOGIN_FAILURES_PER_ADDRESS, forgive=forgive, size=size)
        self._names = Throttle(most=limits.LOGIN_FAILURES_PER_ACCOUNT, forgive=forgive, size=size)
        self._pairs = Throttle(most=limits.LOGIN_FAILURES_PER_ACCOUNT, forgive=forgive, size=size)
        self.tell: Callable[[str, str, str], None] = _nobody
        """Tells other nodes that a login "failed" or "succeeded", with name and address."""
        self._known: dict[str, None] = {}
        """Pairs of name and address that have logged in."""

    # --- with a password -----------------------------------------------------------------------------

    async def authenticate(
        self, login: str, password: str, peer: str, mechanism: str, door: str = ""
    ) -> Login:
        """Prove an identity by password at a door (one of DOORS; empty: where the password is the first of two proofs).

        LoginFailed, LoginDelayed, and what the store raises.
        """
        name, account = await self._people.login_account(login)
        address = peer_key(peer)
        self.admit(name, address)
        digest = self._digest(name, password, account)
        if account is not None:
            remembered = await self._remembered(digest, account, mechanism, door)
            if remembered is not None:
                LOGINS.add("proved")
                return remembered
        if account is not None and looks_like_app_password(password):
            used = await self._app_password(account, password, door)
            if used is not None and not account.disabled:
                self.succeeded(name, address)
                self._remember(digest, used.app_password_id)
                self._people.app_password_used(used, address)
                return _by_app_password(account, mechanism, used)
        right = await self._verify(digest, name, address, password, account)
        if not right or account is None or account.disabled:
            # the right password of a disabled account is no guess, and will be right again
            await self.failed(name, address, again=right or self._seen_wrong(digest))
        assert account is not None
        if await self._people.second_factor(account):
            if door:
                await self.failed(name, address, again=True, fault=AppPasswordNeeded(APP_PASSWORD))
            # Half a proof forgives nothing: whoever has the password would guess at the other half without end.
        else:
            self.succeeded(name, address)
        self._remember(digest, 0)
        return Login(account=account, mechanism=mechanism)

    def _digest(self, name: str, password: str, account: Account | None) -> bytes:
        """A guess, unreadable; another kept hash (a changed password) makes it another guess."""
        if len(password) > limits.LOGIN_OCTETS:
            password = password[: limits.LOGIN_OCTETS] + "\0"
        text = "\0".join((name, account.password if account is not None else "", password))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()

    async def _remembered(self, digest: bytes, account: Account, mechanism: str, door: str) -> Login | None:
        """The login that this guess proved lately, when it still would."""
        entry = self._right.get(digest)
        if entry is None or account.disabled:
            return None
        until, app_password_id = entry
        if until < self._clock.now():
            del self._right[digest]
            return None
        if app_password_id:
            for item in await self._people.app_passwords(account):
                if item.app_password_id == app_password_id and opens(item, door):
                    return _by_app_password(account, mechanism, item)
            return None  # revoked, ended, or for another door
        if door and await self._people.second_factor(account):
            return None
        return Login(account=account, mechanism=mechanism)

    def _remember(self, digest: bytes, app_password_id: int) -> None:
        self._right.pop(digest, None)
        self._right[digest] = (self._clock.now() + limits.LOGIN_MEMORY, app_password_id)
        if len(self._right) > limits.LOGIN_MEMORIES:
            del self._right[next(iter(self._right))]

    async def _app_password(self, account: Account, password: str, door: str) -> AppPassword | None:
        for item in await self._people.app_passwords(account):
            if opens(item, door) and verify_app_password(item.password, password):
                return item
        return None

    async def _verify(
        self, digest: bytes, name: str, address: str, password: str, account: Account | None
    ) -> bool:
        """One slow check; the same guess made on several connections at once is checked once."""
        if self._wrong.get(digest, -1.0) > self._clock.now():
            return False
        running = self._running.get(digest)
        if running is None:
            # Strangers' guesses may fill their share of the queue, never that of people who were here before.
            share = 2 if f"{name} {address}" in self._known else 1
            if len(self._running) >= limits.HASH_WAITING * share:
                LOGINS.add("delayed")
                raise LoginDelayed(BUSY)
            running = asyncio.ensure_future(self._check(name, address, password, account))
            self._running[digest] = running
            running.add_done_callback(lambda _: self._running.pop(digest, None))
            running.add_done_callback(_retrieve)
        return await asyncio.shield(running)

    async def _check(self, name: str, address: str, password: str, account: Account | None) -> bool:
        await self._slots.enter(first=f"{name} {address}" in self._known)
        try:
            self.admit(name, address)  # others may have failed while this one waited its turn
            kept = account.password if account is not None else None
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._hash_and_compare, kept, password)
        finally:
            self._slots.leave()

    def _hash_and_compare(self, kept: str | None, password: str) -> bool:
        """In a thread. A name that does not exist costs what any other does."""
        if len(password) > limits.LOGIN_OCTETS:
            password, kept = "", None
        if kept:
            return verify_password(kept, password)
        if self._dummy is None:
            self._dummy = hash_password(self._key.hex(), self._scheme)
        verify_password(self._dummy, password)
        return False

    def prepare(self) -> None:
        """Make the hash that stands for unknown names, so that the first such login takes no longer. Blocks."""
        self._dummy = hash_password(self._key.hex(), self._scheme)

    # --- failures ------------------------------------------------------------------------------------

    def admit(self, name: str, address: str) -> None:
        """Raise LoginDelayed when this address or name has failed too often.

        An address that the name logged in from before is not held up by guesses from elsewhere, only by its own.
        """
        if self._is_held_up(name, address):
            LOGINS.add("delayed")
            raise LoginDelayed(DELAYED)

    def _is_held_up(self, name: str, address: str) -> bool:
        now = self._clock.now()
        if address and self._addresses.blocked(address, now):
            return True
        pair = f"{name} {address}"
        return self._names.blocked(name, now) and (pair not in self._known or self._pairs.blocked(pair, now))

    async def failed(
        self, name: str, address: str, *, again: bool = False, fault: LoginFailed | None = None
    ) -> None:
        """Count a failure, wait as it deserves, raise LoginFailed (`fault`, when given).

        `again`: the very guess that failed before, as a mail program with an old password makes it all day. It
        teaches a guesser nothing, so it is delayed but not counted.
        """
        LOGINS.add("failed")
        now = self._clock.now()
        if not again:
            self._count(name, address)
            self.tell("failed", name, address)
        level = self._names.level(name, now)
        if address:
            level = max(level, self._addresses.level(address, now))
        over = round(level) - limits.LOGIN_FREE_FAILURES
        if over > 0:
            await self._clock.sleep(
                min(limits.LOGIN_DELAY * 2 ** (min(over, 16) - 1), limits.LOGIN_DELAY_MOST)
            )
        raise fault or LoginFailed(WRONG)

    def _count(self, name: str, address: str) -> None:
        now = self._clock.now()
        if name != NOBODY:
            self._names.fail(name, now)
            self._pairs.fail(f"{name} {address}", now)
        if address:
            self._addresses.fail(address, now)

    def heard(self, what: str, name: str, address: str) -> None:
        """A login failed or succeeded at another node."""
        if what == "failed":
            self._count(name, address)
        else:
            self._forgive(name, address)

    def _seen_wrong(self, digest: bytes) -> bool:
        """Whether this guess failed lately; from now on it did."""
        now = self._clock.now()
        seen = self._wrong.pop(digest, -1.0) > now
        self._wrong[digest] = now + limits.LOGIN_MEMORY
        if len(self._wrong) > limits.LOGIN_MEMORIES:
            del self._wrong[next(iter(self._wrong))]
        return seen

    def succeeded(self, name: str, address: str) -> None:
        """The identity is wholly proved: what failed before is forgiven."""
        LOGINS.add("proved")
        if self._names.level(name, self._clock.now()) > 0 or f"{name} {address}" not in self._known:
            self.tell("succeeded", name, address)
        self._forgive(name, address)

    def _forgive(self, name: str, address: str) -> None:
        pair = f"{name} {address}"
        self._names.forget(name)
        self._pairs.forget(pair)
        self._known.pop(pair, None)
        self._known[pair] = None
        if len(self._known) > limits.LOGIN_TABLE:
            del self._known[next(iter(self._known))]

    # --- SCRAM ---------------------------------------------------------------------------------------

    async def scram_keys(self, login: str) -> ScramKeys:
        """The keys of an account, or for an unknown name a fake that stays the same."""
        name, account = await self._people.login_account(login)
        if account is not None and account.scram:
            return parse_keys(account.scram)
        salt, stored_key, server_key = (
            hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=self._secret, person=person).digest()
            for person in (b"salt", b"stored", b"server")
        )
        return ScramKeys(
            iterations=limits.SCRAM_ITERATIONS,
            salt=salt[:16],
            stored_key=stored_key[:32],
            server_key=server_key[:32],
        )

    async def proved(self, login: str, peer: str, mechanism: str, door: str, keys: ScramKeys) -> Login:
        """An exchange with these keys has proved the identity.

        LoginFailed when the account is gone or disabled, or has another password by now: who has begun with the old one
        must not come in with it, however long the exchange takes.
        """
        name, account = await self._people.login_account(login)
        address = peer_key(peer)
        self.admit(name, address)
        if account is None or account.disabled or not account.scram or parse_keys(account.scram) != keys:
            await self.failed(name, address)
        assert account is not None
        if door and await self._people.second_factor(account):
            await self.failed(name, address, again=True, fault=AppPasswordNeeded(APP_PASSWORD))
        self.succeeded(name, address)
        return Login(account=account, mechanism=mechanism)

    async def refused(self, login: str, peer: str) -> None:
        """An exchange has failed. Raises LoginFailed, or LoginDelayed when it was one too many."""
        name, _ = await self._people.login_account(login)
        address = peer_key(peer)
        self.admit(name, address)
        await self.failed(name, address)

    def close(self) -> None:
        """Let the threads go; what is being hashed is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def opens(item: AppPassword, door: str) -> bool:
    """Whether an app password is for this door. The page where people log in takes none."""
    return bool(door) and (not item.scope or door in item.scope)


def _by_app_password(account: Account, mechanism: str, item: AppPassword) -> Login:
    return Login(
        account=account,
        mechanism=mechanism,
        app_password_id=item.app_password_id,
        expires_at=item.expires_at,
    )


def _nobody(_what: str, _name: str, _address: str) -> None:
    pass


def _retrieve(future: asyncio.Future[bool]) -> None:
    """Everybody who waited may have gone: their fault is then nobody's."""
    if not future.cancelled():
        future.exception()
