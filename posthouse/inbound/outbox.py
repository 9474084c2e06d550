"""Submissions that are kept as records: held until their time, sent by the same door as port 587, watched afterwards.

A record is an item of the account (kind `EmailSubmission`). While it is held, its message is kept beside it, so it is
sent as it was when it was submitted. After a crash the timeline tells whether a message was already taken: then it
is not sent twice. What becomes of each recipient is read from the timeline, ever less often, until all is settled.
Of one that is refused when its time has come its sender gets a notice, since nobody is there any more to be told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.model import Login
from posthouse.errors import Conflict, Damaged, NotFound, OverQuota, PosthouseError
from posthouse.inbound.deliver import Notify
from posthouse.inbound.line_ends import with_crlf
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.notices import Notice, NoticeKind, wanted
from posthouse.inbound.pipeline import Pipeline
from posthouse.message.address import found_as
from posthouse.message.compose import needs
from posthouse.smtp.replies import DAMAGED, Reply
from posthouse.store.account_model import SUBMISSIONS, Item
from posthouse.store.interface import PutItem, RemoveUpload, Store
from posthouse.store.model import Account, Content, Event, Stored

log: Final = logging.getLogger(__name__)

KIND: Final = SUBMISSIONS
_REPLY: Final = re.compile(r"\b[245]\d\d[ -].*")
_LOCAL: Final = re.compile(r" uid \d+$")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8621 §7: an envelope address with its parameters."""

    email: str
    parameters: dict[str, str | None] | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §7."""

    mail_from: Address
    rcpt_to: list[Address]


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §7."""

    smtp_reply: str
    delivered: str
    displayed: str = "unknown"


