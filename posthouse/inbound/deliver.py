"""Delivery: one message, all its recipients, one commit.

Aliases are followed and each account gets one copy, with its own Return-Path and Delivered-To (RFC 5321 §4.4,
RFC 9228) before the shared content; recipients elsewhere become one queue entry. Everything is one commit, so
the message is wholly there or not at all, and the result is given only after it. Who cannot get the message is
told per recipient; where no recipient's reply can carry that (SMTP has one for all), a notice is written first.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from posthouse.accounts.directory import POSTMASTER, Directory
from posthouse.errors import Conflict, OverQuota, Temporary
from posthouse.inbound.bounceable import Standing
from posthouse.inbound.checks import Refused
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.notices import Notice, wanted
from posthouse.inbound.plan import Box, Plan, make_plan
from posthouse.inbound.report_door import in_words, report_in
from posthouse.inbound.room import look_for_room, put_off
from posthouse.inbound.rulings import Leave, LeaveFor, Place, RuleFor, Ruling, common_reply
from posthouse.inbound.sign import UNSIGNED, Sign
from posthouse.limits import DELIVERY_RETRIES
from posthouse.msgauth.report_unpack import ReportError
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Added, AddEmail, CreateMailbox, Enqueue, Op, RecordEvents, Store
from posthouse.store.judgement import REJECTS
from posthouse.store.model import Event, Mailbox, NewQueued, Role
from posthouse.store.trust import AddReport, Report

log: Final = logging.getLogger(__name__)

Notify = Callable[[Mail, tuple[Notice, ...]], Awaitable[None]]
"""Writes delivery status notifications to the sender; returns when they are durable."""

_ACCEPTED: Final = Reply(250, "2.0.0", "Delivered")
_NOT_TOLD: Final = "nothing: it is probably not who sent this"
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
    reverse_path: Standing = Standing.PROVED
    """Whether notices about it would go to its sender."""
    end: bytes = b""
    """What must stand between our fields and a text that begins without a header."""
    rule: RuleFor | None = None
    """Who rules where each account's copy goes; None: nobody does."""
    leave: LeaveFor | None = None
    """Who must let it go out."""


PLAIN: Final = Handling()
_NO_RULING: Final = Ruling()


