"""What is known of a message when it is about to be committed, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from posthouse.inbound.bounceable import Standing
from posthouse.inbound.filtered import Filtered
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import Mail
from posthouse.inbound.plan import Box, Plan
from posthouse.inbound.rulings import Leave, Place, Ruling
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Enqueue
from posthouse.store.masked import NoteMasked
from posthouse.store.model import NewQueued, NewRecipient
from posthouse.store.trust import Report


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


NO_RULING: Final = Ruling()


class Decided(msgspec.Struct, frozen=True):
    """What is known of a message beside its plan, when it is about to be committed."""

    report: Report | None = None
    """The report that it brings."""
    rulings: Mapping[int, Ruling] = {}
    """By account."""
    leave: Leave | None = None
    silent: bool = False
    """Nobody is told what becomes of it: its reverse-path is probably somebody else's."""
    filtered: Mapping[int, Filtered] = {}
    """What accounts' scripts make of their copies, also of those that left the plan by that."""

    def ruling(self, box: Box) -> Ruling:
        """Of an account's copy."""
        return self.rulings.get(box.account.account_id, NO_RULING)


def is_silent(handling: Handling, rulings: Mapping[int, Ruling]) -> bool:
    """Whether nobody is told what becomes of a message: its reverse-path is probably somebody else's."""
    if handling.reverse_path is not Standing.UNKNOWN:
        return handling.reverse_path is Standing.DOUBTFUL
    return bool(rulings) and all(one.place is not Place.INBOX for one in rulings.values())


def with_trash(plan: Plan, rulings: Mapping[int, Ruling]) -> dict[int, Ruling]:
    """The rulings, but that what comes only through masked addresses that are switched off goes to Trash."""
    trashed = {
        number: msgspec.structs.replace(rulings.get(number, NO_RULING), place=Place.TRASH)
        for number in plan.trashed
    }
    return {**rulings, **trashed}


def noted(plan: Plan, at: float) -> list[NoteMasked]:
    """What tells masked addresses that mail came to them."""
    return [
        NoteMasked(account_id=each.account_id, item_id=each.item_id, at=int(at))
        for each in plan.masked.values()
        if each.account_id in plan.boxes
    ]


def place_of(handling: Handling, ruling: Ruling) -> Place:
    """Where a copy goes."""
    return Place.JUNK if handling.junk and ruling.place is Place.INBOX else ruling.place


def enqueued(
    mail: Mail, prefix: bytes, plan: Plan, decided: Decided, by_sender: Mapping[str, Sequence[NewRecipient]]
) -> list[Enqueue]:
    """What queues it for other hosts, by reverse-path, and for mailboxes that are full."""
    leaving = {sender: tuple(recipients) for sender, recipients in by_sender.items()}
    if decided.leave is not None and decided.leave.held:
        leaving = {
            sender: tuple(msgspec.structs.replace(one, held=True) for one in recipients)
            for sender, recipients in leaving.items()
        }
    if plan.later:
        leaving[mail.reverse_path] = (*leaving.get(mail.reverse_path, ()), *plan.later.values())
    return [
        Enqueue(message=_queued(mail, sender, recipients, decided), content=mail.content, prefix=prefix)
        for sender, recipients in leaving.items()
    ]


def _queued(
    mail: Mail, reverse_path: str, recipients: tuple[NewRecipient, ...], decided: Decided
) -> NewQueued:
    if decided.silent:
        recipients = tuple(msgspec.structs.replace(one, notify="NEVER") for one in recipients)
    # RFC 6531 §3.2: an original sender beyond ASCII is written to from an address of ours that is not.
    wide = reverse_path != mail.reverse_path and not all(one.address.isascii() for one in recipients)
    return NewQueued(
        trace_id=mail.trace_id,
        reverse_path=reverse_path,
        recipients=recipients,
        created_at=mail.received_at,
        account_id=mail.login.account.account_id if mail.login is not None else None,
        ret=mail.ret,
        envid=mail.envid,
        smtputf8=mail.smtputf8 or wide,
        body=mail.body,
        deliver_by=mail.deliver_by,
        by_mode=mail.by_mode,
    )
