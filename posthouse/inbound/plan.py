"""Where each recipient's copies go: accounts here, other hosts, or nowhere and why.

Aliases are followed by the directory (depth and number limited, loops cut); an account that is reached by several
ways gets one copy. A recipient is served when any of its final addresses is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Destination, DestinationKind
from posthouse.errors import Permanent
from posthouse.inbound.mail import Mail, MailRecipient
from posthouse.inbound.notices import Notice, NoticeKind
from posthouse.limits import MAIL_TARGETS
from posthouse.smtp.grammar import original_recipient
from posthouse.smtp.replies import Reply
from posthouse.store.mailing_lists import MailingList
from posthouse.store.masked_model import MaskedAddress, Takes
from posthouse.store.model import Account, NewRecipient

_UNKNOWN: Final = Reply(550, "5.1.1", "No such user here")
_DISABLED: Final = Reply(550, "5.2.1", "This mailbox is disabled")
_TOO_MANY: Final = Reply(550, "5.4.6", "This address stands for too many others")
FindOrigin = Callable[[Mail, str], Awaitable[str | Reply]]
"""Whom a message to the rewritten sender of another goes back to, or why it does not (`sent_on`)."""

NO_FAILURES: Final[Mapping[int, Reply]] = MappingProxyType({})
_NOWHERE: Final = Reply(550, "5.1.1", "This address leads nowhere")


class Target(msgspec.Struct, kw_only=True):
    """One final address of one recipient."""

    position: int
    """Of the recipient in the mail."""
    address: str
    account: Account | None = None
    """None: it is elsewhere, or nowhere."""
    failure: Reply | None = None
    of_list: Destination | None = None
    """What it is to a mailing list; None: nothing."""

    @property
    def mailing_list(self) -> MailingList:
        """The list that it belongs to."""
        assert self.of_list is not None and self.of_list.mailing_list is not None
        return self.of_list.mailing_list


class Box(msgspec.Struct, frozen=True):
    """An account that gets a copy, and the address that led to it first."""

    account: Account
    address: str
    prefix: bytes
    """Return-Path and Delivered-To, and Original-Recipient where the sender named one."""


class Plan:
    """The plan of one message."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.boxes: dict[int, Box] = {}
        """By account id."""
        self.remote: dict[str, NewRecipient] = {}
        """By address, as it is written: what makes local parts equal is for their host to say (RFC 5321 §2.4)."""
        self.led_by: dict[str, int] = {}
        """By the same address: the position of the recipient that led to it first."""
        self.forwarders: dict[int, str] = {}
        """By position: the alias that sends the message on."""
        self.returned: dict[int, str] = {}
        """By position: the rewritten sender to whom it comes back."""
        self.full: dict[int, Box] = {}
        """Accounts that have no room now, by id."""
        self.later: dict[int, NewRecipient] = {}
        """Those of them whose copy waits in the queue."""
        self.posts: list[Target] = []
        """The lists that it is posted to; they are among the targets too."""
        self.services: list[Target] = []
        """The addresses that go with lists, likewise."""
        self.reports: list[Target] = []
        """Those at which a report is read; they are among the targets too."""
        self.targets: list[Target] = []
        self.masked: dict[str, MaskedAddress] = {}
        """Masked addresses through which it comes."""
        self.trashed: set[int] = set()
        """Accounts that it reaches only through masked addresses that are switched off."""
        self.expanded: set[int] = set()
        """Positions of recipients that stand for several addresses."""

    def add(self, position: int, destination: Destination) -> None:
        """One final address of a recipient."""
        target = Target(position=position, address=destination.address)
        self.targets.append(target)
        account = destination.account
        if destination.kind is DestinationKind.MAILBOX and account is not None:
            if account.disabled:
                target.failure = _DISABLED
                return
            target.account = account
            self._note_mask(account, destination.masked)
            if account.account_id not in self.boxes:
                prefix = _delivery_fields(self.mail, position, target.address)
                self.boxes[account.account_id] = Box(account, target.address, prefix)
        elif destination.kind in (DestinationKind.REMOTE, DestinationKind.BACKUP):
            self._queue(self.mail.recipients[position], target)
        elif destination.kind is DestinationKind.REPORTS:
            self.reports.append(target)
        elif destination.kind in (DestinationKind.LIST, DestinationKind.LIST_SERVICE):
            target.of_list = destination
            (self.posts if destination.kind is DestinationKind.LIST else self.services).append(target)
        else:
            target.failure = _UNKNOWN

    def _note_mask(self, account: Account, masked: MaskedAddress | None) -> None:
        if masked is not None:
            self.masked[masked.address] = masked
        if masked is None or masked.takes is not Takes.TRASH:
            self.trashed.discard(account.account_id)
        elif account.account_id not in self.boxes:
            self.trashed.add(account.account_id)

    def redirect(self, target: Target, destination: Destination) -> None:
        """What is no report after all goes to somebody else."""
        self.targets.remove(target)
        self.add(target.position, destination)

    def refuse(self, target: Target, reply: Reply) -> None:
        """A list does not take it after all."""
        target.failure = reply
        (self.posts if target in self.posts else self.services).remove(target)

    @property
    def is_for_lists(self) -> bool:
        """Whether a list takes it, or an address that goes with one."""
        return bool(self.posts or self.services)

    def fail(self, position: int, reply: Reply) -> None:
        """A recipient that has no final address."""
        address = self.mail.recipients[position].address
        self.targets.append(Target(position=position, address=address, failure=reply))

    def _queue(self, recipient: MailRecipient, target: Target) -> None:
        if target.address not in self.remote:
            self.remote[target.address] = self._queued(recipient, target)
            self.led_by[target.address] = target.position

    def _queued(self, recipient: MailRecipient, target: Target) -> NewRecipient:
        notify = recipient.notify
        if target.position in self.expanded and "SUCCESS" in notify:
            # RFC 3461 §5.2.7.3 (c): behind an alias of several, SUCCESS is answered here, by "expanded".
            notify = ",".join(word for word in notify.split(",") if word != "SUCCESS") or "NEVER"
        # RFC 7293: the sender knows of the address that it named, not of those that it stands for.
        same = target.position not in self.forwarders and target.position not in self.returned
        rrvs = recipient.rrvs if same else ""
        return NewRecipient(address=target.address, notify=notify, orcpt=recipient.orcpt, rrvs=rrvs)

    @property
    def is_served(self) -> bool:
        """Whether any recipient has an address that takes the message."""
        return any(target.failure is None for target in self.targets)

    def recipient_of(self, box: Box) -> MailRecipient:
        """The recipient that led to an account first."""
        return self.mail.recipients[self._leading_to(box)[0].position]

    def take_out(self, box: Box) -> None:
        """What becomes of an account's copy is arranged otherwise."""
        del self.boxes[box.account.account_id]

    def drop(self, box: Box, reply: Reply) -> None:
        """An account can't take its copy after all."""
        self.take_out(box)
        for target in self._leading_to(box):
            target.failure = reply

    def set_aside(self, box: Box, reply: Reply) -> None:
        """An account can't take its copy now; unless it is put off, that is the answer."""
        self.drop(box, reply)
        self.full[box.account.account_id] = box

    def is_ours_to_try(self, box: Box, *, own_replies: bool) -> bool:
        """Whether nobody would try again to bring an account its copy, because the message is taken for others.

        `own_replies`: every recipient has a reply of its own.
        """
        served = {target.position for target in self.targets if target.failure is None}
        if not own_replies:
            return bool(served)
        return all(target.position in served for target in self._leading_to(box))

    def put_off(self, box: Box) -> None:
        """An account's copy waits in the queue."""
        targets = self._leading_to(box)
        self.later[box.account.account_id] = self._queued(
            self.mail.recipients[targets[0].position], targets[0]
        )
        for target in targets:
            target.failure = None

    def _leading_to(self, box: Box) -> list[Target]:
        number = box.account.account_id
        return [one for one in self.targets if one.account is not None and one.account.account_id == number]

    def replies(self, accepted: Reply) -> tuple[Reply, ...]:
        """One for each recipient: accepted when any of its addresses is, else why not, temporary reasons first."""
        served = {target.position for target in self.targets if target.failure is None}
        reasons: dict[int, Reply] = {}
        for target in self.targets:
            known = reasons.get(target.position)
            if target.failure is not None and (known is None or target.failure.code < known.code):
                reasons[target.position] = target.failure
        return tuple(
            accepted if position in served else reasons[position]
            for position in range(len(self.mail.recipients))
        )

    def failures(self, *, only_of_served: bool) -> list[tuple[Target, Notice]]:
        """What a sender may be told about failures.

        `only_of_served`: only failures behind a recipient that is accepted for another address's sake, because
        the others are answered with a reply of their own.
        """
        served = {target.position for target in self.targets if target.failure is None}
        return [
            (target, self._notice(NoticeKind.FAILED, target, target.failure))
            for target in self.targets
            if target.failure is not None
            if not only_of_served or target.position in served
        ]

    def successes(self, accepted: Reply) -> list[Notice]:
        """What may be told of deliveries (RFC 3461 §5.2.7): those here, and expansions; hosts speak for theirs."""
        notices, expanded = [], set[int]()
        for target in self.targets:
            if target.failure is not None:
                continue
            if target.position not in self.expanded:
                # RFC 3461 §5.2.7.1: at the list it is delivered.
                here = target.account is not None and target.account.account_id not in self.later
                if here or target in self.posts:
                    notices.append(self._notice(NoticeKind.DELIVERED, target, accepted))
            elif target.position not in expanded:
                expanded.add(target.position)
                notices.append(self._notice(NoticeKind.EXPANDED, target, accepted))
        return notices

    def _notice(self, kind: NoticeKind, target: Target, reply: Reply) -> Notice:
        recipient = self.mail.recipients[target.position]
        address = recipient.address if kind is NoticeKind.EXPANDED else target.address
        return Notice(kind=kind, recipient=recipient, address=address, reply=reply)


