"""The queue runner: leases what is due, lets the courier try it, and records what came of it.

A lease covers one message's recipients of one destination. Its outcome, the lines of the timeline and the notices
to the sender are one commit, so a crash at any point leaves the recipients leased (and due again after the restart)
or wholly done, with their notices. The only thing that can happen twice is the sending itself, when we die or the
connection breaks between the server's taking the message and our commit (RFC 5321 §4.5.3.2.6 knows no cure).

Bounded: `outbound.concurrency` deliveries at once, about `outbound.per_destination` to one destination. Time
comes from `clock`; waiting is for changes of the queue (`Store.watch_queue`) and for what is due next.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.errors import Conflict, NotFound, OverQuota, StoreUnavailable
from posthouse.outbound.attempt import Courier, Report
from posthouse.outbound.backup import BackupWatch
from posthouse.outbound.dsn import DsnRequest, Notification, compose_dsn
from posthouse.outbound.outcomes import Outcomes, outcomes_of, without_notices
from posthouse.outbound.parcel import Parcel
from posthouse.outbound.schedule import Destinations
from posthouse.store.interface import (
    LeaseDue,
    Op,
    RecordEvents,
    RecordOutcomes,
    Store,
    WakeDestination,
)
from posthouse.store.model import DomainKind, Event, Lease, Outcome, RecipientState

log: Final = logging.getLogger(__name__)

Carry = Callable[[Notification], Awaitable[Sequence[Op[Any]]]]
"""The operations that deliver a notice, to be part of the outcome's commit; none: it has no way to go."""
HOLDER: Final = "queue"
RELAY_KEY: Final = ""
"""Under which all that goes through the smarthost counts as one destination."""