class Decided(msgspec.Struct, frozen=True):
    """What is known of a message beside its plan, when it is about to be committed."""

    report: Report | None = None
    """The report that it brings."""
    rulings: Mapping[int, Ruling] = {}
    """By account."""
    leave: Leave | None = None
    silent: bool = False
    """Nobody is told what becomes of it: its reverse-path is probably somebody else's."""

    def ruling(self, box: Box) -> Ruling:
        """Of an account's copy."""
        return self.rulings.get(box.account.account_id, _NO_RULING)


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
        leave: Leave | None = None
        for _ in range(DELIVERY_RETRIES):
            plan = await make_plan(mail, self._directory)
            report = await self._read_report(mail, plan)
            await look_for_room(mail, plan, len(prefix), self._directory)
            if not plan.boxes and not plan.remote and report is None:
                return DeliverResult(replies=plan.replies(_ACCEPTED))
            boxes = [box.account for box in (*plan.boxes.values(), *plan.full.values())]
            asked = handling.rule if boxes or plan.remote else None
            rulings = await asked(boxes) if asked is not None else {}
            alone = not plan.remote and report is None
            refused = common_reply(list(rulings.values())) if alone else None
            if refused is not None and not await self._kept_refused(refused, rulings):
                raise Refused(refused)
            put_off(mail, plan, handling.junk, rulings)
            leave = leave or await self._ask_leave(plan, handling)
            silent = _is_silent(handling, rulings)
            if refused is None and not silent:
                await self._tell_failures(mail, plan, told)
            decided = Decided(report, rulings, leave, silent)
            try:
                result = await self._commit(mail, prefix, plan, handling, decided)
            except OverQuota:
                continue  # somebody filled an account between our question and the commit
            if refused is not None:  # it is kept to be looked at, and nobody hears that it was delivered
                return DeliverResult(replies=(refused,) * len(mail.recipients))
            if not silent:
                await self._tell_successes(mail, plan)
            self._tell_of(mail, result, handling, rulings)
            return result
        raise Temporary("a mailbox is filling up, try again later")

    def _tell_of(
        self, mail: Mail, result: DeliverResult, handling: Handling, rulings: Mapping[int, Ruling]
    ) -> None:
        wanted_by = [
            one.account_id
            for one in result.delivered
            if not handling.junk and rulings.get(one.account_id, _NO_RULING).place is Place.INBOX
        ]
        if self.told_of is not None and wanted_by:
            self.told_of(mail, wanted_by)

    async def _ask_leave(self, plan: Plan, handling: Handling) -> Leave | None:
        if handling.leave is None:
            return None
        elsewhere = [one.address for one in plan.remote.values()]
        leave = await handling.leave([*elsewhere, *(box.address for box in plan.boxes.values())], elsewhere)
        if leave.reply is not None:
            raise Refused(leave.reply)
        return leave

    async def _kept_refused(self, reply: Reply, rulings: Mapping[int, Ruling]) -> bool:
        """Whether a message that nobody takes is still kept to be looked at; else what it left behind is noted.

        Not one that is to come again because of some accounts: they would get it twice.
        """
        if reply.permanent and any(one.keep for one in rulings.values()):
            return True
        ops = [op for one in rulings.values() for op in one.ops]
        if ops:
            await self._store.commit(*ops)
        return False

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
        await look_for_room(mail, plan, len(prefix), self._directory)
        if not plan.boxes and not plan.remote and report is None:
            return []
        return await self._operations(mail, prefix, plan, PLAIN, Decided(report))

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
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, decided: Decided
    ) -> list[Op[Any]]:
        received, *others = _story(mail, plan)
        report, leave, notes = decided.report, decided.leave, [received, *handling.notes]
        if leave is not None and leave.held:
            notes.append(_line(mail, "held", mail.reverse_path, leave.held))
        ruled = [(box, decided.ruling(box)) for box in plan.boxes.values()]
        notes += [_line(mail, "judged", box.address, ruling.note) for box, ruling in ruled if ruling.note]
        signed = (
            await self._sign(mail, prefix + handling.end)
            if plan.remote and self._sign is not None
            else UNSIGNED
        )
        if signed.note:
            notes.append(_line(mail, "signed", mail.reverse_path, signed.note))
        if decided.silent and any(target.failure is not None for target in plan.targets):
            notes.append(_line(mail, "told", mail.reverse_path, _NOT_TOLD))
        if report is not None:
            notes.append(_line(mail, "reported", plan.reports[0].address, in_words(report)))
        ops: list[Op[Any]] = [RecordEvents(events=(*notes, *others))]
        ops += [await self._add(mail, prefix, box, handling, ruling) for box, ruling in ruled]
        if plan.remote or plan.later:
            ops.append(_enqueue(mail, signed.fields + prefix + handling.end, plan, decided))
        if report is not None:
            ops.append(AddReport(report=report))
        ops += leave.ops if leave is not None else ()
        late = (decided.rulings.get(account_id, _NO_RULING) for account_id in plan.later)
        return [*ops, *(op for ruling in (*(each for _, each in ruled), *late) for op in ruling.ops)]

    async def _commit(
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, decided: Decided
    ) -> DeliverResult:
        boxes = tuple(plan.boxes.values())
        ops = await self._operations(mail, prefix, plan, handling, decided)
        results = await self._store.commit(*ops)
        delivered = tuple(
            Delivered(box.address, box.account.account_id, op.mailbox_id, added.uid)
            for box, op, added in zip(boxes, ops[1:], results[1:], strict=False)
            if isinstance(op, AddEmail) and isinstance(added, Added)
        )
        queued = len(plan.remote) + len(plan.later)
        queue_id = results[1 + len(boxes)] if queued else None
        log.info(
            "accepted id=%s via=%s from=<%s> size=%d mailboxes=%d queued=%d",
            *(mail.trace_id, mail.via, mail.reverse_path, mail.content.size, len(boxes), queued),
        )
        accepted = Reply(250, "2.0.0", f"Accepted, id {mail.trace_id}")
        return DeliverResult(replies=plan.replies(accepted), delivered=delivered, queue_id=queue_id)

    async def _add(self, mail: Mail, prefix: bytes, box: Box, handling: Handling, ruling: Ruling) -> AddEmail:
        place = Place.JUNK if handling.junk and ruling.place is Place.INBOX else ruling.place
        mailbox = await self._folder(box.account.account_id, place)
        return AddEmail(
            account_id=box.account.account_id,
            mailbox_id=mailbox.mailbox_id,
            content=mail.content,
            # RFC 5321 §4.4: trace lines stand on top; what else we add comes behind them.
            prefix=box.prefix + prefix + ruling.field + handling.end,
            received_at=int(mail.received_at),
            event=_line(mail, "delivered", box.address, f"{box.account.address} {mailbox.name}"),
            verdict=ruling.record,
        )

    async def _folder(self, account_id: int, place: Place) -> Mailbox:
        """Where a copy goes; an account that has thrown its Junk folder away gets everything in the inbox."""
        if place is Place.REJECTS:
            return await self._rejects(account_id)
        if place is Place.JUNK:
            for mailbox in await self._store.mailboxes(account_id):
                if mailbox.role is Role.JUNK:
                    return mailbox
        inbox = await self._store.mailbox(account_id, INBOX)
        if inbox is None:
            raise Temporary("the account has no inbox")
        return inbox

    async def _rejects(self, account_id: int) -> Mailbox:
        """The mailbox for what is refused, made at first need; not subscribed: who looks for it finds it."""
        found = await self._store.mailbox(account_id, REJECTS)
        if found is not None:
            return found
        try:
            return await self._store.apply(CreateMailbox(account_id=account_id, name=REJECTS))
        except Conflict:
            found = await self._store.mailbox(account_id, REJECTS)  # another message was quicker
            if found is None:
                raise
            return found

    async def _tell_successes(self, mail: Mail, plan: Plan) -> None:
        notices = tuple(n for n in plan.successes(_ACCEPTED) if wanted(mail, n))
        if not notices:
            return
        try:
            await self._notify(mail, notices)
        except Exception:  # the message is delivered: its reply must not say otherwise
            log.exception("fault while writing a delivery notice id=%s", mail.trace_id)


