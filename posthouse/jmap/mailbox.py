"""Mailbox/get and Mailbox/changes (RFC 8621 §2.1, §2.2)."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.accounts.mailbox_rights import MailboxRights
from posthouse.accounts.sharing import MAILBOXES
from posthouse.jmap import ids, sharing
from posthouse.jmap.capabilities import OWN, PRINCIPALS
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_changes import visible_changes
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import Counts
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    wanted_ids,
    wanted_properties,
)
from posthouse.jmap.states import Since, delta
from posthouse.store.model import SEPARATOR, Role
from posthouse.store.model import Mailbox as Stored


class Mailbox(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8621 §2."""

    id: str
    name: str
    parent_id: str | None
    role: str | None
    sort_order: int
    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int
    my_rights: MailboxRights
    is_subscribed: bool
    share_with: dict[str, dict[str, bool]] | None = None
    """RFC 9670 §4; only for clients that use its capability."""
    retention_days: int | None = None
    """Our own (docs/jmap-extensions.md), only for clients that use that capability."""


PROPERTIES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Mailbox))
_NEEDED: Final = {"shareWith": PRINCIPALS, "retentionDays": OWN}
"""Properties with the capability that a client must use to know of them."""
COUNTS: Final = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
NO_MAIL: Final = Counts(total_emails=0, unread_emails=0, total_threads=0, unread_threads=0)
_STANDARD_ORDER: Final = {
    Role.INBOX: 10,
    Role.SNOOZED: 15,
    Role.DRAFTS: 20,
    Role.SENT: 30,
    Role.ARCHIVE: 40,
    Role.JUNK: 50,
    Role.TRASH: 60,
}
"""Where mailboxes with a role stand until somebody arranges them."""
_OTHERS: Final = 100


def sort_order(mailbox: Stored) -> int:
    """RFC 8621 §2 sortOrder. What somebody has set is kept one higher: 0 stands for never set."""
    if mailbox.sort_order:
        return mailbox.sort_order - 1
    return _STANDARD_ORDER.get(mailbox.role, _OTHERS) if mailbox.role is not None else _OTHERS


def parent_of(mailbox: Stored, by_name: dict[str, Stored]) -> Stored | None:
    """The nearest level above that is a mailbox."""
    name = mailbox.name
    while SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        if name in by_name:
            return by_name[name]
    return None


def shown_name(mailbox: Stored, parent: Stored | None) -> str:
    """The name below its parent; INBOX is the one that every program translates."""
    if parent is not None:
        return mailbox.name[len(parent.name) + 1 :]
    return "Inbox" if mailbox.role is Role.INBOX else mailbox.name


def properties_of(context: Context) -> frozenset[str]:
    """The properties that the client knows of."""
    return PROPERTIES - {name for name, needed in _NEEDED.items() if needed not in context.using}


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """Mailbox/get."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    properties = wanted_properties(arguments.properties, properties_of(context))
    asked = wanted_ids(arguments.ids)
    mail = context.mail(account_id)
    state = await mail.state()
    present = {ids.encode(ids.MAILBOX, box.mailbox_id): box for box in await mail.mailboxes()}
    by_name = {box.name: box for box in present.values()}
    names = list(present) if asked is None else [name for name in asked if name in present]
    found = []
    for name in names:
        whole = msgspec.to_builtins(
            await mailbox_object(context, account_id, present[name], by_name, properties)
        )
        found.append({key: value for key, value in whole.items() if key in properties})
    return GetAnswer(
        account_id=arguments.account_id,
        state=str(state),
        list_=found,
        not_found=[name for name in asked or () if name not in present],
    )


async def mailbox_object(
    context: Context,
    account_id: int,
    box: Stored,
    by_name: dict[str, Stored],
    properties: frozenset[str],
) -> Mailbox:
    """One mailbox; counts only when they are among the properties."""
    parent = parent_of(box, by_name)
    total_emails = unread_emails = total_threads = unread_threads = 0
    if properties & set(COUNTS):
        counts = (await context.mail(account_id).counts()).get(box.mailbox_id, NO_MAIL)
        total_emails, unread_emails = counts.total_emails, counts.unread_emails
        total_threads, unread_threads = counts.total_threads, counts.unread_threads
    shared = None
    if "shareWith" in properties and context.is_own(account_id):  # who else sees it is the owner's to know
        shares = await sharing.shares_of(context, account_id, MAILBOXES)
        shared = sharing.share_with(MAILBOXES, shares.get(box.mailbox_id, {}))
    return Mailbox(
        id=ids.encode(ids.MAILBOX, box.mailbox_id),
        name=shown_name(box, parent),
        parent_id=None if parent is None else ids.encode(ids.MAILBOX, parent.mailbox_id),
        role=None if box.role is None else box.role.value,
        sort_order=sort_order(box),
        total_emails=total_emails,
        unread_emails=unread_emails,
        total_threads=total_threads,
        unread_threads=unread_threads,
        my_rights=context.mail(account_id).rights(box),
        is_subscribed=box.subscribed,
        share_with=shared,
        retention_days=box.kept_days,
    )


# --- changes ------------------------------------------------------------------------------------------------


class MailboxChangesAnswer(ChangesAnswer, kw_only=True):
    """RFC 8621 §2.2."""

    updated_properties: list[str] | None = None


class _Change(msgspec.Struct, frozen=True):
    created_modseq: int
    modseq: int
    gone: bool = False


async def changes(context: Context, arguments: ChangesArguments) -> MailboxChangesAnswer:
    """Mailbox/changes."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    latest = await mail.state()
    since = mail.place(arguments.since_state, latest)
    gone = await mail.mailboxes_gone(since.asked_from)
    if gone is None:
        raise MethodError("cannotCalculateChanges", "the state is too old")
    boxes = await mail.mailboxes()
    shared = await _changed_through_threads(context, account_id, since)
    changed = [
        (
            box.mailbox_id,
            _Change(mail.created_at(box), max(mail.changed_at(box), shared.get(box.mailbox_id, 0))),
        )
        for box in boxes
    ]
    changed += [(each.mailbox_id, _Change(each.created_modseq, each.modseq, True)) for each in gone]
    found = delta(changed, since, latest, arguments.max_changes)
    properties = {box.mailbox_id: mail.properties_changed_at(box) for box in boxes}
    only_counts = bool(found.updated) and not any(
        since.is_new(properties[number]) for number in found.updated
    )
    return MailboxChangesAnswer(
        account_id=arguments.account_id,
        old_state=arguments.since_state,
        new_state=found.new_state,
        has_more_changes=found.more,
        created=[ids.encode(ids.MAILBOX, n) for n in found.created],
        updated=[ids.encode(ids.MAILBOX, n) for n in found.updated],
        destroyed=[ids.encode(ids.MAILBOX, n) for n in found.destroyed],
        updated_properties=list(COUNTS) if only_counts else None,
    )


async def _changed_through_threads(context: Context, account_id: int, since: Since) -> dict[int, int]:
    """Mailboxes whose unreadThreads may have changed with an email elsewhere, with that change's mod-sequence."""
    mail = context.mail(account_id)
    touched: dict[int, int] = {}
    emails = await visible_changes(context, account_id, since)
    threads = await mail.all_threads() if emails else {}
    for each in emails:
        thread = each.thread_id if each.gone else threads.get(each.email_id, each.email_id)
        others = await mail.members(thread)
        if len(others) > (0 if each.gone else 1):
            for standing in (await mail.find(others)).values():
                for mailbox_id, _ in standing.places:
                    touched[mailbox_id] = max(touched.get(mailbox_id, 0), each.modseq)
    return touched
