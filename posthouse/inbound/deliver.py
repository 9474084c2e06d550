"""Delivery: one message, all its recipients, one commit.

Aliases are followed and each account gets one copy, with its own Return-Path and Delivered-To (RFC 5321 §4.4,
RFC 9228) before the shared content; recipients elsewhere become one queue entry. Everything is one commit, so
the message is wholly there or not at all, and the result is given only after it. Who cannot get the message is
told per recipient; where no recipient's reply can carry that (SMTP has one for all), a notice is written first.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse.accounts.directory import POSTMASTER, Directory
from posthouse.errors import OverQuota, Temporary
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.notices import Notice, wanted
from posthouse.inbound.plan import Box, Plan, make_plan
from posthouse.inbound.report_door import in_words, report_in
from posthouse.inbound.sign import UNSIGNED, Sign
from posthouse.limits import DELIVERY_RETRIES
from posthouse.msgauth.report_unpack import ReportError
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Added, AddEmail, Enqueue, Op, RecordEvents, Store
from posthouse.store.model import Event, Mailbox, NewQueued, Role
from posthouse.store.trust import AddReport, Report

log: Final = logging.getLogger(__name__)

Notify = Callable[[Mail, tuple[Notice, ...]], Awaitable[None]]
"""Writes delivery status notifications to the sender; returns when they are durable."""

_ACCEPTED: Final = Reply(250, "2.0.0", "Delivered")
_FULL: Final = Reply(452, "4.2.2", "The mailbox is full, try again later")
INBOX: Final = "INBOX"


class Delivered(msgspec.Struct, frozen=True):
    """A copy in a mailbox of ours."""

    address: str
    account_id: int
    mailbox_id: int
    uid: int


class DeliverResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message."""

    replies: tuple[Reply, ...]
    """One for each recipient of the mail, in order."""
    delivered: tuple[Delivered, ...] = ()
    queue_id: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether at least one recipient gets it."""
        return any(reply.accepted for reply in self.replies)


class Handling(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks came to, as far as delivery is concerned."""

    notes: tuple[Event, ...] = ()
    """Lines for the timeline."""
    junk: bool = False
    """It goes to Junk, not to the inbox."""


PLAIN: Final = Handling()


