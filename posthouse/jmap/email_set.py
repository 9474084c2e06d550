"""Email/set (RFC 8621 §4.6): drafts made, keywords and mailboxes changed, emails destroyed.

Updates that do the same to emails of one mailbox become one operation, however many emails there are. When another
client was faster than the look at where an email is, it is looked for again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.mailbox_rights import NONE, MailboxRights
from posthouse.errors import Conflict, NotFound, OverQuota
from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_create import create_email
from posthouse.jmap.email_get import EmailGetArguments, is_property, read_emails, wanted_of
from posthouse.jmap.email_properties import flags_of, keywords_of, mailboxes_of
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.mail import Standing
from posthouse.jmap.mail_rights import check_additions, check_flags, check_removals, rights_of
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.snoozed import snooze_of, snooze_operations
from posthouse.jmap.standard import SetAnswer, SetArguments, check_set
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, MoveEmails, Op, PlaceEmails, SetFlags

Object = dict[str, Any]
MUTABLE: Final = ("mailboxIds", "keywords")
CHANGEABLE: Final = frozenset({*MUTABLE, "snoozed"})


class EmailSetArguments(SetArguments, kw_only=True):
    """RFC 8621 §4.6."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one email."""

    email_id: int
    standing: Standing
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()
    mailboxes: frozenset[int]
    snooze: int | None = None
    """Until when it is to be snoozed, POSIX seconds; 0: not any more; None: as it is."""


