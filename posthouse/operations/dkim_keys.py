"""The DKIM keys of our domains: made, published by the administrator, used, replaced, forgotten.

A domain has an RSA and an Ed25519 key from the day it is added. To rotate, new keys are made ("next"); once the DNS
shows them they sign ("active") and the old ones are "retired": no longer used, still to be published for some days,
since mail that they signed is on the way. By command, and by `msgauth.rotate` on schedule. A key is activated only
when the DNS shows it, unless an administrator insists.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from posthouse.errors import Conflict, StoreUnavailable
from posthouse.limits import DKIM_RETIRED
from posthouse.msgauth.dkim_key import PublicKey, parse_key
from posthouse.msgauth.dkim_sign import key_record, load_private_key, make_private_key, private_pem
from posthouse.operations.domains import Domains
from posthouse.resolver import Resolver, Status
from posthouse.store.interface import Store
from posthouse.store.model import DomainKind
from posthouse.store.trust import DkimKey, KeyState, PutDkimKey, RemoveDkimKey

log: Final = logging.getLogger(__name__)
ALGORITHMS: Final = {"rsa-sha256": "r", "ed25519-sha256": "e"}
"""Each with the letter that its selectors begin with."""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed; the private half stays where it is."""

    domain: str
    selector: str
    algorithm: str
    state: str
    created_at: int
    name: str
    """Where its record belongs."""
    record: str

    @classmethod
    async def of(cls, key: DkimKey) -> Self:
        """The row of a key."""
        record = await asyncio.to_thread(lambda: key_record(load_private_key(key.private_key)))
        return cls(
            domain=key.domain,
            selector=key.selector,
            algorithm=key.algorithm,
            state=key.state.value,
            created_at=key.created_at,
            name=f"{key.selector}._domainkey.{key.domain}",
            record=record,
        )


