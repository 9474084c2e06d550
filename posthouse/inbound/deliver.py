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

from posthouse.accounts.directory import POSTMASTER, Directory
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.inbound.checks import Refused
from posthouse.inbound.decided import (
    NO_RULING,
    Decided,
    Delivered,
    DeliverResult,
    enqueued,
    is_silent,
    noted,
    place_of,
    with_trash,
)
from posthouse.inbound.filtered import Filters
from posthouse.inbound.folders import Folders
from posthouse.inbound.handling import CLOSED, PLAIN, Handling
from posthouse.inbound.lists import MailingLists
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.notices import Notice, wanted
from posthouse.inbound.plan import Box, Plan, make_plan
from posthouse.inbound.report_door import in_words, report_in
from posthouse.inbound.room import look_for_room, put_off
from posthouse.inbound.rulings import Leave, Place, Ruling, common_reply
from posthouse.inbound.sent_on import SentOn, as_it_is
from posthouse.inbound.sign import UNSIGNED, Sign
from posthouse.inbound.story import line, story
from posthouse.inbound.through_scripts import left_to_scripts, through_scripts
from posthouse.limits import DELIVERY_RETRIES
from posthouse.msgauth.report_unpack import ReportError
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Added, AddEmail, Op, RecordEvents, Store
from posthouse.store.trust import AddReport, Report

log: Final = logging.getLogger(__name__)

Notify = Callable[[Mail, tuple[Notice, ...]], Awaitable[None]]
"""Writes delivery status notifications to the sender; returns when they are durable."""

_ACCEPTED: Final = Reply(250, "2.0.0", "Delivered")
_NOT_TOLD: Final = "nothing: it is probably not who sent this"