async def set_emails(context: Context, arguments: EmailSetArguments) -> SetAnswer:
    """Email/set."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    old_state = str(await mail.state())
    check_set(arguments, old_state)
    answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
    answer.created, answer.not_created = await _create(context, account_id, arguments.create or {})
    answer.updated, answer.not_updated = await update_emails(
        context, account_id, context.by_id(arguments.update)
    )
    answer.destroyed, answer.not_destroyed = await destroy_emails(
        context, account_id, context.ids_of(arguments.destroy)
    )
    answer.new_state = str(await mail.state())
    answer.tidy()
    return answer


async def _create(context: Context, account_id: int, create: dict[str, Object]) -> tuple[Object, Object]:
    made: Object = {}
    refused: Object = {}
    for creation_id, given in create.items():
        try:
            made[creation_id] = await create_email(context, account_id, given)
            context.created[creation_id] = made[creation_id]["id"]
        except Rejected as fault:
            refused[creation_id] = fault.error()
        except OverQuota as fault:
            refused[creation_id] = {"type": "overQuota", "description": fault.public}
    return made, refused


# --- update -------------------------------------------------------------------------------------------------


async def update_emails(
    context: Context, account_id: int, update: dict[str, Object]
) -> tuple[Object, Object]:
    """(updated, not updated)."""
    refused: Object = {}
    waiting = dict(update)
    for _ in range(limits.JMAP_RETRIES):
        changes: dict[str, Change] = {}
        await _plan(context, account_id, waiting, changes, refused)
        again: dict[str, Object] = {}
        for group in _groups(account_id, changes).values():
            names = [name for name, _ in group]
            try:
                changed = [change for _, change in group]
                snoozing = await snooze_operations(
                    context, account_id, {c.email_id: c.snooze for c in changed if c.snooze is not None}
                )
                await context.store.commit(*_operations(account_id, changed), *snoozing)
            except (NotFound, Conflict) as fault:
                again |= {name: update[name] for name in names}
                reason = fault.public
            except OverQuota as fault:
                refused |= {n: {"type": "overQuota", "description": fault.public} for n in names}
        if not again:
            break
        waiting = again
    else:
        refused |= {name: {"type": "tooManyKeywords", "description": reason} for name in waiting}
    return {name: None for name in update if name not in refused}, refused


async def _plan(
    context: Context,
    account_id: int,
    update: dict[str, Object],
    changes: dict[str, Change],
    refused: Object,
) -> None:
    mail = context.mail(account_id)
    numbers = {name: ids.decode(ids.EMAIL, context.resolve_id(name) or "") for name in update}
    standings = await mail.find([number for number in numbers.values() if number is not None])
    boxes = {box.mailbox_id for box in await mail.mailboxes()}
    names = await mail.keyword_names()
    rights = await rights_of(mail)
    hidden = await mail.is_elsewhere_too(list(standings))
    for name, patch in update.items():
        number = numbers[name]
        standing = standings.get(number) if number is not None else None
        try:
            if standing is None or number is None:
                raise Rejected("notFound")
            patch = await _without_same(context, account_id, number, patch)
            change = _change(context, number, standing, patch, boxes, names)
            if not mail.is_own:
                _check(rights, change, number in hidden)
            changes[name] = change
        except Rejected as fault:
            refused[name] = fault.error()


async def _without_same(context: Context, account_id: int, number: int, patch: Object) -> Object:
    """The patch without what never changes, where it is as it is: a whole Email is a patch too (RFC 8620 §5.3)."""
    extras = context.services.email_extras.names
    fixed = [name for name in patch if is_property(name, extras) and name not in CHANGEABLE]
    if not fixed:
        return patch
    asked = EmailGetArguments(account_id=str(account_id), properties=fixed, fetch_all_body_values=True)
    try:
        found = await read_emails(context, account_id, [number], wanted_of(asked, (), extras))
    except MethodError as fault:
        raise invalid(fault.description, *fixed) from fault
    present: Object = msgspec.to_builtins(found.get(number, {}))
    # Which body values a client has depends on which it asked for (RFC 8621 §4.2).
    values, given = present.get("bodyValues"), patch.get("bodyValues")
    if values is not None and isinstance(given, dict) and given.items() <= values.items():
        present["bodyValues"] = given
    return {k: v for k, v in patch.items() if k not in fixed or k not in present or present[k] != v}


def _change(
    context: Context,
    number: int,
    standing: Standing,
    patch: Object,
    boxes: set[int],
    names: list[tuple[int, str]],
) -> Change:
    old: Object = {
        "mailboxIds": {ids.encode(ids.MAILBOX, box): True for box, _ in standing.places},
        "keywords": {word: True for bit, word in names if standing.flags & bit},
    }
    snooze = snooze_of(context, patch["snoozed"]) if "snoozed" in patch else None
    patch = {_resolved(context, path): value for path, value in patch.items() if path != "snoozed"}
    foreign = sorted(path for path in patch if path.partition("/")[0] not in MUTABLE)
    if foreign:
        raise invalid("only mailboxIds and keywords can change", *foreign)
    new = apply_patch(
        old, {path.lower() if path.startswith("keywords/") else path: v for path, v in patch.items()}
    )
    before, after = keywords_of(old["keywords"]), keywords_of(new.get("keywords", {}))
    return Change(
        email_id=number,
        standing=standing,
        add=flags_of(after - before),
        remove=flags_of(before - after),
        mailboxes=mailboxes_of(context, new.get("mailboxIds"), boxes),
        snooze=snooze,
    )


def _check(rights: dict[int, MailboxRights], change: Change, is_elsewhere_too: bool) -> None:
    """Whether somebody who is not the owner may do this. Rejected forbidden."""
    here = {box for box, _ in change.standing.places}
    check_additions(rights, change.mailboxes - here)
    check_removals(rights, here - change.mailboxes)
    flags = change.add | change.remove
    check_flags(rights, here, flags)
    if flags and is_elsewhere_too:
        # RFC 8621 §2: only with the right in all mailboxes that it is in.
        raise Rejected("forbidden", "it is in other mailboxes too")
    if change.snooze is not None:
        raise Rejected("forbidden", "snoozing is the owner's")


def _resolved(context: Context, path: str) -> str:
    """A creation id within a path, as its id."""
    head, slash, tail = path.partition("/")
    if slash and head == "mailboxIds" and tail.startswith("#"):
        return f"{head}/{context.resolve_id(tail) or tail}"
    return path


def _groups(account_id: int, changes: dict[str, Change]) -> dict[Any, list[tuple[str, Change]]]:
    """Emails to which the same is done together."""
    groups: dict[Any, list[tuple[str, Change]]] = defaultdict(list)
    for name, change in changes.items():
        here = frozenset(box for box, _ in change.standing.places)
        groups[here, change.mailboxes, change.add, change.remove].append((name, change))
    return groups


def _operations(account_id: int, changes: list[Change]) -> list[Op[Any]]:
    """What brings emails that are all in the same mailboxes where they shall be."""
    first = changes[0]
    places: dict[int, list[int]] = defaultdict(list)
    for change in changes:
        for box, uid in change.standing.places:
            places[box].append(uid)
    uids = {box: Ranges.of_sorted(sorted(found)) for box, found in places.items()}
    here = set(places)
    home = min(here)
    ops: list[Op[Any]] = []
    for action, flags in (("add", first.add), ("remove", first.remove)):
        if flags:
            ops.append(
                SetFlags(account_id=account_id, mailbox_id=home, uids=uids[home], action=action, flags=flags)
            )
    come, go = sorted(first.mailboxes - here), sorted(here - first.mailboxes)
    source, target = (go.pop(), come.pop()) if come and go else (home, None)
    # What leaves goes first: each mailbox counts against the quota.
    ops += [
        Expunge(account_id=account_id, mailbox_id=box, uids=uids[box], force=True, taken_out=True)
        for box in go
    ]
    ops += [_place(account_id, source, uids[source], box) for box in come]
    if target is not None:  # a move keeps it one step
        ops.append(MoveEmails(account_id=account_id, source_id=source, uids=uids[source], target_id=target))
    return ops


def _place(account_id: int, source: int, uids: Ranges, target: int) -> PlaceEmails:
    return PlaceEmails(account_id=account_id, source_id=source, uids=uids, target_id=target)


# --- destroy ------------------------------------------------------------------------------------------------

_MOVING: Final = {"type": "serverUnavailable", "description": "another client keeps moving it, try again"}


async def destroy_emails(
    context: Context, account_id: int, destroy: list[str], tries: int = limits.JMAP_RETRIES
) -> tuple[list[str], Object]:
    """(destroyed, not destroyed)."""
    mail = context.mail(account_id)
    numbers = {name: ids.decode(ids.EMAIL, name) for name in destroy}
    standings = await mail.find([number for number in numbers.values() if number is not None])
    rights = await rights_of(mail)
    uids: dict[int, list[int]] = defaultdict(list)
    gone: list[str] = []
    refused: Object = {}
    for name, number in numbers.items():
        standing = standings.get(number) if number is not None else None
        if standing is None:
            refused[name] = {"type": "notFound"}
            continue
        if not mail.is_own and not all(rights.get(box, NONE).may_remove_items for box, _ in standing.places):
            refused[name] = {"type": "forbidden", "description": "this needs mayRemoveItems"}
            continue
        gone.append(name)
        for box, uid in standing.places:
            uids[box].append(uid)
    ops = [
        Expunge(account_id=account_id, mailbox_id=box, uids=Ranges.of_sorted(sorted(found)), force=True)
        for box, found in uids.items()
    ]
    if ops:
        await context.store.commit(*ops)
        tried = [number for name, number in numbers.items() if number is not None and name not in refused]
        still = await mail.find(tried)
        if still:  # another client moved them meanwhile
            again = [ids.encode(ids.EMAIL, number) for number in still]
            missed: Object = dict.fromkeys(again, _MOVING)
            if tries:
                _, missed = await destroy_emails(context, account_id, again, tries - 1)
            refused |= {name: fault for name, fault in missed.items() if fault["type"] != "notFound"}
            gone = [name for name in gone if name not in refused]
    return gone, refused
