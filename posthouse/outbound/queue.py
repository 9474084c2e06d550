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
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.counts import ATTEMPTS
from posthouse.errors import Conflict, NotFound, OverQuota, StoreUnavailable
from posthouse.outbound.attempt import Courier, Report
from posthouse.outbound.backup import BackupWatch
from posthouse.outbound.content import beginning_of, content_of
from posthouse.outbound.dsn import DsnRequest, Notification, compose_dsn
from posthouse.outbound.homecoming import Carry, bring_home
from posthouse.outbound.outcomes import Outcomes, not_reached, outcomes_of, too_late, without_notices
from posthouse.outbound.parcel import Parcel
from posthouse.outbound.patience import in_force
from posthouse.outbound.schedule import Away, Destinations, is_too_late, term_of
from posthouse.outbound.suppression import bar
from posthouse.store.interface import (
    LeaseDue,
    Op,
    RecordEvents,
    RecordOutcomes,
    ReleaseLease,
    Store,
    WakeDestination,
)
from posthouse.store.model import DomainKind, Event, Lease, Outcome, QueuedMessage, RecipientState

log: Final = logging.getLogger(__name__)

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
        self._in_force = in_force(lambda: self._courier.settings)
        self.failed: Callable[[QueuedMessage, int], None] = lambda message, recipients: None
        """Hears how many recipients of a message failed for good; must be quick."""
        self._destinations = Destinations(courier.settings, courier.random)
        self.backups = BackupWatch(store, courier, self.flush)
        """Looks after the domains that we are backup MX for."""
        self._running: dict[asyncio.Task[None], str] = {}
        self._attempts: set[asyncio.Task[Report]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._stopping = False
        self._cut_off = False
        """Stopping has taken long enough: no attempt begins any more."""
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
        self.try_again(destination)
        return await self._store.apply(WakeDestination(destination=destination, now=self._clock()))

    def try_again(self, destination: str = "") -> None:
        """Believe no longer that a destination (empty: any) is away: somebody wants its mail tried now."""
        self._destinations.forget(destination)
        self.kick()

    def refit(self, courier: Courier) -> None:
        """Use another courier from now on (a reload); attempts under way end with the one they have."""
        before, self._courier = self._courier, courier
        self.backups.refit(courier)
        self._destinations.refit(courier.settings)
        closing = asyncio.get_running_loop().create_task(before.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        """Take nothing more, let attempts under way end (at most OUTBOUND_DRAIN seconds), record what they reached."""
        self._stopping = True
        self._unwatch()
        self.kick()
        await self.backups.stop()
        if self._loop is not None:
            await self._loop
        if self._running:
            await asyncio.wait(set(self._running), timeout=limits.OUTBOUND_DRAIN)
        self._cut_off = True
        for attempt in self._attempts:
            attempt.cancel()  # it returns what it has reached, and that is still recorded
        for tasks in (self._running, self._closing):
            if tasks:
                await asyncio.wait(set(tasks))
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
        room = min(self._courier.settings.concurrency - len(self._running), limits.OUTBOUND_LEASES_AT_ONCE)
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
        most = self._courier.settings.per_destination
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
            domain = await self.backups.domain(lease.destination)
        except Exception:
            log.exception("fault before an attempt id=%s", lease.message.trace_id)
            await self._give_back(lease)
            return
        if domain is not None and domain.kind is DomainKind.LOCAL:
            await self._bring_home(lease)
            return
        backup = domain is not None
        key = RELAY_KEY if self._courier.relay is not None and not backup else lease.destination
        try:
            away = self._destinations.away(key)
            if away is None or not self._waits(lease, away):
                await self._record(lease, await self._attempt(lease, key, backup=backup))
            elif self._is_owed_word(lease):
                await self._record(lease, not_reached(lease.message, away.reason))
            else:
                await self._put_off(lease, away)
        except Exception:
            # The lease ends by itself, and it is tried again then: late, but nothing is lost.
            log.exception("fault while serving the queue id=%s", lease.message.trace_id)

    async def _bring_home(self, lease: Lease) -> None:
        try:
            now = self._clock()
            if is_too_late(lease.message, now):
                await self._record(lease, too_late(lease.message))
                return
            report, operations = await bring_home(lease, self._store, self._carry, now)
            await self._record(lease, report, operations)
        except Exception:
            log.exception("fault while bringing home id=%s", lease.message.trace_id)
            await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        """Nothing was tried: let it be due again, after a pause that keeps a lasting fault from spinning."""
        if not self._stopping:
            await asyncio.sleep(limits.OUTBOUND_POLL)
        with contextlib.suppress(StoreUnavailable):
            await self._store.apply(ReleaseLease(queue_id=lease.message.queue_id, token=lease.token))

    def _waits(self, lease: Lease, away: Away) -> bool:
        """Whether a message need not try itself: its destination is away, and it has tried before."""
        tried = all(one.attempts and not one.last_attempt for one in lease.message.recipients)
        wait = away.until - self._clock()  # longer than the most: the clock was ahead when it was found away
        return tried and 0 < wait <= limits.OUTBOUND_AWAY_MOST

    def _is_owed_word(self, lease: Lease) -> bool:
        """Whether the time has come to tell the sender of a delay, or to give up."""
        now, term = self._clock(), term_of(self._in_force(), lease.message)
        return now >= term.ends_at or any(term.is_told(one, now) for one in lease.message.recipients)

    async def _attempt(self, lease: Lease, key: str, *, backup: bool) -> Report:
        message, destination = lease.message, lease.destination
        if is_too_late(message, self._clock()):
            return too_late(message)
        # For a domain that we are backup MX for, its primary decides.
        barred, recipients = (
            ((), message.recipients) if backup else await bar(self._store, message.recipients)
        )
        if not recipients:
            return Report(deliveries=barred, route=None)
        parcel = Parcel(
            message,
            destination,
            recipients,
            lambda: content_of(self._store, message.stored, message.trace_id),
            backup=backup,
            clock=self._clock,
        )
        attempt = asyncio.create_task(self._courier.deliver(parcel))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        if self._cut_off:
            attempt.cancel()
        report = await attempt
        if report.reached:
            came_back = self._destinations.reached(key)
            self.backups.reached(destination)
            if came_back and not self._stopping:
                with contextlib.suppress(
                    StoreUnavailable
                ):  # the others go by schedule; this outcome is recorded
                    await self.flush(destination if key else "")
        elif not self._stopping:
            reason = str(report.deliveries[0].reply)
            self._destinations.unreached(key, reason, self._clock())
            if backup:
                self.backups.unreached(destination, report.route)
        return msgspec.structs.replace(report, deliveries=report.deliveries + barred)

    async def _put_off(self, lease: Lease, away: Away) -> None:
        """The destination is away: wait until somebody may look again."""
        now, term = self._clock(), term_of(self._in_force(), lease.message)
        until = max(away.until, now + 1)
        outcomes = tuple(
            Outcome(
                recipient_id=one.recipient_id,
                state=RecipientState.WAITING,
                at=one.last_at,
                next_attempt_at=term.at_most(until + self._courier.random.uniform(0, 5), one, now),
                reply=one.last_reply,
                host=one.last_host,
                tls=one.last_tls,
                tried=False,
            )
            for one in lease.message.recipients
        )
        await self._commit(lease, Outcomes(outcomes=outcomes, events=(), told=()))

    # --- recording ------------------------------------------------------------------------------------------

    async def _record(self, lease: Lease, report: Report, also: Sequence[Op[Any]] = ()) -> None:
        now = self._clock()
        found = outcomes_of(lease.message, report, self._in_force(), now, self._courier.random)
        for delivery in report.deliveries:
            ATTEMPTS.add(delivery.disposition.value)
            log.info(
                "%s id=%s to=<%s> host=%s tls=%s reply=%s",
                *(delivery.disposition.value, lease.message.trace_id, delivery.recipient.address),
                *(delivery.target, delivery.tls, delivery.reply),
            )
        await self._commit(lease, found, also)

    async def _commit(self, lease: Lease, found: Outcomes, also: Sequence[Op[Any]] = ()) -> None:
        """Record it for certain: what was delivered must not be sent again because the store paused."""
        pause, refused = 1.0, 0
        while True:
            try:
                await self._store.commit(*also, *await self._operations(lease, found))
                if failed := sum(one.state is RecipientState.FAILED for one in found.outcomes):
                    self.failed(lease.message, failed)
                return
            except Conflict:
                log.warning("lease lost before its outcome was recorded id=%s", lease.message.trace_id)
                return
            except (NotFound, OverQuota) as error:
                if also:
                    raise
                # The sender's mailbox went away or filled up in this very moment: plan the notices anew.
                refused += 1
                log.warning("notice not possible id=%s: %s", lease.message.trace_id, error.public)
                if refused >= limits.DSN_TRIES:
                    found = msgspec.structs.replace(found, told=())
                if refused <= limits.DSN_TRIES:
                    continue
            except StoreUnavailable as error:
                log.warning("outcome not recorded yet id=%s: %s", lease.message.trace_id, error.public)
                if found.told:
                    # A full disk takes no notices, but does take the outcome of the others.
                    found = without_notices(lease.message, found, self._clock(), limits.OUTBOUND_RECORD_PAUSE)
                    continue
            except Exception:
                if not found.told:
                    raise
                # Whatever is wrong with the notice: who has the message must not get it again with each lease.
                log.exception("fault in a notice id=%s", lease.message.trace_id)
                found = without_notices(lease.message, found, self._clock(), limits.OUTBOUND_AWAY_MOST)
                continue
            if self._clock() >= lease.until or (self._stopping and pause > 1.0):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, limits.OUTBOUND_RECORD_PAUSE)

    async def _operations(self, lease: Lease, found: Outcomes) -> list[Op[Any]]:
        operations: list[Op[Any]] = [
            RecordOutcomes(queue_id=lease.message.queue_id, token=lease.token, outcomes=found.outcomes),
            *found.learnt,
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
        original = await beginning_of(self._store, message.stored, limits.DSN_WHOLE_ASKED, message.trace_id)
        return compose_dsn(
            DsnRequest(
                hostname=self._courier.hostname,
                to=message.reverse_path,
                recipients=found.told[start : start + limits.DSN_RECIPIENTS],
                original=original,
                original_size=message.stored.size,
                arrived_at=message.created_at,
                at=now,
                unique=self._new_id(now),
                ret=message.ret,
                envid=message.envid,
                deliver_by=message.deliver_by if message.by_mode else 0.0,
            )
        )


def _told(lease: Lease, notice: Notification, *, sent: bool) -> Event:
    detail = f"notice {notice.trace_id}" if sent else "the sender cannot be told: its address leads nowhere"
    return Event(trace_id=lease.message.trace_id, at=notice.at, kind="told", address=notice.to, detail=detail)