async def make_plan(
    mail: Mail,
    directory: Directory,
    find_origin: FindOrigin | None = None,
    failures: Mapping[int, Reply] = NO_FAILURES,
) -> Plan:
    """Ask the directory about every recipient. Raises Permanent when the aliases lead to too many addresses.

    `failures`: recipients, by position, that get nothing, and why.
    """
    plan = Plan(mail)
    for position, recipient in enumerate(mail.recipients):
        if position in failures:
            plan.fail(position, failures[position])
            continue
        address = recipient.address
        destination = await directory.destination(address)
        if destination.kind is DestinationKind.RETURNING and find_origin is not None:
            found = await find_origin(mail, address)
            if isinstance(found, Reply):
                plan.fail(position, found)
                continue
            plan.returned[position], address = address, found
            destination = await directory.destination(address)
        if destination.kind is not DestinationKind.ALIAS:
            plan.add(position, destination)
            continue
        plan.forwarders[position] = address
        await _expand(plan, position, address, directory)
        if len(plan.targets) > MAIL_TARGETS:
            raise Permanent("The aliases of this message stand for too many addresses")
    return plan


async def _expand(plan: Plan, position: int, address: str, directory: Directory) -> None:
    try:
        finals = await directory.expand(address)
    except Permanent:
        plan.fail(position, _TOO_MANY)
        return
    if len(finals) > 1:
        plan.expanded.add(position)
    for final in finals:
        plan.add(position, final)
    if not finals:
        plan.fail(position, _NOWHERE)


def _delivery_fields(mail: Mail, position: int, address: str) -> bytes:
    # RFC 5321 §4.4: the last host puts the reverse-path at the top; RFC 9228 §3: then by whom it was received.
    fields = f"Return-Path: <{mail.reverse_path}>\r\nDelivered-To: {address}\r\n"
    # RFC 8098 §2.3: and whom the sender named, for receipts.
    original = _original_recipient(mail.recipients[position].orcpt, utf8=mail.smtputf8)
    return (fields + (f"Original-Recipient: {original}\r\n" if original else "")).encode()


def _original_recipient(orcpt: str, *, utf8: bool) -> str:
    """RFC 6533 §3: an address outside ASCII stands as it is in a message that is in UTF-8, encoded in others."""
    wide = orcpt[:6].lower() == "utf-8;"
    text = original_recipient(orcpt) if utf8 or not wide else orcpt
    return text if text.isprintable() and (text.isascii() or (wide and utf8)) else ""