class Deliverer:
    """Delivers mail from every door. One per process."""

    def __init__(self, store: Store, directory: Directory, notify: Notify, sign: Sign | None = None) -> None:
        """`sign`: signs what leaves; None: nothing is signed."""
        self._sign = sign
        self.store = store
        self.directory = directory
        self._notify = notify
        self.folders = Folders(store)
        self.filters: Filters | None = None
        """The accounts' scripts; None: they are not looked at."""
        self.sent_on: SentOn | None = None
        """Rewrites the senders of mail that is sent on; None: it leaves as it came, and nothing comes back to us."""
        self.lists: MailingLists | None = None
        """The mailing lists; None: nothing is taken for them."""
        self.told_of: Callable[[Mail, Sequence[int]], None] | None = None
        """Hears after the commit which accounts got a message that is not junk (the vacation responder)."""

    async def deliver(self, mail: Mail, prefix: bytes, handling: Handling = PLAIN) -> DeliverResult:
        """Deliver a message; `prefix` are the header fields to stand before it, CRLF-ended.

        Raises StoreUnavailable and other Temporary: then nothing was kept.
        """
        told: set[tuple[int, str]] = set()
        leave: Leave | None = None
        for attempt in range(DELIVERY_RETRIES):
            plan = await self._plan(mail, handling)
            report = await self._read_report(mail, plan)
            await look_for_room(mail, plan, len(prefix), self.directory)
            if not plan.boxes and not plan.remote and report is None and not plan.is_for_lists:
                return DeliverResult(replies=plan.replies(_ACCEPTED))
            rulings = await self._rulings(plan, handling)
            alone = not plan.remote and report is None and not plan.is_for_lists
            refused = common_reply(list(rulings.values())) if alone else None
            if refused is not None and not await self._kept_refused(refused, rulings):
                raise Refused(refused)
            put_off(mail, plan, handling.junk, rulings)
            leave = leave or await self._ask_leave(plan, handling)
            if leave is not None and leave.held and plan.posts and not MailingLists.refuse_held(plan):
                return DeliverResult(replies=plan.replies(_ACCEPTED))
            decided = Decided(report, rulings, leave, is_silent(handling, rulings))
            if refused is None and attempt < DELIVERY_RETRIES - 1:  # the last time mail goes before scripts
                decided = await through_scripts(self.filters, plan, prefix, handling, decided)
            if not plan.boxes and not plan.remote and not plan.later and alone and not plan.is_served:
                return await self._refused_by_scripts(plan, decided)
            if refused is None and not decided.silent:
                await self._tell_failures(mail, plan, told)
            try:
                result = await self._commit(mail, prefix, plan, handling, decided)
            except OverQuota:
                continue  # somebody filled an account between our question and the commit
            except (Conflict, NotFound):
                if not decided.filtered:
                    raise
                continue  # a mailbox that a script names has gone, or its keywords are used up
            if refused is not None:  # it is kept to be looked at, and nobody hears that it was delivered
                return DeliverResult(replies=(refused,) * len(mail.recipients))
            if not decided.silent:
                await self._tell_successes(mail, plan)
            self._tell_of(mail, result, handling, decided)
            return result
        raise Temporary("a mailbox is filling up, try again later")

    async def _plan(self, mail: Mail, handling: Handling) -> Plan:
        find_origin = self.sent_on.returning if self.sent_on is not None else None
        plan = await make_plan(mail, self.directory, find_origin, handling.failures)
        if self.lists is not None:
            await self.lists.admit(mail, plan, handling)
        return plan

    async def _rulings(self, plan: Plan, handling: Handling) -> dict[int, Ruling]:
        boxes = [box.account for box in (*plan.boxes.values(), *plan.full.values())]
        if handling.rule is None or not (boxes or plan.remote or plan.posts):
            return with_trash(plan, {})
        return with_trash(plan, await left_to_scripts(self.filters, await handling.rule(boxes)))

    async def _refused_by_scripts(self, plan: Plan, decided: Decided) -> DeliverResult:
        """Nobody takes it, and the reply says so. What the scripts want beside that is done."""
        ops = [op for done in decided.filtered.values() for op in done.ops]
        notes = tuple(note for done in decided.filtered.values() for note in done.notes)
        await self.store.commit(RecordEvents(events=notes), *ops)
        return DeliverResult(replies=plan.replies(_ACCEPTED))

    def _tell_of(self, mail: Mail, result: DeliverResult, handling: Handling, decided: Decided) -> None:
        rulings, filtered = decided.rulings, decided.filtered
        wanted_by = [
            account_id
            for account_id in dict.fromkeys(one.account_id for one in result.delivered)
            if not handling.junk and rulings.get(account_id, NO_RULING).place is Place.INBOX
            if account_id not in filtered or not filtered[account_id].quiet
        ]
        if self.told_of is not None and wanted_by:
            self.told_of(mail, wanted_by)

    async def _ask_leave(self, plan: Plan, handling: Handling) -> Leave | None:
        if handling.leave is None:
            return None
        elsewhere = [*(one.address for one in plan.remote.values()), *(one.address for one in plan.posts)]
        leave = await handling.leave([*elsewhere, *(box.address for box in plan.boxes.values())], elsewhere)
        if leave.reply is not None:
            raise Refused(leave.reply)
        return leave

    async def _kept_refused(self, reply: Reply, rulings: dict[int, Ruling]) -> bool:
        """Whether a message that nobody takes is still kept to be looked at; else what it left behind is noted.

        Not one that is to come again because of some accounts: they would get it twice.
        """
        if reply.permanent and any(one.keep for one in rulings.values()):
            return True
        ops = [op for one in rulings.values() for op in one.ops]
        if ops:
            await self.store.commit(*ops)
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

    async def operations(self, mail: Mail, prefix: bytes, handling: Handling = CLOSED) -> list[Op[Any]]:
        """What would deliver a message, for a commit of the caller's; empty when no recipient can get it.

        For notices, which must be written together with what they tell of. The commit may meet OverQuota.
        """
        plan = await self._plan(mail, handling)
        report = await self._read_report(mail, plan)
        await look_for_room(mail, plan, len(prefix), self.directory)
        if not plan.boxes and not plan.remote and report is None and not plan.is_for_lists:
            return []
        decided = Decided(report, with_trash(plan, {}), silent=is_silent(handling, {}))
        decided = await through_scripts(self.filters, plan, prefix, handling, decided)
        if decided.filtered and not decided.silent:
            await self._tell_refusals(mail, plan, decided)
        return await self._operations(mail, prefix, plan, handling, decided)

    async def _tell_refusals(self, mail: Mail, plan: Plan, decided: Decided) -> None:
        """Where nobody waits for a reply, what a script refuses is told by a notice."""
        failures = [
            notice
            for target, notice in plan.failures(only_of_served=False)
            if target.account is not None and target.account.account_id in decided.filtered
        ]
        notices = tuple(notice for notice in failures if wanted(mail, notice))
        if notices:
            await self._notify(mail, notices)

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
            plan.redirect(target, await self.directory.destination(postmaster))
        plan.reports.clear()
        return None

    async def _operations(
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, decided: Decided
    ) -> list[Op[Any]]:
        received, *others = story(mail, plan)
        report, leave, notes = decided.report, decided.leave, [*handling.notes]
        if not handling.again:
            notes.insert(0, received)
        if leave is not None and leave.held:
            notes.append(line(mail, "held", mail.reverse_path, leave.held))
        ruled = [(box, decided.ruling(box)) for box in plan.boxes.values()]
        notes += [line(mail, "judged", box.address, ruling.note) for box, ruling in ruled if ruling.note]
        filtered = decided.filtered
        for done in filtered.values():
            notes += done.notes
        signed = (
            await self._sign(mail, prefix + handling.end)
            if plan.remote and self._sign is not None and not handling.signed
            else UNSIGNED
        )
        if signed.note:
            notes.append(line(mail, "signed", mail.reverse_path, signed.note))
        if decided.silent and any(target.failure is not None for target in plan.targets):
            notes.append(line(mail, "told", mail.reverse_path, _NOT_TOLD))
        if report is not None:
            notes.append(line(mail, "reported", plan.reports[0].address, in_words(report)))
        departure = as_it_is(mail, plan)
        if plan.remote and self.sent_on is not None:
            departure = await self.sent_on.departure(mail, plan, handling.forwarder)
        ops: list[Op[Any]] = [RecordEvents(events=(*notes, *departure.notes, *others))]
        for box, ruling in ruled:
            if box.account.account_id not in filtered:
                ops.append(await self._add(mail, prefix, box, handling, ruling))
        fields = signed.fields + prefix + handling.end
        ops += enqueued(mail, fields, plan, decided, departure.by_sender)
        ops += departure.ops
        for done in filtered.values():
            ops += done.ops
        if report is not None:
            ops.append(AddReport(report=report))
        ops += leave.ops if leave is not None else ()
        if self.lists is not None and plan.is_for_lists:
            ops += await self.lists.operations(mail, prefix, plan, handling)
        ops += noted(plan, mail.received_at)
        late = (decided.rulings.get(account_id, NO_RULING) for account_id in plan.later)
        return [*ops, *(op for ruling in (*(each for _, each in ruled), *late) for op in ruling.ops)]

    async def _commit(
        self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling, decided: Decided
    ) -> DeliverResult:
        boxes = plan.boxes
        ops = await self._operations(mail, prefix, plan, handling, decided)
        results = await self.store.commit(*ops)
        if self.lists is not None:
            self.lists.taken(plan)
        delivered = tuple(
            Delivered(boxes[op.account_id].address, op.account_id, op.mailbox_id, added.uid)
            for op, added in zip(ops, results, strict=True)
            if isinstance(op, AddEmail) and isinstance(added, Added) and op.account_id in boxes
        )
        queued = len(plan.remote) + len(plan.later)
        unfiltered = sum(account_id not in decided.filtered for account_id in boxes)
        queue_id = results[1 + unfiltered] if queued else None
        log.info(
            "accepted id=%s via=%s from=<%s> size=%d mailboxes=%d queued=%d",
            *(mail.trace_id, mail.via, mail.reverse_path, mail.content.size, len(boxes), queued),
        )
        accepted = Reply(250, "2.0.0", f"Accepted, id {mail.trace_id}")
        return DeliverResult(replies=plan.replies(accepted), delivered=delivered, queue_id=queue_id)

    async def _add(self, mail: Mail, prefix: bytes, box: Box, handling: Handling, ruling: Ruling) -> AddEmail:
        mailbox = await self.folders.of(box.account.account_id, place_of(handling, ruling))
        return AddEmail(
            account_id=box.account.account_id,
            mailbox_id=mailbox.mailbox_id,
            content=mail.content,
            # RFC 5321 §4.4: trace lines stand on top; what else we add comes behind them.
            prefix=box.prefix + prefix + ruling.field + handling.end,
            received_at=int(mail.received_at),
            event=line(mail, "delivered", box.address, f"{box.account.address} {mailbox.name}"),
            verdict=ruling.record,
        )

    async def _tell_successes(self, mail: Mail, plan: Plan) -> None:
        notices = tuple(n for n in plan.successes(_ACCEPTED) if wanted(mail, n))
        if not notices:
            return
        try:
            await self._notify(mail, notices)
        except Exception:  # the message is delivered: its reply must not say otherwise
            log.exception("fault while writing a delivery notice id=%s", mail.trace_id)
