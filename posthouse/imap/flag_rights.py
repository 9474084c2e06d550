r"""Flags of messages in another's mailbox: which of them a STORE may change, and of which messages (RFC 4314 §4).

A STORE is done as far as the rights go, and refused only where none of it may be done. All flags but \Deleted belong to
an email wherever it is: with JMAP it may be in several mailboxes at once, and then it takes the right in each of them
(RFC 8621 §2).
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.accounts.shared_mailboxes import granted
from posthouse.imap import acl
from posthouse.imap.mailboxes_seen import given_rights
from posthouse.imap.refusal import No
from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.interface import FlagsSet, SetFlags, Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import SYSTEM_FLAGS

_DELETED: Final = "\\Deleted"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a STORE asks for."""

    action: str
    """As SetFlags takes it."""
    flags: frozenset[str]
    unchanged_since: int | None = None


async def set_flags(view: View, caller: int, uids: Ranges, change: Change) -> FlagsSet:
    """Change flags as far as the client may. No: nothing of it is allowed. Conflict: too many keywords."""
    if view.rights is acl.ALL:
        return await _apply(view, uids, change)
    done: FlagsSet | None = None
    for reach, step in await _steps(view, caller, uids, change):
        if done is None:
            done = await _apply(view, reach, step)
            continue
        # What the first step has changed is newer than `unchanged_since`, and is no change by others.
        later = msgspec.structs.replace(step, unchanged_since=None)
        more = await _apply(view, reach - done.modified, later)
        done = FlagsSet(changed=done.changed | more.changed, modified=done.modified, modseq=more.modseq)
    if done is None:
        raise No(b"NOPERM", "The rights do not allow to change these flags")
    return done


async def _apply(view: View, uids: Ranges, change: Change) -> FlagsSet:
    index = view.index
    return await view.store.apply(
        SetFlags(
            account_id=index.account_id,
            mailbox_id=index.mailbox_id,
            uids=uids,
            action=change.action,
            flags=change.flags,
            unchanged_since=change.unchanged_since,
        )
    )


async def _steps(view: View, caller: int, uids: Ranges, change: Change) -> list[tuple[Ranges, Change]]:
    """The change without what is not allowed, and the messages to which each step of it is done."""
    rights = view.rights
    wanted = acl.settable(rights, change.flags)
    if change.action != "replace":
        here = wanted & {_DELETED}
        found = [(uids, here), (await _reach(view, caller, uids, wanted - here), wanted - here)]
        return [(reach, _with(change, flags)) for reach, flags in found if reach and flags]
    keywords = await view.store.keywords(view.index.account_id)
    every = acl.settable(rights, (*SYSTEM_FLAGS, *keywords)) | wanted
    reach = await _reach(view, caller, uids, every)
    if not reach or not every:
        return []
    if rights >= acl.FLAGS:
        return [(reach, change)]
    # A replacement is what goes and what comes; what may not be changed stays.
    steps = [_with(change, every - wanted, "remove"), _with(change, wanted, "add")]
    return [(reach, step) for step in steps if step.flags]


def _with(change: Change, flags: frozenset[str], action: str = "") -> Change:
    return msgspec.structs.replace(change, flags=flags, action=action or change.action)


async def _reach(view: View, caller: int, uids: Ranges, flags: frozenset[str]) -> Ranges:
    """Those of the messages that are in no other mailbox in which the flags must not be changed."""
    needed = {acl.right_for(flag) for flag in flags} - {acl.DELETED}
    if not needed or not uids:
        return uids
    index = view.index
    closed = await _closed(view.store, index.account_id, index.mailbox_id, caller, needed)
    positions = [(uid, index.position(uid)) for uid in uids]
    elsewhere = [
        uid
        for uid, place in positions
        if place is not None and any(other.find(index.email_ids[place]) is not None for other in closed)
    ]
    return uids - Ranges.of(elsewhere)


async def _closed(
    store: Store, account_id: int, mailbox_id: int, caller: int, needed: set[str]
) -> list[MailboxIndex]:
    """The account's other mailboxes in which the caller lacks a right."""
    grant = await granted(store, account_id, caller)
    shares = grants.decode(grant.data).mailboxes if grant is not None else {}
    return [
        await store.index(account_id, box.mailbox_id)
        for box in await store.mailboxes(account_id)
        if box.mailbox_id != mailbox_id
        and box.total
        and not needed <= given_rights(shares.get(box.mailbox_id), box)
    ]