def _is_silent(handling: Handling, rulings: Mapping[int, Ruling]) -> bool:
    if handling.reverse_path is not Standing.UNKNOWN:
        return handling.reverse_path is Standing.DOUBTFUL
    return bool(rulings) and all(one.place is not Place.INBOX for one in rulings.values())


def _enqueue(mail: Mail, prefix: bytes, plan: Plan, decided: Decided) -> Enqueue:
    recipients = tuple(plan.remote.values())
    if decided.leave is not None and decided.leave.held:
        recipients = tuple(msgspec.structs.replace(one, held=True) for one in recipients)
    recipients += tuple(plan.later.values())
    if decided.silent:
        recipients = tuple(msgspec.structs.replace(one, notify="NEVER") for one in recipients)
    message = NewQueued(
        trace_id=mail.trace_id,
        reverse_path=mail.reverse_path,
        recipients=recipients,
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
        *(_line(mail, "queued", one.address, "its mailbox is full") for one in plan.later.values()),
        *(_line(mail, "failed", t.address, str(t.failure)) for t in plan.targets if t.failure is not None),
    )


def _line(mail: Mail, kind: str, address: str, detail: str) -> Event:
    return Event(trace_id=mail.trace_id, at=mail.received_at, kind=kind, address=address, detail=detail)
