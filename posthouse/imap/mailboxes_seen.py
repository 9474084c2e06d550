"""The mailboxes that a login sees: its own, and those that others share with it, under `Other Users/` (RFC 2342).

Every command that names a mailbox comes here, so that what is named, whose it is and what may be done with it are
found in one place. Behind the prefix stands the owner's address, then the path that shows nothing of mailboxes that
are not shared. What somebody does not see is answered as what does not exist (RFC 4314 §6): a name is looked for among
those who share something with the login and nowhere else, so that guessing tells nothing. A mailbox of one's own that
is called like that stays what it is.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from posthouse.accounts import mailbox_rights
from posthouse.accounts.shared_mailboxes import received, visible_names
from posthouse.errors import NotFound
from posthouse.imap import acl
from posthouse.imap.mailbox_name import OTHERS
from posthouse.imap.refusal import No
from posthouse.imap.session import Session
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.model import SEPARATOR, Account, Mailbox, Role

_SLASH: Final = "\u2215"
"""Stands for a separator within an address."""


_OWN_INBOX: Final = acl.ALL - {"x"}


class Seen(msgspec.Struct, frozen=True):
    """A mailbox as a login sees it."""

    mailbox: Mailbox
    """Under the name by which the login knows it; the account is its owner's."""
    rights: acl.Rights
    path: str
    """Its name in its own account."""
    owner: Account | None = None
    """Whose it is; None: one's own."""

    @property
    def name(self) -> str:
        """The name by which the login knows it."""
        return self.mailbox.name

    def need(self, letters: str) -> None:
        """Raises No where a right is missing (RFC 5530 NOPERM)."""
        refuse_without(self.rights, letters)


def refuse_without(rights: acl.Rights, letters: str) -> None:
    """Raises No where a right is missing (RFC 5530 NOPERM)."""
    missing = [letter for letter in letters if letter not in rights]
    if missing:
        raise No(b"NOPERM", f"This needs the right {' and '.join(missing)}")


def is_shared_name(name: str) -> bool:
    """Whether a name is in the part of the tree where others' mailboxes are."""
    return name.startswith(OTHERS) or name + SEPARATOR == OTHERS


async def find(session: Session, name: str) -> Seen | None:
    """The mailbox of that name; None: the login sees none."""
    box = await session.store.mailbox(session.account_id, name)
    if box is not None:
        return _own(box)
    if not name.startswith(OTHERS):
        return None
    return next((each for each in await shared(session, name) if each.name == name), None)


async def opened(session: Session, name: str, need: str, *, otherwise: bytes = b"NONEXISTENT") -> Seen:
    """The mailbox of that name, with the rights needed. No: there is none that shows, or a right is missing."""
    found = await find(session, name)
    if found is None:
        raise No(b"NONEXISTENT" if is_shared_name(name) else otherwise, "No such mailbox")
    found.need(need)
    return found


async def all_seen(session: Session) -> list[Seen]:
    """Everything that LIST may show."""
    own = [_own(box) for box in await session.store.mailboxes(session.account_id)]
    others = await shared(session)
    if not others:
        return own
    taken = {each.name for each in own}
    return own + [each for each in others if each.name not in taken]


async def shared(session: Session, name: str = "") -> list[Seen]:
    """Others' mailboxes, or with a name only those of the account that it speaks of. Cheap where nobody shares."""

    def named(owner: Account) -> bool:
        return not name or name.startswith(_head(owner))

    found: list[Seen] = []
    for owner, grant in await received(session.store, session.account_id, named):
        with suppress(NotFound):  # the account has just been removed
            found += _of_grant(owner, await session.store.mailboxes(owner.account_id), grant)
    return found


def nearest_above(name: str, boxes: list[Seen]) -> Seen | None:
    """The mailbox below which a name is, among those that show (RFC 4314 §4: the nearest existing parent)."""
    above = [each for each in boxes if name.startswith(each.name + SEPARATOR)]
    return max(above, key=lambda each: len(each.name), default=None)


def own_rights(box: Mailbox) -> acl.Rights:
    """What its owner may do with a mailbox: the inbox stays what and where it is."""
    return _OWN_INBOX if box.role is Role.INBOX else acl.ALL


def given_rights(share: grants.Share | None, box: Mailbox) -> acl.Rights:
    """What somebody else may do with a mailbox."""
    given = mailbox_rights.of_share(share, box)
    return acl.letters_of([name for name, field in mailbox_rights.NAMES.items() if getattr(given, field)])


def _own(box: Mailbox) -> Seen:
    return Seen(box, own_rights(box), box.name)


def _head(owner: Account) -> str:
    """What the names of somebody's mailboxes begin with."""
    return f"{OTHERS}{owner.address.replace(SEPARATOR, _SLASH)}{SEPARATOR}"


def _of_grant(owner: Account, mailboxes: tuple[Mailbox, ...], grant: Item) -> list[Seen]:
    shares = grants.decode(grant.data).mailboxes
    visible = [box for box in mailboxes if box.mailbox_id in shares]
    names = visible_names(visible)
    head = _head(owner)
    found = []
    for box in visible:
        rights = given_rights(shares[box.mailbox_id], box)
        if "l" not in rights:
            continue
        shown = msgspec.structs.replace(
            box,
            name=head + names[box.mailbox_id],
            role=None,  # RFC 6154: special uses are the owner's; a client must not take another's Sent for its own
            subscribed=shares[box.mailbox_id].subscribed,
        )
        found.append(Seen(shown, rights, box.name, owner))
    return found
