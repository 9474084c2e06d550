"""MTA-STS when sending (RFC 8461): a domain may publish that its mail goes only to named hosts with good certificates.

The record in the DNS tells which version of the policy is in force, the policy itself comes over HTTPS. It is kept as
long as it says (in the store: a restart must not make anybody forget it), and holds while record or site cannot be
read, which is the point: who stands in the way can hide both. Only "enforce" keeps mail back; "testing" is reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from posthouse.limits import MTA_STS_CACHED, MTA_STS_FRESH, MTA_STS_LONGEST, MTA_STS_RETRY
from posthouse.msgauth.mta_sts import Mode, PolicyUnread, StsPolicy, policy_id
from posthouse.msgauth.tls_report_writer import FAILED, TlsSeen
from posthouse.outbound.mx import Host, Route, RouteKind
from posthouse.outbound.tls_policy import OPPORTUNISTIC, HostUntrusted, TlsPolicy
from posthouse.resolver import Resolver, Status
from posthouse.smtp.client_states import TlsUse
from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo

log: Final = logging.getLogger(__name__)

KIND: Final = "mta-sts"
"""Of the memos that keep policies."""

Read = Callable[[str], Awaitable[StsPolicy]]
"""Fetches a domain's policy. Raises PolicyUnread."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as kept."""

    policy_id: str
    policy: StsPolicy
    fetched_at: float

    def holds(self, now: float) -> bool:
        """Whether its time is not over."""
        return now < self.fetched_at + min(self.policy.max_age, MTA_STS_LONGEST)


class MtaSts:
    """Decides for each host by its domain's policy; opportunistic where there is none. One per configuration."""

    def __init__(
        self, store: Store, resolver: Resolver, read: Read, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._read = read
        self._now = now
        self._kept: OrderedDict[str, Kept | None] = OrderedDict()
        """None: the store has none either."""
        self._failed: OrderedDict[tuple[str, str], float] = OrderedDict()
        """(domain, policy id) → when the site could not be read."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def for_host(self, route: Route, host: Host) -> TlsPolicy:
        """What a host must prove. Raises HostUntrusted for a host that the policy does not name."""
        if route.kind is RouteKind.LITERAL:
            return OPPORTUNISTIC
        policy = await self.policy(route.domain)
        if policy is None or policy.mode is Mode.NONE:
            return OPPORTUNISTIC
        objection = ""
        if not policy.allows(host.name):
            objection = f"the MTA-STS policy of {route.domain} does not name {host.name}"
        if policy.mode is Mode.TESTING:
            # RFC 8461 §5: the mail goes as if there were no policy; what would have kept it back is reported.
            return TlsPolicy(
                name="mta-sts, testing",
                use=TlsUse.IF_OFFERED,
                verify=True,
                fallback=OPPORTUNISTIC,
                published=policy.lines,
                objection=objection,
            )
        if objection:
            # RFC 8461 §5: such a host must not get the mail.
            raise HostUntrusted(objection, TlsSeen(policy=policy.lines, result=FAILED, reason=objection))
        return TlsPolicy(name="mta-sts", use=TlsUse.REQUIRED, verify=True, published=policy.lines)

    async def policy(self, domain: str) -> StsPolicy | None:
        """The policy in force; None: there is none."""
        lock = self._locks.setdefault(domain, asyncio.Lock())
        async with lock:  # of deliveries to the same domain one asks
            kept = await self._known(domain)
            answer = await self._resolver.txt(f"_mta-sts.{domain}")
            number = policy_id(answer.records) if answer.status is Status.FOUND else ""
            if number and self._worth_reading(domain, number, kept):
                kept = await self._fetch(domain, number) or kept
            # RFC 8461 §3.3: without a policy that can be read now, one that is kept and not expired holds.
            return kept.policy if kept is not None and kept.holds(self._now()) else None

    def _worth_reading(self, domain: str, number: str, kept: Kept | None) -> bool:
        now = self._now()
        fresh = kept is not None and kept.policy_id == number and now - kept.fetched_at < MTA_STS_FRESH
        if fresh and kept is not None and kept.holds(now):
            return False
        # RFC 8461 §3.3: after a failure not again for some minutes.
        return now - self._failed.get((domain, number), -MTA_STS_RETRY) >= MTA_STS_RETRY

    async def _fetch(self, domain: str, number: str) -> Kept | None:
        try:
            policy = await self._read(domain)
        except PolicyUnread as fault:
            log.info("mta-sts domain=%s cannot be read: %s", domain, fault)
            self._failed[domain, number] = self._now()
            _shorten(self._failed)
            return None
        kept = Kept(policy_id=number, policy=policy, fetched_at=self._now())
        until = kept.fetched_at + min(policy.max_age, MTA_STS_LONGEST)
        memo = Memo(account_id=HOUSE, kind=KIND, key=domain, data=msgspec.json.encode(kept), until=until)
        await self._store.commit(PutMemo(memo=memo))
        self._remember(domain, kept)
        return kept

    async def _known(self, domain: str) -> Kept | None:
        if domain in self._kept:
            self._kept.move_to_end(domain)
            return self._kept[domain]
        memos = await self._store.memos(HOUSE, KIND, [domain])
        kept = _read(memos[0]) if memos else None
        self._remember(domain, kept)
        return kept

    def _remember(self, domain: str, kept: Kept | None) -> None:
        self._kept[domain] = kept
        self._kept.move_to_end(domain)
        _shorten(self._kept)


def _read(memo: Memo) -> Kept | None:
    try:
        return msgspec.json.decode(memo.data, type=Kept)
    except msgspec.MsgspecError:
        return None  # written by another version: it is read anew


def _shorten(cache: OrderedDict[str, Kept | None] | OrderedDict[tuple[str, str], float]) -> None:
    while len(cache) > MTA_STS_CACHED:
        cache.popitem(last=False)