class DkimKeys:
    """Commands on keys, and their daily care. `changed` is called after every change, for who keeps keys in memory."""

    def __init__(
        self,
        store: Store,
        domains: Domains,
        resolver: Resolver,
        *,
        rotate: float = 0,
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`rotate`: seconds after which keys are replaced; 0: by command only."""
        self._store = store
        self._domains = domains
        self._resolver = resolver
        self._rotate = rotate
        self._changed = changed
        self._now = now

    # --- commands ------------------------------------------------------------------------------------

    async def domain_dkim(self, *, name: str) -> list[KeyRow]:
        """The keys of a domain. NotFound."""
        domain = await self._domains.find(name)
        return [await KeyRow.of(key) for key in await self._store.dkim_keys(domain.name)]

    async def dkim_rotate(self, *, name: str, now: bool = False) -> list[KeyRow]:
        """One step of a rotation: make the next keys; or, when they are made and published, let them sign.

        `now`: both steps at once, whatever the DNS shows. Conflict while they are not published; NotFound.
        """
        domain = await self._domains.local(f"@{name}")
        keys = await self._store.dkim_keys(domain.name)
        waiting = [key for key in keys if key.state is KeyState.NEXT]
        if not waiting:
            waiting = await self._make(domain.name, KeyState.NEXT)
            if not now:
                return [await KeyRow.of(key) for key in waiting]
        if not now and (missing := await self._unpublished(waiting)):
            raise Conflict(
                f"the DNS does not show {', '.join(missing)} yet; publish it, or insist with --now"
            )
        await self._activate(domain.name, waiting)
        return await self.domain_dkim(name=domain.name)

    async def dkim_remove(self, *, name: str, selector: str) -> None:
        """Forget a key that does not sign. NotFound; Conflict for one that does."""
        domain = await self._domains.find(name)
        found = [key for key in await self._store.dkim_keys(domain.name) if key.selector == selector]
        if found and found[0].state is KeyState.ACTIVE:
            raise Conflict(f"{selector} signs the mail of {domain.name}: rotate first")
        await self._store.apply(RemoveDkimKey(domain=domain.name, selector=selector))
        self._changed()

    # --- care ----------------------------------------------------------------------------------------

    async def make_missing(self) -> int:
        """Keys for those of our domains that have none (older houses); how many domains."""
        owners = {key.domain for key in await self._store.dkim_keys()}
        made = 0
        for domain in await self._store.domains():
            if domain.kind is DomainKind.LOCAL and domain.name not in owners:
                made += await _apart(domain.name, self.make_first(domain.name))
        return made

    async def make_first(self, domain: str) -> None:
        """The keys of a new domain; they sign at once."""
        await self._make(domain, KeyState.ACTIVE)

    async def round(self) -> None:
        """What time asks for: next keys made, published ones activated, retired ones forgotten.

        What is wrong with one domain is logged, and the others get their care all the same.
        """
        await self.make_missing()
        by_domain: dict[str, list[DkimKey]] = {}
        for key in await self._store.dkim_keys():
            by_domain.setdefault(key.domain, []).append(key)
        for domain, keys in by_domain.items():
            await _apart(domain, self._care(domain, keys))

    async def _care(self, domain: str, keys: Sequence[DkimKey]) -> None:
        now = self._now()
        waiting = [key for key in keys if key.state is KeyState.NEXT]
        active = [key for key in keys if key.state is KeyState.ACTIVE]
        if waiting and not await self._unpublished(waiting):
            await self._activate(domain, waiting)
        elif not waiting and self._rotate and any(now - key.changed_at > self._rotate for key in active):
            await self._make(domain, KeyState.NEXT)
        for key in keys:
            if key.state is KeyState.RETIRED and now - key.changed_at > DKIM_RETIRED:
                await self._store.apply(RemoveDkimKey(domain=domain, selector=key.selector))
                self._changed()

    async def _make(self, domain: str, state: KeyState) -> list[DkimKey]:
        taken = {key.selector for key in await self._store.dkim_keys(domain)}
        at = int(self._now())
        made = []
        for algorithm, letter in ALGORITHMS.items():
            private = await asyncio.to_thread(_new_pem, algorithm)
            made.append(
                DkimKey(
                    domain=domain,
                    selector=_selector(letter, at, taken),
                    algorithm=algorithm,
                    private_key=private,
                    state=state,
                    created_at=at,
                    changed_at=at,
                )
            )
        await self._store.commit(*(PutDkimKey(key=key) for key in made))
        self._changed()
        selectors = {key.selector for key in made}
        # Somebody else may have made keys of these names meanwhile: the first that were kept stay.
        return [key for key in await self._store.dkim_keys(domain) if key.selector in selectors]

    async def _activate(self, domain: str, waiting: Sequence[DkimKey]) -> None:
        at = int(self._now())
        present = await self._store.dkim_keys(domain)
        selectors = {key.selector for key in waiting}
        # The DNS took its time: a key that was forgotten or activated meanwhile must not come back.
        waiting = [key for key in present if key.selector in selectors and key.state is KeyState.NEXT]
        if not waiting:
            return
        old = [key for key in present if key.state is KeyState.ACTIVE]
        await self._store.commit(
            *(PutDkimKey(key=_in_state(key, KeyState.RETIRED, at)) for key in old),
            *(PutDkimKey(key=_in_state(key, KeyState.ACTIVE, at)) for key in waiting),
        )
        self._changed()

    async def _unpublished(self, keys: Sequence[DkimKey]) -> list[str]:
        """Names at which the DNS does not (yet) show these keys."""
        missing = []
        for key in keys:
            row = await KeyRow.of(key)
            if not await is_published(row, self._resolver):
                missing.append(row.name)
        return missing


async def is_published(row: KeyRow, resolver: Resolver) -> bool:
    """Whether the DNS shows this very key."""
    answer = await resolver.txt(row.name)
    wanted = parse_key(row.record)
    if answer.status is not Status.FOUND or not isinstance(wanted, PublicKey):
        return False
    shown = (parse_key(text) for text in answer.records)
    return any(isinstance(one, PublicKey) and one.key == wanted.key for one in shown)


async def _apart(domain: str, care: Awaitable[None]) -> bool:
    """Care for one domain; whether it went well. StoreUnavailable, which is no domain's fault."""
    try:
        await care
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("the keys of %s get no care", domain)
        return False
    return True


def _new_pem(algorithm: str) -> str:
    return private_pem(make_private_key(algorithm))


def _in_state(key: DkimKey, state: KeyState, at: int) -> DkimKey:
    return msgspec.structs.replace(key, state=state, changed_at=at)


def _selector(letter: str, at: int, taken: set[str]) -> str:
    day = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d")
    names = (f"{letter}{day}{mark}" for mark in ("", *"abcdefghijklmnopqrstuvwxyz"))
    for name in names:
        if name not in taken:
            return name
    raise Conflict("this domain has had new keys too often today")
