"""Secrets that say who somebody is without a name: a browser's session, a program's bearer token (RFC 6750).

The secret is 256 bits of chance; only its digest is kept, so whoever reads the store can't use it. What was found is
remembered until people change, so a request costs no look-up in the store; a revoked one is shut out at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.model import DOORS, Login
from posthouse.errors import PosthouseError
from posthouse.store.credentials import (
    AddCredential,
    Credential,
    CredentialKind,
    RemoveCredentials,
    TouchCredential,
    live,
)
from posthouse.store.interface import Store
from posthouse.store.model import Account

log: Final = logging.getLogger(__name__)

TOKEN_PREFIX: Final = "pht_"
"""So that scanners for leaked secrets can tell one."""


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose secret was good."""

    account: Account
    credential: Credential


class TokenData(msgspec.Struct, frozen=True):
    """What is kept of a token."""

    scope: tuple[str, ...] = ()
    """Of DOORS; empty: all."""


class Bearers:
    """Sessions and tokens of a house; `close` ends the watching."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._known: dict[tuple[CredentialKind, bytes], Bearer] = {}
        self._generation = 0
        self._background: set[asyncio.Task[None]] = set()
        self._unwatch = store.watch_people(self._forget)

    def close(self) -> None:
        """Watch no more."""
        self._unwatch()

    def _forget(self) -> None:
        self._generation += 1
        self._known.clear()

    # --- sessions ------------------------------------------------------------------------------------

    async def open_session(self, account: Account, *, peer: str, agent: str) -> str:
        """Begin a session; the result is its secret. The longest unused goes when there are too many."""
        kind = CredentialKind.SESSION
        now = int(self._now())
        present = [c for c in await self._store.credentials(account.account_id) if c.kind is kind]
        present.sort(key=lambda c: (live(c, now), c.last_used_at))
        surplus = [c.credential_id for c in present[: max(0, len(present) - limits.WEB_SESSIONS + 1)]]
        if surplus:
            await self._store.apply(
                RemoveCredentials(account_id=account.account_id, credential_ids=tuple(surplus))
            )
        secret = secrets.token_urlsafe(32)
        await self._store.apply(
            AddCredential(
                account_id=account.account_id,
                kind=kind,
                key=_digest(secret),
                created_at=now,
                expires_at=now + limits.WEB_SESSION_IDLE,
                peer=peer,
                agent=agent[: limits.WEB_AGENT],
                most=limits.WEB_SESSIONS,
            )
        )
        return secret

    async def session(self, secret: str, peer: str) -> Bearer | None:
        """Whose session this is; its life is lengthened. None: nobody's, ended, or of a disabled account."""
        return await self._find(CredentialKind.SESSION, secret, peer)

    async def end_session(self, secret: str) -> None:
        """Log out."""
        found = await self._store.credential(CredentialKind.SESSION, _digest(secret))
        if found is not None:
            ids = (found.credential_id,)
            await self._store.apply(RemoveCredentials(account_id=found.account_id, credential_ids=ids))

    # --- tokens --------------------------------------------------------------------------------------

    async def add_token(
        self, account: Account, *, name: str, scope: tuple[str, ...], expires_at: int
    ) -> tuple[Credential, str]:
        """A new token and its secret, which is seen this once. Conflict: too many; ValueError: no such scope."""
        if unknown := sorted(set(scope) - set(DOORS)):
            raise ValueError(f"no such scope: {', '.join(unknown)}")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        credential = await self._store.apply(
            AddCredential(
                account_id=account.account_id,
                kind=CredentialKind.TOKEN,
                key=_digest(secret),
                name=name,
                data=msgspec.json.encode(TokenData(scope)),
                created_at=int(self._now()),
                expires_at=expires_at,
                most=limits.API_TOKENS,
            )
        )
        return credential, secret

    async def token(self, secret: str, peer: str, door: str) -> Bearer | None:
        """Whose token this is at a door. None as above, or it is for other doors."""
        if not secret.startswith(TOKEN_PREFIX):
            return None
        found = await self._find(CredentialKind.TOKEN, secret, peer)
        if found is None:
            return None
        scope = token_scope(found.credential)
        return found if not scope or door in scope else None

    # --- both ----------------------------------------------------------------------------------------

    async def _find(self, kind: CredentialKind, secret: str, peer: str) -> Bearer | None:
        if len(secret) > limits.LOGIN_OCTETS:
            return None
        key = (kind, _digest(secret))
        found = self._known.get(key) or await self._look_up(*key)
        now = self._now()
        if found is None or found.account.disabled or not live(found.credential, now):
            return None
        self._touch(key, found, peer, int(now))
        return found

    async def _look_up(self, kind: CredentialKind, digest: bytes) -> Bearer | None:
        generation = self._generation
        credential = await self._store.credential(kind, digest)
        if credential is None:
            return None
        account = await self._store.account_by_id(credential.account_id)
        if account is None:
            return None
        found = Bearer(account=account, credential=credential)
        if generation == self._generation:
            self._keep((kind, digest), found)
        return found

    def _keep(self, key: tuple[CredentialKind, bytes], found: Bearer) -> None:
        if len(self._known) >= limits.DIRECTORY_CACHE:
            del self._known[next(iter(self._known))]
        self._known[key] = found

    def _touch(self, key: tuple[CredentialKind, bytes], found: Bearer, peer: str, now: int) -> None:
        """Note the use in the background, at most once in WEB_SESSION_TOUCH seconds for an address."""
        credential = found.credential
        fresh = now - credential.last_used_at < limits.WEB_SESSION_TOUCH
        if fresh and credential.last_peer == peer:
            return
        expires_at = credential.expires_at
        if credential.kind is CredentialKind.SESSION:
            expires_at = min(now + limits.WEB_SESSION_IDLE, credential.created_at + limits.WEB_SESSION_LIFE)
        used = msgspec.structs.replace(credential, last_used_at=now, last_peer=peer, expires_at=expires_at)
        if key in self._known:
            self._known[key] = msgspec.structs.replace(found, credential=used)
        change = TouchCredential(
            credential_id=credential.credential_id, at=now, peer=peer, expires_at=expires_at
        )
        task = asyncio.ensure_future(self._note(key, change))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _note(self, key: tuple[CredentialKind, bytes], change: TouchCredential) -> None:
        try:
            await self._store.apply(change)
        except PosthouseError as fault:
            log.warning("that a credential was used could not be noted: %s", fault)
            self._known.pop(key, None)  # the next use is noted


def by_bearer(found: Bearer, mechanism: str) -> Login:
    """The login that a good secret proves."""
    credential = found.credential
    return Login(
        account=found.account,
        mechanism=mechanism,
        credential_id=credential.credential_id,
        expires_at=credential.expires_at,
    )


def token_scope(credential: Credential) -> tuple[str, ...]:
    """The doors that a token opens; empty: all."""
    return msgspec.json.decode(credential.data, type=TokenData).scope


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
