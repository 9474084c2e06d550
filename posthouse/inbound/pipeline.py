"""After the last octet of a message: the checks in their order, then delivery, then the replies.

    headers read → checks (CHECKS of the door it came by) → submission adds what is missing
    → what must not go on is left out → the administrator's own filters (milters)
    → Received in front → deliver (one commit) → 250

Never 250 before the commit. A check that refuses ends it for all recipients. Whatever is unexpected defers the
mail with 451 and an id that the log has too; the session goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.counts import MESSAGES
from posthouse.errors import OverQuota, Permanent, StoreUnavailable, Temporary
from posthouse.inbound.bounceable import Standing, standing_of
from posthouse.inbound.checks import (
    Check,
    Examination,
    LocalForgery,
    RecipientSince,
    Refused,
    examine,
    header_form,
    hop_count,
    is_headless,
)
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.handling import Handling
from posthouse.inbound.leave_out import spans_to_leave_out, without_spans
from posthouse.inbound.mail import Mail, Via, new_fault_id
from posthouse.inbound.milter_passage import Passed
from posthouse.inbound.milters import Milters
from posthouse.inbound.policy import Policy
from posthouse.inbound.proved_authors import proved_authors
from posthouse.inbound.received import received_field
from posthouse.inbound.refusals import Refusals
from posthouse.inbound.rulings import Judge, LeaveFor, Outgoing, held_back
from posthouse.inbound.story import line
from posthouse.inbound.submit import OwnAuthor, missing_fields, null_sender
from posthouse.smtp.replies import Reply
from posthouse.smtp.rrvs import CHANGED
from posthouse.store.interface import RecordEvents, Store
from posthouse.store.model import Event

log: Final = logging.getLogger(__name__)

Checks = Mapping[Via, tuple[Check, ...]]


def standard_checks(policy: Policy, directory: Directory, *strangers: Check) -> Checks:
    """The checks of each door, in order. `strangers`: those of port 25, before `LocalForgery` (SPF, DKIM, DMARC)."""
    forgery, own_author, since = LocalForgery(policy), OwnAuthor(directory), RecipientSince(policy)
    return {
        Via.MX: (hop_count, header_form, since, *strangers, forgery),
        Via.SUBMISSION: (hop_count, header_form, since, null_sender, own_author),
        Via.LMTP: (hop_count, header_form, since),
        Via.LOCAL: (hop_count, header_form, since, null_sender, own_author),
    }


class Pipeline:
    """What happens after DATA's final dot. One per process."""

    def __init__(
        self,
        *,
        hostname: str,
        our_names: Callable[[], Iterable[str]] | None = None,
        store: Store,
        policy: Policy,
        deliverer: Deliverer,
        refusals: Refusals,
        checks: Checks,
        show_clients: bool = False,
        judge: Judge | None = None,
        outgoing: Outgoing | None = None,
        milters: Milters | None = None,
    ) -> None:
        """`our_names`: of all hosts of the house, else `hostname` alone.

        `show_clients`: put a submitting client's name and address into Received. `judge`: of strangers' mail;
        `outgoing`: of what our accounts send; `milters`: the administrator's own filters."""
        self._hostname = hostname
        self._our_names = our_names or (lambda: (hostname,))
        self._store = store
        self._policy = policy
        self._deliverer = deliverer
        self._refusals = refusals
        self._checks = checks
        self._show_clients = show_clients
        self._judge = judge
        self._outgoing = outgoing
        self._milters = milters

    async def accept(self, mail: Mail) -> tuple[Reply, ...]:
        """Take a message: one reply for each of its recipients, in order. Never raises."""
        by = ""
        try:
            replies = await self._take(mail)
        except Refused as refused:
            replies, by = (refused.reply,) * len(mail.recipients), refused.by
        except Exception as fault:
            replies = (reply_to_fault(fault, mail.trace_id),) * len(mail.recipients)
        if any(reply.accepted for reply in replies):
            MESSAGES.add(mail.via, "accepted")
        else:
            self._note_refusal(mail, replies[0], by)
            MESSAGES.add(mail.via, "refused" if replies[0].permanent else "deferred")
        return replies

    async def _take(self, mail: Mail) -> tuple[Reply, ...]:
        examination = examine(mail, trusted=self._policy.is_trusted(mail.peer))
        for check in self._checks[mail.via]:
            reply = await check(examination)
            if reply is not None:
                raise Refused(reply)
        received = received_field(mail, self._hostname, show_client=self._show_clients)
        ours_to_add = []
        if mail.via in (Via.SUBMISSION, Via.LOCAL):
            ours_to_add = missing_fields(examination, self._hostname)
        spans = spans_to_leave_out(examination, self._our_names())
        if spans:
            content = await without_spans(mail.content, spans, self._store)
            mail = msgspec.structs.replace(mail, content=content)
        # What a host of ours hands on for others is judged as anything else; its own mail is not.
        ours = examination.trusted and examination.client is None and examination.authentication is None
        passed = None
        if self._milters is not None and self._milters.see(mail.via):
            passed = await self._milters.show(examination, mail, b"".join(ours_to_add))
            if passed.discarded:
                return await self._discard(passed)
            mail, examination = passed.mail, passed.examination
        # RFC 8601 §4.1: what we found stands above our Received; readers believe nothing below that.
        fields = [*examination.fields, received]
        if passed is None or not passed.has_fields:
            fields += ours_to_add
        handling = self._handling(mail, examination, ours=ours, passed=passed)
        result = await self._deliverer.deliver(mail, b"".join(fields), handling)
        return result.replies if passed is None else passed.replies(result.replies)

    def _handling(
        self, mail: Mail, examination: Examination, *, ours: bool, passed: Passed | None
    ) -> Handling:
        strange = mail.via is Via.MX and not ours
        judged = self._judge is not None and strange
        leave: LeaveFor | None = None
        if mail.login is not None and self._outgoing is not None:
            leave = self._outgoing(mail)
        failures = {
            position: CHANGED
            for position, recipient in enumerate(mail.recipients)
            if recipient.address.casefold() in examination.changed_hands
        }
        if passed is not None:
            failures |= passed.failures
            leave = held_back(leave, passed.quarantine) if passed.quarantine else leave
        return Handling(
            notes=tuple(self._event(mail, *told) for told in examination.story),
            junk=bool(examination.junk),
            reverse_path=standing_of(examination) if strange else Standing.PROVED,
            end=b"\r\n" if is_headless(examination.mail.content, examination.headers) else b"",
            rule=self._judge(examination) if judged and self._judge is not None else None,
            authors=proved_authors(examination, ours=not strange),
            leave=leave,
            failures=failures,
        )

    async def _discard(self, passed: Passed) -> tuple[Reply, ...]:
        """A filter threw it away: taken, and in the timeline."""
        mail = passed.mail
        words = f"{mail.via} from {mail.helo} [{mail.peer}], {mail.content.size} octets"
        notes = [self._event(mail, *told) for told in passed.examination.story]
        gone = line(mail, "discarded", mail.reverse_path, f"by milter {passed.discarded}")
        await self._store.commit(
            RecordEvents(events=(line(mail, "received", mail.reverse_path, words), *notes, gone))
        )
        log.info("discarded id=%s via=%s milter=%s", mail.trace_id, mail.via, passed.discarded)
        return (Reply(250, "2.0.0", f"Accepted, id {mail.trace_id}"),) * passed.came_to

    def _event(self, mail: Mail, kind: str, address: str, detail: str) -> Event:
        return Event(trace_id=mail.trace_id, at=mail.received_at, kind=kind, address=address, detail=detail)

    def _note_refusal(self, mail: Mail, reply: Reply, by: str) -> None:
        peer = f"{mail.helo} [{mail.peer}] " if mail.peer else ""
        for address in {mail.reverse_path, *(r.address for r in mail.recipients[:1])}:
            self._refusals.note(
                Event(
                    trace_id=mail.trace_id,
                    at=mail.received_at,
                    kind="refused",
                    address=address,
                    detail=f"{mail.via} {peer}{reply}" + (f" ({by})" if by else ""),
                )
            )


def reply_to_fault(fault: Exception, trace_id: str) -> Reply:
    """The reply to anything that went wrong on our side; what is no plain condition is logged with an id."""
    if isinstance(fault, StoreUnavailable):
        # RFC 5321 §4.2.3: 452 "insufficient system storage".
        return Reply(452, "4.3.1", "The store cannot take mail now, try again later")
    if isinstance(fault, OverQuota):
        return Reply(452, "4.2.2", "The mailbox is full, try again later")
    if isinstance(fault, Permanent):
        return Reply(554, "5.0.0", fault.public)
    if isinstance(fault, Temporary):
        return Reply(451, "4.3.0", fault.public)
    fault_id = new_fault_id()
    log.error("fault=%s id=%s: deferred", fault_id, trace_id, exc_info=fault)
    return Reply(451, "4.3.0", f"Something went wrong here, try again later (fault {fault_id})")
