"""CREATE (with USE, RFC 6154 §3), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4-8).

Levels above a new mailbox are made with it. Deleting a mailbox leaves what is below it; its level then
shows as \\NonExistent. Renaming INBOX moves its messages. UIDVALIDITY of a recreated name always differs
(the store's duty).
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import MAILBOXES, Sharer, mailbox_thing, operations, shares_of
from posthouse.errors import Conflict, Temporary
from posthouse.imap import encode
from posthouse.imap.commands import mailboxes_shared
from posthouse.imap.commands.list import SPECIAL_USE
from posthouse.imap.commands.metadata import copy_metadata
from posthouse.imap.commands.row import AUTHENTICATED, Command, Completion, No
from posthouse.imap.grammar import Reader
from posthouse.imap.mailbox_name import BadName, canonical, check_new
from posthouse.imap.mailboxes_seen import find, is_shared_name
from posthouse.imap.session import Session
from posthouse.store.interface import CreateMailbox, DeleteMailbox, MoveEmails, RenameMailbox, Subscribe
from posthouse.store.model import SEPARATOR, Mailbox, Role

_ROLES: Final = {attribute.upper(): role for role, attribute in SPECIAL_USE.items()}
INBOX: Final = "INBOX"


# --- CREATE ------------------------------------------------------------------------------------------------


class CreateArgs(msgspec.Struct, frozen=True):
    """The name as given (decoded), and the special uses asked for, in capitals."""

    given: str
    uses: tuple[bytes, ...] = ()


def parse_create(reader: Reader, uid: bool) -> CreateArgs:
    """`SP mailbox [SP "(" "USE" SP "(" use … ")" ")"]`."""
    reader.sp()
    given = reader.mailbox_as_given()
    uses: list[bytes] = []
    if reader.accept_sp():
        reader.expect(b"(USE ")

        def use() -> bytes:
            reader.expect(b"\\")
            return b"\\" + reader.keyword()

        uses = reader.parenthesized(use, empty=True)
        reader.expect(b")")
    reader.end()
    return CreateArgs(given, tuple(uses))


async def run_create(session: Session, args: CreateArgs) -> Completion:
    """Make the mailbox and the levels above it that are missing."""
    name = _fit(args.given)
    mailboxes = await session.store.mailboxes(session.account_id)
    role = _role(args.uses, mailboxes)
    existing = {mailbox.name for mailbox in mailboxes}
    if name in existing:
        # RFC 9051 §6.3.4: INBOX or an extant mailbox
        raise No(b"ALREADYEXISTS", "The mailbox exists already")
    if is_shared_name(name):
        if role is not None:
            raise No(b"USEATTR", "Special uses are the owner's to give")
        return await mailboxes_shared.create(session, name, _fit)
    missing = _missing_levels(name, existing)
    _refuse_too_many(len(existing), len(missing) + 1)
    *_, made = await session.store.commit(
        *(CreateMailbox(account_id=session.account_id, name=level) for level in missing),
        CreateMailbox(account_id=session.account_id, name=name, role=role),
    )
    _tell_old_name(session, args.given, args.given, name)
    # RFC 8474 §4.1: the id of the new mailbox
    return Completion(b"MAILBOXID (%b)" % encode.mailbox_id(made.mailbox_id))


def _fit(given: str) -> str:
    try:
        return check_new(canonical(given))
    except BadName as error:
        raise No(b"CANNOT", str(error)) from None


def _role(uses: tuple[bytes, ...], mailboxes: tuple[Mailbox, ...]) -> Role | None:
    if not uses:
        return None
    role = _ROLES.get(uses[0]) if len(set(uses)) == 1 else None
    if role is None or any(mailbox.role is role for mailbox in mailboxes):
        # RFC 6154 §3: a special use that is unknown, or that another mailbox has
        raise No(b"USEATTR", "This special use cannot be given")
    return role


def _missing_levels(name: str, existing: set[str]) -> list[str]:
    levels = name.split(SEPARATOR)
    above = [SEPARATOR.join(levels[:i]) for i in range(1, len(levels))]
    return [level for level in above if level not in existing]


def _refuse_too_many(present: int, more: int) -> None:
    if more and present + more > limits.MAILBOXES:
        raise No(b"LIMIT", f"An account may have at most {limits.MAILBOXES} mailboxes")


def _tell_old_name(session: Session, given: str, old: str, name: str) -> None:
    """RFC 9051 §6.3.9.7: when the name was normalized, say what it became (only rev2 clients expect this)."""
    if session.rev2 and given.removesuffix(SEPARATOR) != name:
        session.send(
            b'* LIST () "/" %b ("OLDNAME" (%b))\r\n'
            % (encode.mailbox(name, utf8=True), encode.mailbox(old, utf8=True))
        )


# --- DELETE ------------------------------------------------------------------------------------------------


def parse_name(reader: Reader, uid: bool) -> str:
    """`SP mailbox`."""
    reader.sp()
    name = reader.mailbox()
    reader.end()
    return name


async def run_delete(session: Session, name: str) -> None:
    """Remove a mailbox with its messages, not what is below it."""
    name = name.removesuffix(SEPARATOR)
    if name == INBOX:
        # RFC 9051 §6.3.5: INBOX cannot be deleted
        raise No(b"CANNOT", "INBOX cannot be deleted")
    mailbox = await session.store.mailbox(session.account_id, name)
    if mailbox is None and is_shared_name(name):
        await mailboxes_shared.delete(session, name)
        return
    if mailbox is None:
        below = name + SEPARATOR
        for other in await session.store.mailboxes(session.account_id):
            if other.name.startswith(below):
                raise No(b"HASCHILDREN", "It is no mailbox, but has mailboxes below it")
        raise No(b"NONEXISTENT", "No such mailbox")
    await _delete(session, mailbox)


async def _delete(session: Session, mailbox: Mailbox) -> None:
    """With what others may do with it, of which they are told (RFC 4314 §4, RFC 9670 §3)."""
    gone = DeleteMailbox(account_id=session.account_id, mailbox_id=mailbox.mailbox_id)
    sharer = Sharer(session.store, session.account, session.now())
    for _ in range(limits.JMAP_RETRIES):
        shares = await shares_of(session.store, session.account_id, MAILBOXES)
        ops = await operations(sharer, mailbox_thing(mailbox), {}) if mailbox.mailbox_id in shares else []
        try:
            await session.store.commit(*ops, gone)
            return
        except Conflict:
            continue
    raise Temporary("Rights are being changed by somebody else, try again.")


# --- RENAME ------------------------------------------------------------------------------------------------


class RenameArgs(msgspec.Struct, frozen=True):
    """The present name, and the new one, both as given (decoded)."""

    old: str
    new: str


def parse_rename(reader: Reader, uid: bool) -> RenameArgs:
    """`SP mailbox SP mailbox`."""
    reader.sp()
    old = reader.mailbox_as_given()
    reader.sp()
    new = reader.mailbox_as_given()
    reader.end()
    return RenameArgs(old, new)


async def run_rename(session: Session, args: RenameArgs) -> None:
    """Give a mailbox and all below it a new name; INBOX keeps its own and loses its messages."""
    old = canonical(args.old.removesuffix(SEPARATOR))
    new = _fit(args.new)
    mailboxes = await session.store.mailboxes(session.account_id)
    existing = {mailbox.name: mailbox for mailbox in mailboxes}
    if new in existing:
        raise No(b"ALREADYEXISTS", "A mailbox of the new name exists already")
    if is_shared_name(old) and old not in existing:
        await mailboxes_shared.rename(session, old, new, _fit)
        return
    if is_shared_name(new):
        raise No(b"CANNOT", "A mailbox cannot be moved into another's account")
    missing = _missing_levels(new, set(existing))
    _refuse_too_many(len(existing), len(missing) + (old == INBOX))
    if old == INBOX:
        await _empty_inbox(session, existing[INBOX], new, missing)
        return
    if new.startswith(old + SEPARATOR):
        raise No(b"CANNOT", "A mailbox cannot be moved below itself")
    moved = _moved(old, existing)
    for mailbox in mailboxes:
        if mailbox.name.startswith(old + SEPARATOR):
            _fit(new + mailbox.name[len(old) :])
    account_id = session.account_id
    try:
        await session.store.commit(
            *(CreateMailbox(account_id=account_id, name=level) for level in missing),
            *(
                RenameMailbox(
                    account_id=account_id, mailbox_id=mailbox.mailbox_id, name=new + mailbox.name[len(old) :]
                )
                for mailbox in moved
            ),
        )
    except Conflict:
        raise No(b"ALREADYEXISTS", "A mailbox below the new name exists already") from None
    _tell_old_name(session, args.new, args.old, new)


def _moved(old: str, existing: dict[str, Mailbox]) -> list[Mailbox]:
    """The mailboxes to rename; what is below each goes with it."""
    if old in existing:
        return [existing[old]]
    # RFC 9051 §6.3.6: a level that is no mailbox is renamed by what is below it.
    tops: list[Mailbox] = []
    for name in sorted(existing):
        if name.startswith(old + SEPARATOR) and not (tops and name.startswith(tops[-1].name + SEPARATOR)):
            tops.append(existing[name])
    if not tops:
        raise No(b"NONEXISTENT", "No such mailbox")
    return tops


async def _empty_inbox(session: Session, inbox: Mailbox, new: str, missing: list[str]) -> None:
    # RFC 9051 §6.3.6: RENAME INBOX moves all messages to a new mailbox; what is below INBOX stays.
    account_id = session.account_id
    *_, made = await session.store.commit(
        *(CreateMailbox(account_id=account_id, name=level) for level in missing),
        CreateMailbox(account_id=account_id, name=new),
    )
    await copy_metadata(session, inbox.mailbox_id, made.mailbox_id)
    index = await session.store.index(account_id, inbox.mailbox_id)
    uids = index.uid_set()
    if uids:
        await session.store.apply(
            MoveEmails(
                account_id=account_id, source_id=inbox.mailbox_id, uids=uids, target_id=made.mailbox_id
            )
        )


# --- SUBSCRIBE and UNSUBSCRIBE -----------------------------------------------------------------------------


async def run_subscribe(session: Session, name: str) -> None:
    """Add a name to the subscription list, whether or not such a mailbox exists (RFC 9051 §6.3.7)."""
    name = _fit(name)
    if is_shared_name(name) and await session.store.mailbox(session.account_id, name) is None:
        await mailboxes_shared.subscribe(session, name, True)
        return
    listed = await session.store.subscriptions(session.account_id)
    if name in listed:
        return
    if len(listed) >= limits.MAILBOXES:
        raise No(b"LIMIT", f"At most {limits.MAILBOXES} names can be subscribed")
    await session.store.apply(Subscribe(account_id=session.account_id, name=name, subscribed=True))


async def run_unsubscribe(session: Session, name: str) -> None:
    """Take a name off the subscription list; it need not be there."""
    name = name.removesuffix(SEPARATOR)
    seen = await find(session, name) if is_shared_name(name) else None
    if seen is not None and seen.owner is not None:
        await mailboxes_shared.subscribe(session, name, False)
        return
    if name in await session.store.subscriptions(session.account_id):
        await session.store.apply(Subscribe(account_id=session.account_id, name=name, subscribed=False))


CREATE: Command[CreateArgs] = Command(
    name=b"CREATE",
    states=AUTHENTICATED,
    parse=parse_create,
    run=run_create,
    capabilities=(b"CREATE-SPECIAL-USE",),
    rfc="RFC 9051 §6.3.4, RFC 6154 §3",
)
DELETE: Command[str] = Command(
    name=b"DELETE", states=AUTHENTICATED, parse=parse_name, run=run_delete, rfc="RFC 9051 §6.3.5"
)
RENAME: Command[RenameArgs] = Command(
    name=b"RENAME", states=AUTHENTICATED, parse=parse_rename, run=run_rename, rfc="RFC 9051 §6.3.6"
)
SUBSCRIBE: Command[str] = Command(
    name=b"SUBSCRIBE", states=AUTHENTICATED, parse=parse_name, run=run_subscribe, rfc="RFC 9051 §6.3.7"
)
UNSUBSCRIBE: Command[str] = Command(
    name=b"UNSUBSCRIBE", states=AUTHENTICATED, parse=parse_name, run=run_unsubscribe, rfc="RFC 9051 §6.3.8"
)
ROWS = (CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE)
