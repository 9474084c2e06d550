"""Thread/get and Thread/changes (RFC 8621 §3)."""

from __future__ import annotations

from typing import Any

import msgspec

from posthouse import limits
from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_changes import visible_changes
from posthouse.jmap.errors import MethodError
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    wanted_ids,
    wanted_properties,
)
from posthouse.jmap.states import Since, delta

PROPERTIES = frozenset({"id", "emailIds"})


class Thread(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §3."""

    id: str
    email_ids: list[str]


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """Thread/get."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    properties = wanted_properties(arguments.properties, PROPERTIES)
    asked = wanted_ids(arguments.ids)
    mail = context.mail(account_id)
    state = await mail.state()
    threads = await mail.all_threads()
    if asked is None:
        # RFC 8620 §5.1: all of them, unless there are too many.
        present = await mail.everything(limits.JMAP_GET)
        if present is None:
            raise MethodError("requestTooLarge", "ask for ids, there are too many threads")
        asked = [
            ids.encode(ids.THREAD, each)
            for each in sorted({threads.get(number, number) for number in present})
        ]
    found: list[Any] = []
    missing: list[str] = []
    for name in asked:
        number = ids.decode(ids.THREAD, name)
        members = [] if number is None else await mail.members(number)
        if not members:
            missing.append(name)
            continue
        thread = Thread(id=name, email_ids=[ids.encode(ids.EMAIL, each) for each in members])
        found.append(thread if "emailIds" in properties else {"id": name})
    return GetAnswer(account_id=arguments.account_id, state=str(state), list_=found, not_found=missing)


class _ThreadChange(msgspec.Struct, frozen=True):
    created_modseq: int
    modseq: int
    gone: bool


async def changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """Thread/changes: a thread is created with its first email, changed by every other, gone with its last."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    latest = await mail.state()
    since = mail.place(arguments.since_state, latest)
    emails = await visible_changes(context, account_id, since)
    threads = await mail.all_threads()
    moved = [
        (change.thread_id if change.gone else threads.get(change.email_id, change.email_id), change)
        for change in emails
        if change.gone or since.is_new(change.created_modseq)  # flags and mailboxes are no part of a thread
    ]
    members = {thread_id: await mail.members(thread_id) for thread_id, _ in moved if thread_id}
    born = await _born(context, account_id, since) if members else {}
    robbed = {thread_id for thread_id, change in moved if change.gone}
    touched: dict[int, _ThreadChange] = {}
    for thread_id, change in moved:
        if thread_id == 0:
            continue
        present = members[thread_id]
        began = bool(present) and thread_id not in robbed and born.keys() >= set(present)
        # What was done with an email after it came is no change of its thread.
        at = change.modseq if change.gone else change.created_modseq
        touched[thread_id] = _ThreadChange(
            created_modseq=min(map(born.__getitem__, present)) if began else 0,
            modseq=max(at, touched[thread_id].modseq if thread_id in touched else 0),
            gone=not present,
        )
    found = delta(touched.items(), since, latest, arguments.max_changes)
    return ChangesAnswer(
        account_id=arguments.account_id,
        old_state=arguments.since_state,
        new_state=found.new_state,
        has_more_changes=found.more,
        created=[ids.encode(ids.THREAD, n) for n in found.created],
        updated=[ids.encode(ids.THREAD, n) for n in found.updated],
        destroyed=[ids.encode(ids.THREAD, n) for n in found.destroyed],
    )


async def _born(context: Context, account_id: int, since: Since) -> dict[int, int]:
    """Emails that are new, with the mod-sequence of their creation.

    Looked up after a thread's members: who came meanwhile is among these, and must not pass for an old one.
    """
    emails = await visible_changes(context, account_id, since)
    return {e.email_id: e.created_modseq for e in emails if not e.gone and since.is_new(e.created_modseq)}