class Submission(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8621 §7, and what we need beside it: the trace id, the kept message, how often was looked."""

    identity_id: str
    email_id: str
    thread_id: str
    envelope: Envelope
    send_at: float
    undo_status: str
    delivery_status: dict[str, DeliveryStatus] | None = None
    dsn_blob_ids: list[str] = []
    mdn_blob_ids: list[str] = []
    trace_id: str
    upload_id: int = 0
    looks: int = 0


def decode(item: Item) -> Submission:
    """The record in an item."""
    return msgspec.json.decode(item.data, type=Submission)


class Outbox:
    """Sends what is due. `start`, then `stop`; one per process."""

    def __init__(
        self,
        store: Store,
        pipeline: Callable[[], Pipeline],
        notify: Notify,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`pipeline`: the one in force (a reload makes another); `notify`: as `Deliverer` has it."""
        self._notify = notify
        self._store = store
        self._pipeline = pipeline
        self._now = now
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for what is due."""
        self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """End between two submissions."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    # --- sending -------------------------------------------------------------------------------------

    async def send(self, account: Account, record: Submission, raw: bytes) -> tuple[Reply, ...]:
        """Hand a whole message to the pipeline, as port 587 does: one reply for each recipient."""
        return await self._pipeline().accept(await self._mail(account, record, raw))

    async def _mail(self, account: Account, record: Submission, raw: bytes) -> Mail:
        envelope = record.envelope
        parameters = {k.upper(): v for k, v in (envelope.mail_from.parameters or {}).items()}
        recipients = tuple(_recipient(each) for each in envelope.rcpt_to)
        # It may be an import, or a draft that a mail program put there: signed and sent are lines that end as in SMTP.
        raw = await with_crlf(raw)
        return Mail(
            trace_id=record.trace_id,
            reverse_path=envelope.mail_from.email,
            recipients=recipients,
            content=Content.of(raw),
            received_at=self._now(),
            login=Login(account=account, mechanism="JMAP"),
            smtputf8=needs(raw).smtputf8 or not all(r.address.isascii() for r in recipients),
            body="8BITMIME",
            ret=(parameters.get("RET") or "").upper(),
            envid=parameters.get("ENVID") or "",
            via=Via.SUBMISSION,
            protocol="JMAP",
        )

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except PosthouseError as fault:
                log.warning("outbox put off: %s", fault.public)
                await asyncio.sleep(limits.OUTBOX_PAUSE)
            except Exception:
                log.exception("fault in the outbox")
                await asyncio.sleep(limits.OUTBOX_PAUSE)

    async def _round(self) -> None:
        self._woken.clear()
        for item in await self._store.items_due(KIND, self._now(), limits.OUTBOX_BATCH):
            await self._due(item)
        due = await self._store.next_item_due(KIND)
        pause = limits.OUTBOX_LOOK if due is None else min(limits.OUTBOX_LOOK, max(due - self._now(), 0.02))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._woken.wait()

    async def _due(self, item: Item) -> None:
        record = decode(item)
        try:
            if record.undo_status == "pending":
                await self._send_held(item, record)
            else:
                await self._look(item, record)
        except (Conflict, NotFound):
            log.info("submission account=%d item=%d changed meanwhile", item.account_id, item.item_id)

    async def _send_held(self, item: Item, record: Submission) -> None:
        """Its time has come. Marked first, so that from here on it cannot be cancelled."""
        record.undo_status = "final"
        marked = await self._put(item, record, self._now() + limits.OUTBOX_PAUSE)
        account = await self._store.account_by_id(item.account_id)
        (upload,) = await self._store.uploads(item.account_id, [record.upload_id])
        replies: tuple[Reply, ...] = ()
        if account is not None and upload is not None and not await self._taken(record):
            mail, replies = await self._hand_on(account, record, upload.stored)
            temporary = all(reply.temporary for reply in replies)
            if temporary and self._now() < record.send_at + limits.OUTBOX_GIVE_UP:
                record.undo_status = "pending"  # a fault of ours: it is tried again
                await self._put(marked, record, self._now() + limits.OUTBOX_RETRY)
                return
            if not any(reply.accepted for reply in replies):
                await self._tell(mail, replies)
        record.delivery_status = first_status(record, replies)
        await self._settle(marked, record)

    async def _hand_on(
        self, account: Account, record: Submission, stored: Stored
    ) -> tuple[Mail, tuple[Reply, ...]]:
        """What the pipeline says; a message whose octets are damaged may be brought back from a backup meanwhile."""
        try:
            octets = await self._store.whole(stored)
        except (Damaged, NotFound) as fault:
            log.error("held message is damaged id=%s: %s", record.trace_id, fault.public)
            mail = await self._mail(account, record, b"")
            return mail, (DAMAGED,) * len(mail.recipients)
        mail = await self._mail(account, record, octets)
        return mail, await self._pipeline().accept(mail)

    async def _tell(self, mail: Mail, replies: tuple[Reply, ...]) -> None:
        """Where somebody is served, delivery itself tells of the others."""
        notices = tuple(
            Notice(kind=NoticeKind.FAILED, recipient=recipient, address=recipient.address, reply=reply)
            for recipient, reply in zip(mail.recipients, replies, strict=True)
        )
        told = tuple(notice for notice in notices if wanted(mail, notice))
        try:
            if told:
                await self._notify(mail, told)
        except (OverQuota, NotFound) as fault:
            log.warning("notice not possible id=%s: %s", mail.trace_id, fault.public)

    async def _taken(self, record: Submission) -> bool:
        """Whether a crash came between sending and noting that it was sent: what takes it says "received"."""
        events = await self._store.events(trace_id=record.trace_id, limit=limits.OUTBOX_EVENTS)
        return any(event.kind == "received" for event in events)

    async def _settle(self, item: Item, record: Submission) -> None:
        upload_id, record.upload_id = record.upload_id, 0
        await self._put(item, record, self._now() + limits.OUTBOX_FIRST_LOOK)
        if upload_id:
            await self._store.apply(RemoveUpload(account_id=item.account_id, upload_id=upload_id))

    async def _look(self, item: Item, record: Submission) -> None:
        """See what has become of the recipients; the next look comes later and later."""
        if record.upload_id and not await self._taken(record):
            record.undo_status = "pending"  # the crash came before the message was taken
            await self._put(item, record, self._now())
            return
        events = await self._store.events(trace_id=record.trace_id, limit=limits.OUTBOX_EVENTS)
        record.delivery_status = status_of(record, events)
        record.looks += 1
        waiting = any(each.delivered == "queued" for each in record.delivery_status.values())
        pause = min(limits.OUTBOX_FIRST_LOOK * 2**record.looks, limits.OUTBOX_LAST_LOOK)
        over = not waiting or record.looks > limits.OUTBOX_LOOKS
        upload_id, record.upload_id = record.upload_id, 0
        await self._put(item, record, None if over else self._now() + pause)
        if upload_id:
            await self._store.apply(RemoveUpload(account_id=item.account_id, upload_id=upload_id))

    async def _put(self, item: Item, record: Submission, due_at: float | None) -> Item:
        return await self._store.apply(
            PutItem(
                account_id=item.account_id,
                kind=KIND,
                item_id=item.item_id,
                data=msgspec.json.encode(record),
                due_at=due_at,
                unchanged_since=item.modseq,
            )
        )


def _recipient(address: Address) -> MailRecipient:
    parameters = {k.upper(): v for k, v in (address.parameters or {}).items()}
    return MailRecipient(
        address=address.email,
        notify=(parameters.get("NOTIFY") or "").upper(),
        orcpt=parameters.get("ORCPT") or "",
    )


def first_status(record: Submission, replies: tuple[Reply, ...]) -> dict[str, DeliveryStatus]:
    """What is known at once: who was refused, and who waits."""
    found: dict[str, DeliveryStatus] = {}
    for i, address in enumerate(record.envelope.rcpt_to):
        reply = replies[i] if i < len(replies) else None
        accepted = reply is None or reply.accepted
        text = "250 2.0.0 Accepted" if reply is None else str(reply)
        found[address.email] = DeliveryStatus(smtp_reply=text, delivered="queued" if accepted else "no")
    return found


def status_of(record: Submission, events: list[Event]) -> dict[str, DeliveryStatus]:
    """What the timeline tells of each recipient (RFC 8621 §7 deliveryStatus)."""
    found = dict(record.delivery_status or first_status(record, ()))
    names = {found_as(each): each for each in found}
    for event in events:
        name = names.get(found_as(event.address))
        delivered = _DELIVERED.get(event.kind)
        if name is None or delivered is None:
            continue
        match = _REPLY.search(event.detail)
        if event.kind == "delivered" and _LOCAL.search(event.detail):
            found[name] = DeliveryStatus(smtp_reply="250 2.0.0 Delivered", delivered="yes")
            continue
        text = match[0] if match else f"{_CODES[event.kind]} {event.detail}"
        found[name] = DeliveryStatus(smtp_reply=text, delivered=delivered)
    return found


_DELIVERED: Final = {"delivered": "unknown", "failed": "no", "deferred": "queued"}
"""Handed to another host is not yet read by anybody there: RFC 8621 §7 calls that unknown."""
_CODES: Final = {"delivered": "250 2.0.0", "failed": "550 5.0.0", "deferred": "451 4.0.0"}
