"""CREATE, DELETE, RENAME and SUBSCRIBE of mailboxes that are another's: what the rights allow (RFC 4314 §4).

A name is that by which the login knows the mailbox; what is done, is done under the mailbox's own name. Top-level
mailboxes are the owner's to make. A mailbox made below a shared one is shared as that is. Nothing moves between
accounts by RENAME.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import inheritance, mailbox_thing, subscription
from posthouse.errors import Conflict, Temporary
from posthouse.imap import encode
from posthouse.imap.commands.row import Completion, No
from posthouse.imap.mailboxes_seen import Seen, find, nearest_above, opened, shared
from posthouse.imap.session import Session
from posthouse.store.interface import CreateMailbox, DeleteMailbox, RenameMailbox
from posthouse.store.model import SEPARATOR, Mailbox

Fit = Callable[[str], str]
"""The name under which a mailbox may be made. No."""


async def create(session: Session, name: str, fit: Fit) -> Completion:
    """Make a mailbox below one that allows it, with the levels between."""
    boxes = await shared(session, name)
    if any(each.name == name for each in boxes):
        raise No(b"ALREADYEXISTS", "The mailbox exists already")
    parent = nearest_above(name, boxes)
    if parent is None:
        # the same answer whether there is such an account or not
        raise No(b"NOPERM", "Only the owner makes mailboxes here")
    parent.need("k")
    account_id = parent.mailbox.account_id
    path = fit(parent.path + name[len(parent.name) :])
    levels = _levels(parent.path, path)
    present = await session.store.mailboxes(account_id)
    if len(present) + len(levels) > limits.MAILBOXES:
        raise No(b"LIMIT", f"An account may have at most {limits.MAILBOXES} mailboxes")
    made = await session.store.commit(*(CreateMailbox(account_id=account_id, name=level) for level in levels))
    for box in made:
        await _inherit(session, account_id, parent.mailbox.mailbox_id, box.mailbox_id)
    # RFC 8474 §4.1: the id of the new mailbox
    return Completion(b"MAILBOXID (%b)" % encode.mailbox_id(made[-1].mailbox_id))


def _levels(above: str, path: str) -> list[str]:
    """The names to make: those below `above` down to `path`."""
    parts = path[len(above) + 1 :].split(SEPARATOR)
    return [SEPARATOR.join([above, *parts[: i + 1]]) for i in range(len(parts))]


async def _inherit(session: Session, account_id: int, parent: int, child: int) -> None:
    # RFC 4314 §4: a new mailbox inherits the ACL from its parent
    for _ in range(limits.JMAP_RETRIES):
        ops = await inheritance(
            session.store, account_id, parent, child, caller=session.account_id, subscribed=False
        )
        try:
            await session.store.commit(*ops)
            return
        except Conflict:
            continue
    raise Temporary("Rights are being changed by somebody else, try again.")


async def delete(session: Session, name: str) -> None:
    """Remove a mailbox; with messages in it that takes the right to remove these."""
    seen = await opened(session, name, "x")
    if seen.mailbox.total:
        seen.need("te")
    box = seen.mailbox
    await session.store.apply(DeleteMailbox(account_id=box.account_id, mailbox_id=box.mailbox_id))


async def rename(session: Session, old: str, new: str, fit: Fit) -> None:
    """Give a mailbox another name, or another parent of the same owner's."""
    boxes = await shared(session, old)
    seen = next((each for each in boxes if each.name == old), None)
    if seen is None:
        raise No(b"NONEXISTENT", "No such mailbox")
    seen.need("x")
    if any(each.name == new for each in boxes):
        raise No(b"ALREADYEXISTS", "A mailbox of the new name exists already")
    if new.startswith(old + SEPARATOR):
        raise No(b"CANNOT", "A mailbox cannot be moved below itself")
    path = fit(_new_path(seen, new, boxes))
    present = await session.store.mailboxes(seen.mailbox.account_id)
    _check_below(seen.path, path, present, fit)
    await session.store.apply(
        RenameMailbox(
            account_id=seen.mailbox.account_id,
            mailbox_id=seen.mailbox.mailbox_id,
            name=path,
            with_subscriptions=True,  # the owner's, who has not asked for the change
        )
    )


def _new_path(seen: Seen, new: str, boxes: list[Seen]) -> str:
    """Where the mailbox goes in its own account. No."""
    mine = [each for each in boxes if each.mailbox.account_id == seen.mailbox.account_id]
    above, _, leaf = new.rpartition(SEPARATOR)
    if above == seen.name.rpartition(SEPARATOR)[0]:
        # It stays where it is, also below a mailbox that does not show.
        real = seen.path.rpartition(SEPARATOR)[0]
        return f"{real}{SEPARATOR}{leaf}" if real else leaf
    parent = next((each for each in mine if each.name == above), None)
    if parent is None:
        raise No(b"NOPERM", "The new name is not below a mailbox of the same owner that you see")
    parent.need("k")
    if parent.path == seen.path or parent.path.startswith(seen.path + SEPARATOR):
        raise No(b"CANNOT", "A mailbox cannot be moved below itself")
    return f"{parent.path}{SEPARATOR}{leaf}"


def _check_below(old: str, new: str, present: tuple[Mailbox, ...], fit: Fit) -> None:
    for box in present:
        if box.name.startswith(old + SEPARATOR):
            fit(new + box.name[len(old) :])


async def subscribe(session: Session, name: str, subscribed: bool) -> None:
    """Note whether the login wants to see a mailbox; one that does not show cannot be subscribed to."""
    for _ in range(limits.JMAP_RETRIES):
        seen = await find(session, name)
        if seen is None or seen.owner is None:
            raise No(b"NONEXISTENT", "No such mailbox")
        if seen.mailbox.subscribed == subscribed:
            return
        thing = mailbox_thing(msgspec.structs.replace(seen.mailbox, name=seen.path))
        try:
            owner = seen.owner.account_id
            ops = await subscription(session.store, owner, session.account_id, thing, subscribed)
            await session.store.commit(*ops)
            return
        except Conflict:
            continue
    raise Temporary("Rights are being changed by somebody else, try again.")