class QueueRunner:
    """Runs the queue of one process."""

    def __init__(
        self,
        store: Store,
        courier: Courier,
        *,
        carry: Carry,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[float], str] | None = None,
    ) -> None:
        """`new_id` makes the id of a notice from the time; ids must never repeat."""
        self._store = store
        self._courier = courier
        self._carry = carry
        self._clock = clock
        self._new_id = new_id or (lambda now: f"{int(now * 1000):011x}{secrets.token_hex(4)}")
        self._settings = courier.settings
        self._destinations = Destinations(courier.settings, courier.random)
        self.backups = BackupWatch(store, courier, self.flush)
        """Looks after the domains that we are backup MX for."""
        self._running: dict[asyncio.Task[None], str] = {}
        self._news = asyncio.Event()
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin to deliver."""
        self._unwatch = self._store.watch_queue(self.kick)
        await self.backups.start()
        self._loop = asyncio.create_task(self._run(), name="queue")

    def kick(self) -> None:
        """Look at the queue now: something changed, or time was moved."""
        self._news.set()

    async def flush(self, destination: str = "") -> int:
        """Make everything waiting for a destination (empty: for all) due now; how many recipients that is."""
        if destination:
            self._destinations.reached(destination)
        return await self._store.apply(WakeDestination(destination=destination, now=self._clock()))

    async def stop(self) -> None:
        """Take nothing more, let attempts under way end (at most OUTBOUND_DRAIN seconds), record what they reached."""
        self._stopping = True
        self._unwatch()
        self.kick()
        await self.backups.stop()
        if self._loop is not None:
            await self._loop
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=limits.OUTBOUND_DRAIN)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._courier.close()

    # --- taking what is due -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            self._news.clear()
            try:
                wait = await self._take()
            except StoreUnavailable as error:
                log.warning("the queue cannot be read now: %s", error.public)
                wait = limits.OUTBOUND_POLL
            except Exception:
                log.exception("fault in the queue runner")
                wait = limits.OUTBOUND_POLL
            if wait == 0.0:
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _take(self) -> float | None:
        """Lease and start what is due; seconds until there may be more (None: until something changes)."""
        room = min(self._settings.concurrency - len(self._running), limits.OUTBOUND_LEASES_AT_ONCE)
        if room <= 0:
            return None
        now = self._clock()
        due = await self._store.next_due()
        if due is None or due > now:
            return None if due is None else due - now
        leases = await self._lease(now, room)
        for lease in leases:
            task = asyncio.create_task(self._serve(lease), name=f"deliver {lease.message.trace_id}")
            self._running[task] = lease.destination
            task.add_done_callback(self._finished)
        return 0.0 if leases else limits.OUTBOUND_POLL

    async def _lease(self, now: float, room: int) -> list[Lease]:
        most = self._settings.per_destination
        # Taken in portions, so that the sum stays within the limit without a look at every destination.
        portion = max(1, most // 2)
        busy = Counter(self._running.values())
        full = frozenset(name for name, count in busy.items() if count > most - portion)
        return await self._store.apply(
            LeaseDue(
                holder=HOLDER,
                now=now,
                until=now + limits.OUTBOUND_LEASE,
                limit=room,
                except_destinations=full,
                per_destination=portion,
            )
        )

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.kick()

    # --- one lease ----------------------------------------------------------------------------------------

    async def _serve(self, lease: Lease) -> None:
        try:
            report = await self._attempt(lease)
            if report is None:
                await self._put_off(lease)
            else:
                await self._record(lease, report)
        except Exception:
            # The lease ends by itself and is tried again: late, but nothing is lost.
            log.exception("fault while serving the queue id=%s", lease.message.trace_id)

    async def _attempt(self, lease: Lease) -> Report | None:
        """Try it; None: its destination is away, and this message has tried before."""
        message, destination = lease.message, lease.destination
        domain = await self.backups.domain(destination)
        backup = domain is not None and domain.kind is DomainKind.BACKUP
        key = RELAY_KEY if self._courier.relay is not None and not backup else destination
        away = self._destinations.away(key)
        tried = all(one.attempts and not one.last_attempt for one in message.recipients)
        if away is not None and tried and self._clock() < away.until:
            return None
        parcel = Parcel(
            message,
            destination,
            message.recipients,
            lambda: self._store.chunks(message.stored),
            backup=backup,
        )
        report = await self._courier.deliver(parcel)
        if self._stopping:
            return report
        if report.reached:
            came_back = self._destinations.reached(key)
            self.backups.reached(destination)
            if came_back:
                await self.flush(destination if key else "")
        else:
            reason = str(report.deliveries[0].reply)
            self._destinations.unreached(key, reason, self._clock())
            if backup:
                self.backups.unreached(destination)
        return report

    async def _put_off(self, lease: Lease) -> None:
        """The destination is away: wait until somebody may look again."""
        now = self._clock()
        away = self._destinations.away(lease.destination) or self._destinations.away(RELAY_KEY)
        until = max(away.until if away is not None else now, now + 1)
        outcomes = tuple(
            Outcome(
                recipient_id=one.recipient_id,
                state=RecipientState.WAITING,
                at=one.last_at,
                next_attempt_at=until + self._courier.random.uniform(0, 5),
                reply=one.last_reply,
                host=one.last_host,
                tls=one.last_tls,
                tried=False,
            )
            for one in lease.message.recipients
        )
        await self._commit(lease, Outcomes(outcomes=outcomes, events=(), told=()))

    # --- recording ------------------------------------------------------------------------------------------

    async def _record(self, lease: Lease, report: Report) -> None:
        now = self._clock()
        found = outcomes_of(lease.message, report, self._settings, now, self._courier.random)
        for delivery in report.deliveries:
            log.info(
                "%s id=%s to=<%s> host=%s tls=%s reply=%s",
                *(delivery.disposition.value, lease.message.trace_id, delivery.recipient.address),
                *(delivery.target, delivery.tls, delivery.reply),
            )
        await self._commit(lease, found)

    async def _commit(self, lease: Lease, found: Outcomes) -> None:
        """Record it for certain: what was delivered must not be sent again because the store paused."""
        pause = 1.0
        while True:
            try:
                await self._store.commit(*await self._operations(lease, found))
                return
            except Conflict:
                log.warning("lease lost before its outcome was recorded id=%s", lease.message.trace_id)
                return
            except (NotFound, OverQuota) as error:
                if not found.told:
                    raise
                # The sender's mailbox went away or filled up in this very moment: plan the notices anew.
                log.warning("notice not possible id=%s: %s", lease.message.trace_id, error.public)
            except StoreUnavailable as error:
                log.warning("outcome not recorded yet id=%s: %s", lease.message.trace_id, error.public)
                if found.told:
                    # A full disk takes no notices, but does take the outcome of the others.
                    found = without_notices(lease.message, found, self._clock(), limits.OUTBOUND_RECORD_PAUSE)
                    continue
            if self._clock() >= lease.until:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, limits.OUTBOUND_RECORD_PAUSE)

    async def _operations(self, lease: Lease, found: Outcomes) -> list[Op[Any]]:
        operations: list[Op[Any]] = [
            RecordOutcomes(queue_id=lease.message.queue_id, token=lease.token, outcomes=found.outcomes)
        ]
        events = list(found.events)
        for start in range(0, len(found.told), limits.DSN_RECIPIENTS):
            notice = await self._notice(lease, found, start)
            carried = await self._carry(notice)
            operations += carried
            events.append(_told(lease, notice, sent=bool(carried)))
        if events:
            operations.append(RecordEvents(events=tuple(events)))
        return operations

    async def _notice(self, lease: Lease, found: Outcomes, start: int) -> Notification:
        message, now = lease.message, self._clock()
        size = message.stored.size
        return compose_dsn(
            DsnRequest(
                hostname=self._courier.hostname,
                to=message.reverse_path,
                recipients=found.told[start : start + limits.DSN_RECIPIENTS],
                original=await self._store.read(message.stored, 0, min(size, limits.DSN_WHOLE_ASKED)),
                original_size=size,
                arrived_at=message.created_at,
                at=now,
                unique=self._new_id(now),
                ret=message.ret,
                envid=message.envid,
            )
        )


def _told(lease: Lease, notice: Notification, *, sent: bool) -> Event:
    detail = f"notice {notice.trace_id}" if sent else "the sender cannot be told: its address leads nowhere"
    return Event(trace_id=lease.message.trace_id, at=notice.at, kind="told", address=notice.to, detail=detail)
