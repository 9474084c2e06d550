"""From what an attempt reached to what the store is told: outcomes, timeline, and who hears of it. Pure.

Every recipient of the lease gets exactly one outcome. A deferral becomes a failure when its time is up, and tells
the sender once when it has lasted `outbound.delay_notice`.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec

from posthouse.config import Outbound
from posthouse.outbound.attempt import Report
from posthouse.outbound.dsn import DsnRecipient, wanted
from posthouse.outbound.parcel import Delivery, Disposition, shortened
from posthouse.outbound.schedule import Term, is_too_late, next_attempt, term_of
from posthouse.outbound.suppression import learnt
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op
from posthouse.store.model import Event, Outcome, QueuedMessage, RecipientState

# RFC 3463 §3.5 X.4.7: delivery time expired.
EXPIRED: Final = "4.4.7"
TOO_LATE: Final = Reply(550, "5.4.7", "It was not delivered in the time that its sender set")
"""RFC 2852 §4.1."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit records of one lease."""

    outcomes: tuple[Outcome, ...]
    events: tuple[Event, ...]
    told: tuple[DsnRecipient, ...]
    """What the sender is told of."""
    learnt: tuple[Op[Any], ...] = ()
    """What the suppression list learns of it."""


def outcomes_of(
    message: QueuedMessage, report: Report, settings: Outbound, now: float, random: Random
) -> Outcomes:
    """What an attempt comes to."""
    outcomes, told = [], []
    events = [
        Event(
            trace_id=message.trace_id,
            at=now,
            kind="attempted",
            address=report.deliveries[0].recipient.address,
            detail=tried,
        )
        for tried in report.tried
    ]
    for delivery in report.deliveries:
        one = _Outcome(message, delivery, settings, now, random)
        outcomes.append(one.outcome)
        events.append(one.event)
        if one.is_told:
            told.append(one.dsn())
    return Outcomes(
        outcomes=tuple(outcomes),
        events=tuple(events),
        told=tuple(told),
        learnt=learnt(report.deliveries, settings, now),
    )


def not_reached(message: QueuedMessage, reason: str) -> Report:
    """What an attempt would come to now, as another message has found out."""
    reply = Reply(451, "4.4.1", reason)
    deliveries = tuple(
        Delivery(recipient=one, disposition=Disposition.DEFERRED, reply=reply) for one in message.recipients
    )
    return Report(deliveries=deliveries, route=None)


def too_late(message: QueuedMessage) -> Report:
    """The sender's time is over: nothing is tried any more."""
    deliveries = tuple(
        Delivery(recipient=one, disposition=Disposition.FAILED, reply=TOO_LATE) for one in message.recipients
    )
    return Report(deliveries=deliveries, route=None)


def put_off(message: QueuedMessage, term: Term, until: float, now: float, random: Random) -> Outcomes:
    """Nothing was tried: all wait until about a time."""
    outcomes = tuple(
        Outcome(
            recipient_id=one.recipient_id,
            state=RecipientState.WAITING,
            at=one.last_at,
            next_attempt_at=term.at_most(until + random.uniform(0, 5), one, now),
            reply=one.last_reply,
            host=one.last_host,
            tls=one.last_tls,
            tried=False,
        )
        for one in message.recipients
    )
    return Outcomes(outcomes=outcomes, events=(), told=())


def without_notices(message: QueuedMessage, found: Outcomes, now: float, pause: float) -> Outcomes:
    """The same, for a moment when no notice can be written: who is to be told of a failure waits a little longer."""
    failed = {one.address for one in found.told if one.action == "failed"}
    addresses = {recipient.recipient_id: recipient.address for recipient in message.recipients}
    outcomes = tuple(
        msgspec.structs.replace(outcome, state=RecipientState.WAITING, next_attempt_at=now + pause)
        if addresses[outcome.recipient_id] in failed
        else msgspec.structs.replace(outcome, delay_noticed=False)
        for outcome in found.outcomes
    )
    events = tuple(event for event in found.events if event.kind != "failed" or event.address not in failed)
    return Outcomes(outcomes=outcomes, events=events, told=())


