"""What a backup MX does beyond keeping mail: notices at once when the better host is back.

While the better hosts of a domain we are backup for are away, its mail waits in the queue on the ordinary schedule,
which has pauses of hours. So they are looked at every few seconds, by no more than a connection and its greeting;
when one answers, all mail for the domain is made due. Bounded in number, interval and time (BACKUP_*).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import PosthouseError
from posthouse.outbound.attempt import Courier
from posthouse.outbound.mx import Host, Route
from posthouse.outbound.session import SessionFailed
from posthouse.store.interface import Store
from posthouse.store.model import Domain, DomainKind

log: Final = logging.getLogger(__name__)

Flush = Callable[[str], Awaitable[int]]


class _Watched(msgspec.Struct):
    """A backup domain whose better hosts are away."""

    pause: float
    addresses: frozenset[str]
    """Where they were looked for last."""
    seen: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Somebody connected from there: look now."""


class BackupWatch:
    """Watches over the backup domains. Also answers what a domain is to us."""

    def __init__(self, store: Store, courier: Courier, flush: Flush) -> None:
        self._store = store
        self._courier = courier
        self._flush = flush
        self._domains: dict[str, Domain] | None = None
        self._watched: dict[str, tuple[_Watched, asyncio.Task[None]]] = {}
        self._unwatch = store.watch_people(self._forget)

    async def start(self) -> None:
        """Look after what was left waiting before a restart."""
        for domain in await self._store.domains():
            if domain.kind is DomainKind.BACKUP:
                waiting = await self._store.queue(destination=domain.name, limit=1)
                if any(one.attempts for message in waiting for one in message.recipients):
                    self.unreached(domain.name)

    async def stop(self) -> None:
        """Stop looking."""
        self._unwatch()
        tasks = [task for _, task in self._watched.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def refit(self, courier: Courier) -> None:
        """Use another courier from now on."""
        self._courier = courier

    def _forget(self) -> None:
        self._domains = None

    async def domain(self, name: str) -> Domain | None:
        """A domain of ours."""
        if self._domains is None:
            self._domains = {domain.name: domain for domain in await self._store.domains()}
        return self._domains.get(name)

    def unreached(self, destination: str, route: Route | None = None) -> None:
        """None of its better hosts could be reached: look for them from now on."""
        if destination in self._watched or len(self._watched) >= limits.BACKUP_PROBES:
            return
        hosts = route.hosts if route is not None else ()
        addresses = frozenset(address for host in hosts for address in host.addresses)
        watched = _Watched(pause=limits.BACKUP_PROBE, addresses=addresses)
        task = asyncio.get_running_loop().create_task(self._watch(destination, watched), name="backup")
        self._watched[destination] = watched, task

    def reached(self, destination: str) -> None:
        """An attempt got through: no need to look any more."""
        found = self._watched.pop(destination, None)
        if found is not None:
            found[1].cancel()

    def peer_seen(self, address: str) -> None:
        """Somebody connected to us from this address; a host that was away has perhaps come back."""
        for watched, _ in self._watched.values():
            if address in watched.addresses:
                watched.seen.set()

    async def _watch(self, destination: str, watched: _Watched) -> None:
        while True:
            try:
                async with asyncio.timeout(watched.pause):
                    await watched.seen.wait()
            except TimeoutError:
                pass
            watched.seen.clear()
            watched.pause = min(watched.pause * 1.5, limits.BACKUP_PROBE_MOST)
            try:
                async with asyncio.timeout(limits.BACKUP_PROBE_TIMEOUT):
                    back = await self._is_back(destination, watched)
                if back:
                    await self._flush(destination)
                    break
            except (TimeoutError, PosthouseError):
                continue
            except Exception:
                log.exception("fault while looking for the better hosts of %s", destination)
        self._watched.pop(destination, None)
        log.info("the better host of %s is back: its mail goes on", destination)

    async def _is_back(self, destination: str, watched: _Watched) -> bool:
        route = await self._courier.route(destination, backup=True)
        if route.failure is not None and route.failure.permanent:
            return True  # nothing to wait for: let the queue say so
        targets = [(host, address) for host in route.hosts for address in host.addresses]
        targets = targets[: limits.OUTBOUND_ADDRESSES]
        watched.addresses = frozenset(address for _, address in targets)
        # All at once: one that swallows packets must not hide another that has come back.
        probes = {asyncio.ensure_future(self._answers(route, host, address)) for host, address in targets}
        try:
            while probes:
                done, probes = await asyncio.wait(probes, return_when=asyncio.FIRST_COMPLETED)
                if any(probe.result() for probe in done):
                    return True
        finally:
            for probe in probes:
                probe.cancel()
        return False

    async def _answers(self, route: Route, host: Host, address: str) -> bool:
        try:
            policy = await self._courier.policy(route, host)
            session = await self._courier.open(self._courier.target(host, address, policy), "backup")
        except (SessionFailed, PosthouseError):
            return False
        self._courier.pool.give(session)  # the first message will use it
        return True