class Deliverer:
    """Delivers mail from every door. One per process."""

    def __init__(self, store: Store, directory: Directory, notify: Notify, sign: Sign | None = None) -> None:
        """`sign`: signs what leaves; None: nothing is signed."""
        self._sign = sign
        self._store = store
        self._directory = directory
        self._notify = notify
        self.told_of: Callable[[Mail, Sequence[int]], None] | None = None
        """Hears after the commit which accounts got a message that is not junk (the vacation responder)."""

    async def deliver(self, mail: Mail, prefix: bytes, handling: Handling = PLAIN) -> DeliverResult:
        """Deliver a message; `prefix` are the header fields to stand before it, CRLF-ended.

        Raises StoreUnavailable and other Temporary: then nothing was kept.
        """
        told: set[tuple[int, str]] = set()
        for _ in range(DELIVERY_RETRIES):
            plan = await make_plan(mail, self._directory)
            report = await self._read_report(mail, plan)
            await self._look_for_room(mail, plan, len(prefix))
            if not plan.boxes and not plan.remote and report is None:
                return DeliverResult(replies=plan.replies(_ACCEPTED))
            await self._tell_failures(mail, plan, told)
            try:
                return await self._commit(mail, prefix, plan, handling, report)
            except OverQuota:
                continue  # somebody filled an account between our question and the commit
        raise Temporary("a mailbox is filling up, try again later")

    async def _look_for_room(self, mail: Mail, plan: Plan, prefix_size: int) -> None:
        for box in tuple(plan.boxes.values()):
            room = await self._directory.room(box.account)
            if room is not None and room < mail.content.size + prefix_size + len(box.prefix):
                plan.drop(box, _FULL)

    async def _tell_failures(self, mail: Mail, plan: Plan, told: set[tuple[int, str]]) -> None:
        # Before the commit: a notice too many after a crash is better than a message lost in silence.
        # RFC 2033 §4.2: over LMTP, as inside this program, every recipient has its own reply.
        failures = plan.failures(only_of_served=mail.via in (Via.LMTP, Via.LOCAL))
        news = [
            (target, notice) for target, notice in failures if (target.position, target.address) not in told
        ]
        notices = tuple(notice for _, notice in news if wanted(mail, notice))
        if notices:
            await self._notify(mail, notices)
        told.update((target.position, target.address) for target, _ in news)

    async def operations(self, mail: Mail, prefix: bytes) -> list[Op[Any]]:
        """What would deliver a message, for a commit of the caller's; empty when no recipient can get it.

        For notices, which must be written together with what they tell of. The commit may meet OverQuota.
        """
        plan = await make_plan(mail, self._directory)
        report = await self._read_report(mail, plan)
        await self._look_for_room(mail, plan, len(prefix))
        if not plan.boxes and not plan.remote and report is None:
            return []
        return await self._operations(mail, prefix, plan, PLAIN, report)

    async def _read_report(self, mail: Mail, plan: Plan) -> Report | None:
        """The report that a message to a reports address brings; what is none goes to the postmaster."""
        if not plan.reports:
            return None
        try:
            return await report_in(mail)
        except ReportError as fault:
            log.info("no report id=%s: %s", mail.trace_id, fault)
        for target in plan.reports:
            postmaster = f"{POSTMASTER}@{target.address.rpartition('@')[2]}"
            plan.redirect(target, await self._directory.destination(postmaster))
        plan.reports.clear()
        return None

    async def _operations(
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, report: Report | None
    ) -> list[Op[Any]]:
        received, *others = _story(mail, plan)
        notes = [received, *handling.notes]
        signed = await self._sign(mail, prefix) if plan.remote and self._sign is not None else UNSIGNED
        if signed.note:
            notes.append(_line(mail, "signed", mail.reverse_path, signed.note))
        if report is not None:
            notes.append(_line(mail, "reported", plan.reports[0].address, in_words(report)))
        ops: list[Op[Any]] = [RecordEvents(events=(*notes, *others))]
        ops += [await self._add(mail, prefix, box, handling) for box in plan.boxes.values()]
        if report is not None:
            ops.append(AddReport(report=report))
        if plan.remote:
            ops.append(_enqueue(mail, signed.fields + prefix, plan))
        return ops

    async def _commit(
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, report: Report | None
    ) -> DeliverResult:
        boxes = tuple(plan.boxes.values())
        ops = await self._operations(mail, prefix, plan, handling, report)
        results = await self._store.commit(*ops)
        delivered = tuple(
            Delivered(box.address, box.account.account_id, op.mailbox_id, added.uid)
            for box, op, added in zip(boxes, ops[1:], results[1:], strict=False)
            if isinstance(op, AddEmail) and isinstance(added, Added)
        )
        queue_id = results[-1] if plan.remote else None
        log.info(
            "accepted id=%s via=%s from=<%s> size=%d mailboxes=%d queued=%d",
            *(mail.trace_id, mail.via, mail.reverse_path, mail.content.size, len(boxes), len(plan.remote)),
        )
        await self._tell_successes(mail, plan)
        if self.told_of is not None and delivered and not handling.junk:
            self.told_of(mail, [one.account_id for one in delivered])
        accepted = Reply(250, "2.0.0", f"Accepted, id {mail.trace_id}")
        return DeliverResult(replies=plan.replies(accepted), delivered=delivered, queue_id=queue_id)

    async def _add(self, mail: Mail, prefix: bytes, box: Box, handling: Handling) -> AddEmail:
        mailbox = await self._folder(box.account.account_id, handling)
        return AddEmail(
            account_id=box.account.account_id,
            mailbox_id=mailbox.mailbox_id,
            content=mail.content,
            prefix=box.prefix + prefix,
            received_at=int(mail.received_at),
            event=_line(mail, "delivered", box.address, f"{box.account.address} {mailbox.name}"),
        )

    async def _folder(self, account_id: int, handling: Handling) -> Mailbox:
        """Where a copy goes; an account that has thrown its Junk folder away gets everything in the inbox."""
        if handling.junk:
            for mailbox in await self._store.mailboxes(account_id):
                if mailbox.role is Role.JUNK:
                    return mailbox
        inbox = await self._store.mailbox(account_id, INBOX)
        if inbox is None:
            raise Temporary("the account has no inbox")
        return inbox

    async def _tell_successes(self, mail: Mail, plan: Plan) -> None:
        notices = tuple(n for n in plan.successes(_ACCEPTED) if wanted(mail, n))
        if not notices:
            return
        try:
            await self._notify(mail, notices)
        except Exception:  # the message is delivered: its reply must not say otherwise
            log.exception("fault while writing a delivery notice id=%s", mail.trace_id)


def _enqueue(mail: Mail, prefix: bytes, plan: Plan) -> Enqueue:
    message = NewQueued(
        trace_id=mail.trace_id,
        reverse_path=mail.reverse_path,
        recipients=tuple(plan.remote.values()),
        created_at=mail.received_at,
        account_id=mail.login.account.account_id if mail.login is not None else None,
        ret=mail.ret,
        envid=mail.envid,
        smtputf8=mail.smtputf8,
        body=mail.body,
    )
    return Enqueue(message=message, content=mail.content, prefix=prefix)


def _story(mail: Mail, plan: Plan) -> tuple[Event, ...]:
    """The lines of `posthouse message log` that this commit makes true, but for those of the copies themselves."""
    login = f" login {mail.login.account.address}" if mail.login is not None else ""
    peer = f" from {mail.helo} [{mail.peer}]" if mail.peer else ""
    tls = f" {mail.tls}" if mail.tls else ""
    detail = f"{mail.via}{peer}{login}{tls}, {mail.content.size} octets"
    return (
        _line(mail, "received", mail.reverse_path, detail),
        *(_line(mail, "queued", one.address, "for its mail host") for one in plan.remote.values()),
        *(_line(mail, "failed", t.address, str(t.failure)) for t in plan.targets if t.failure is not None),
    )


def _line(mail: Mail, kind: str, address: str, detail: str) -> Event:
    return Event(trace_id=mail.trace_id, at=mail.received_at, kind=kind, address=address, detail=detail)