class _Outcome:
    """One recipient's."""

    def __init__(
        self, message: QueuedMessage, delivery: Delivery, settings: Outbound, now: float, random: Random
    ) -> None:
        self._message = message
        self._delivery = delivery
        self._settings = settings
        self._now = now
        self._next_at = 0.0
        self.action = ""
        """RFC 3464 §2.3.3; empty: nothing to tell."""
        self._expired = self._traced = False
        self._term = term_of(settings, message)
        self._state = self._decide(random)

    def _decide(self, random: Random) -> RecipientState:
        delivery, message = self._delivery, self._message
        recipient = delivery.recipient
        if delivery.disposition is Disposition.DELIVERED:
            # RFC 3461 §5.2.2 (b): a server without DSN sends no notice of success: say that it was handed on.
            handed_on = "" if delivery.answers_for_success else "relayed"
            mode = "" if delivery.here else message.by_mode
            # RFC 2852 §4.1: a relay that looks at the time is told of when "T" asks for it, another one with "N".
            self._traced = "T" in mode if delivery.takes_by else mode.startswith("N")
            self.action = "delivered" if delivery.here else "relayed" if self._traced else handed_on
            return RecipientState.DELIVERED
        if delivery.disposition is Disposition.FAILED:
            self.action = "failed"
            return RecipientState.FAILED
        if recipient.last_attempt or self._now >= self._term.ends_at:
            self._expired = True
            self.action = "failed"
            return RecipientState.FAILED
        self._next_at = next_attempt(self._settings, recipient, self._term, self._now, random)
        if self._term.is_told(recipient, self._now):
            self.action = "delayed"
        return RecipientState.WAITING

    @property
    def is_told(self) -> bool:
        """Whether the sender hears of it."""
        reverse_path, notify = self._message.reverse_path, self._delivery.recipient.notify
        if not self.action or not reverse_path:
            return False
        return (self._traced and notify.upper() != "NEVER") or wanted(reverse_path, notify, self.action)

    @property
    def outcome(self) -> Outcome:
        """For the store."""
        delivery = self._delivery
        return Outcome(
            recipient_id=delivery.recipient.recipient_id,
            state=self._state,
            at=self._now,
            next_attempt_at=self._next_at,
            reply=shortened(delivery.reply),
            host=delivery.target or delivery.host,
            tls=delivery.tls,
            delay_noticed=self.action == "delayed",
        )

    def _status(self) -> str:
        if not self._expired:
            return ""
        return TOO_LATE.enhanced if is_too_late(self._message, self._now) else EXPIRED

    @property
    def event(self) -> Event:
        """For the timeline."""
        delivery = self._delivery
        reply, place = shortened(delivery.reply), delivery.target or delivery.host
        parts = [delivery.tls, reply] if place in reply else [place, delivery.tls, reply]
        if self._expired:
            parts.insert(0, "given up:")
        if delivery.may_be_there:
            parts.append(
                "(the connection broke after the message: it may have arrived; a duplicate is possible)"
            )
        kind = {RecipientState.DELIVERED: "delivered", RecipientState.FAILED: "failed"}.get(
            self._state, "deferred"
        )
        return Event(
            trace_id=self._message.trace_id,
            at=self._now,
            kind=kind,
            address=delivery.recipient.address,
            detail=" ".join(part for part in parts if part),
        )

    def dsn(self) -> DsnRecipient:
        """For the sender."""
        delivery = self._delivery
        return DsnRecipient(
            action=self.action,
            address=delivery.recipient.address,
            reply=delivery.reply,
            orcpt=delivery.recipient.orcpt,
            remote_host=delivery.host if delivery.remote else "",
            last_at=self._now,
            retry_until=self._term.ends_at,
            status=self._status(),
        )
