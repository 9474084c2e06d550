"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3): with whom a mailbox is shared, as JMAP has it too.

An identifier is the address of an account in the owner's own domain; its local part alone will do. There is nobody who
is `anyone`, no groups and no negative rights, and all of these are refused. The owner has every right, always, and
nobody else has `a`. What a SETACL does is one commit, the same as that of `shareWith` (`accounts.sharing`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.addresses import normalize_login
from posthouse.accounts.sharing import (
    MAILBOXES,
    Sharer,
    domain_of,
    mailbox_thing,
    may_be_given,
    operations_for,
    shares_of,
)
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.imap import acl, encode
from posthouse.imap.commands.list import my_rights_line
from posthouse.imap.commands.mailboxes import parse_name
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, No
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import Seen, given_rights, opened
from posthouse.imap.session import Session
from posthouse.sasl.saslprep import saslprep
from posthouse.store.model import Account, Role

_NOBODY: Final = frozenset({"anyone", "anonymous", "authenticated", "owner", "administrators"})
"""Words that other servers take for everybody, or for roles."""
_OWNERS: Final = acl.ALL - frozenset("".join(acl.TIED))
"""Letters that cannot be given."""


class AclArgs(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox, an identifier as given, and for SETACL what becomes of its rights."""

    mailbox: str
    identifier: bytes
    action: str = ""
    """`+`, `-`, or nothing: the rights replace those that were."""
    rights: acl.Rights = acl.NONE
    creates: bool = False
    """Whether the obsolete `c` was given, whose `x` the inbox cannot have."""


def parse_identifier(reader: Reader, uid: bool) -> AclArgs:
    """`SP mailbox SP identifier`."""
    args = _mailbox_and_identifier(reader)
    reader.end()
    return args


def _mailbox_and_identifier(reader: Reader) -> AclArgs:
    reader.sp()
    mailbox = reader.mailbox()
    reader.sp()
    return AclArgs(mailbox=mailbox, identifier=reader.astring())


def parse_set(reader: Reader, uid: bool) -> AclArgs:
    """`SP mailbox SP identifier SP mod-rights`."""
    args = _mailbox_and_identifier(reader)
    reader.sp()
    text = reader.astring().decode("utf-8", "replace")
    reader.end()
    action = text[:1] if text[:1] in {"+", "-"} else ""
    rights = acl.read(text[len(action) :])
    if rights is None:
        # RFC 4314 §3.1: an unrecognized right must not be ignored
        raise reader.fail("No such right")
    return msgspec.structs.replace(args, action=action, rights=rights, creates="c" in text)


# --- identifiers --------------------------------------------------------------------------------------------


def _prepared(raw: bytes) -> str:
    """RFC 4314 §3: an identifier that cannot be prepared by SASLprep, or of which nothing is left, is answered BAD."""
    try:
        text = saslprep(raw.decode("utf-8"))
    except ValueError:
        raise Bad("The identifier is not good text") from None
    if not text:
        raise Bad("The identifier is empty")
    return text


async def _account(session: Session, raw: bytes, owner: Account) -> Account | None:
    """The account that an identifier names, whoever it is; None: there is none. Bad, No."""
    text = _prepared(raw)
    if text.startswith("-"):
        raise No(b"CANNOT", "There are no negative rights")
    if text.casefold() in _NOBODY:
        raise No(b"CANNOT", "Rights are given to single accounts, not to everybody")
    try:
        address = normalize_login(text, domain_of(owner))
    except ValueError:
        return None
    if address.rpartition("@")[2] != domain_of(owner):
        return None
    return await session.store.account(address)


async def _receiver(session: Session, raw: bytes, owner: Account) -> Account:
    """The account to which rights can be given. Bad, No."""
    account = await _account(session, raw, owner)
    if account is None or not may_be_given(owner, account):
        if account is not None and account.account_id == owner.account_id:
            raise No(b"CANNOT", "The owner has every right, always")
        # groups are among these: nothing but accounts has a name here
        raise No(b"CANNOT", "There is no such account in the owner's domain")
    return account


# --- changing -----------------------------------------------------------------------------------------------


async def run_set(session: Session, args: AclArgs) -> None:
    """Give rights to somebody, or take them."""
    seen = await opened(session, args.mailbox, "a")
    other = await _receiver(session, args.identifier, session.account)
    await _change(session, seen, other, args)


async def run_delete(session: Session, args: AclArgs) -> None:
    """Take all rights from somebody, also from one who could not be given any now."""
    seen = await opened(session, args.mailbox, "a")
    other = await _account(session, args.identifier, session.account)
    if other is not None and other.account_id == session.account_id:
        raise No(b"CANNOT", "The owner has every right, always")
    if other is not None:
        await _change(session, seen, other, msgspec.structs.replace(args, action="", rights=acl.NONE))


async def _change(session: Session, seen: Seen, other: Account, args: AclArgs) -> None:
    inbox = seen.mailbox.role is Role.INBOX
    sharer = Sharer(session.store, session.account, session.now())
    thing = mailbox_thing(seen.mailbox)

    def changed(before: frozenset[str]) -> frozenset[str]:
        return _changed(before, args, inbox=inbox)

    for _ in range(limits.JMAP_RETRIES):
        try:
            ops = await operations_for(sharer, thing, other.account_id, changed)
            await session.store.commit(*ops)
            return
        except (Conflict, NotFound):
            continue  # rights or notices have changed at the same moment
        except OverQuota as fault:
            raise No(b"LIMIT", fault.public) from fault
    raise Temporary("Rights are being changed by somebody else, try again.")


def _changed(before: frozenset[str], args: AclArgs, *, inbox: bool) -> frozenset[str]:
    """JMAP's rights as they shall be. No: they cannot be so."""
    if args.action == "-":
        after = before - acl.names_of(acl.with_tied(args.rights - _OWNERS))
    else:
        wanted = args.rights
        if inbox and args.creates:
            wanted -= {"x"}  # RFC 4314 §2.1.1: of what `c` means, what can be given
        _refuse_ungivable(wanted, inbox=inbox)
        held = acl.letters_of(before) if args.action == "+" else acl.NONE
        if parted := acl.with_tied(wanted) - wanted - held:
            # RFC 4314 §3.7: tied rights are granted all or none, and never more than was asked for
            raise No(
                b"CANNOT", f"What was asked for is given only together with {' and '.join(sorted(parted))}"
            )
        after = acl.names_of(wanted) | (before if args.action else frozenset())
    if after and MAILBOXES.reads not in after:
        raise No(b"CANNOT", "Without l and r there are no rights; DELETEACL takes all")
    return after


def _refuse_ungivable(wanted: acl.Rights, *, inbox: bool) -> None:
    withheld = sorted(wanted & (_OWNERS | ({"x"} if inbox else frozenset())))
    if withheld:
        raise No(b"CANNOT", f"Nobody can be given {' or '.join(withheld)} here")


# --- looking ------------------------------------------------------------------------------------------------


async def run_get(session: Session, name: str) -> None:
    """Tell who may do what: the owner first."""
    seen = await opened(session, name, "a")
    found = [(session.account, seen.rights)]
    shares = await shares_of(session.store, session.account_id, MAILBOXES)
    for account_id, share in sorted(shares.get(seen.mailbox.mailbox_id, {}).items()):
        account = await session.store.account_by_id(account_id)
        if account is not None:
            found.append((account, given_rights(share, seen.mailbox)))
    words = [b"* ACL", encode.mailbox(seen.name, utf8=session.utf8)]
    for account, rights in found:
        words += [encode.astring(account.address.encode("utf-8"), utf8=session.utf8), acl.shown(rights)]
    session.send(b" ".join(words) + b"\r\n")


async def run_list_rights(session: Session, args: AclArgs) -> None:
    """Tell what can be given to somebody, and what goes together."""
    seen = await opened(session, args.mailbox, "a")
    account = await _account(session, args.identifier, session.account)
    if account is not None and account.account_id == session.account_id:
        always, given = acl.shown(seen.rights), []
    else:
        await _receiver(session, args.identifier, session.account)
        inbox = seen.mailbox.role is Role.INBOX
        always, given = b'""', [group for group in acl.TIED if not (inbox and group == "x")]
        given += ["c", "d"]  # RFC 4314 §2.1.1: alone, since their members are tied to none but each other
    words = [
        b"* LISTRIGHTS",
        encode.mailbox(seen.name, utf8=session.utf8),
        # RFC 4314 §3.4: the identifier in the form that the client gave
        encode.astring(args.identifier, utf8=session.utf8),
        always,
        *(group.encode("ascii") for group in given),
    ]
    session.send(b" ".join(words) + b"\r\n")


async def run_my_rights(session: Session, name: str) -> None:
    """Tell what the login may do."""
    session.send(my_rights_line(session, await opened(session, name, "")))


ROWS = (
    Command(
        name=b"SETACL",
        states=AUTHENTICATED,
        parse=parse_set,
        run=run_set,
        capabilities=(b"ACL", b"RIGHTS=kxte"),  # RFC 4314 §5.1.1
        rfc="RFC 4314 §3.1",
    ),
    Command(
        name=b"DELETEACL",
        states=AUTHENTICATED,
        parse=parse_identifier,
        run=run_delete,
        rfc="RFC 4314 §3.2",
    ),
    Command(name=b"GETACL", states=AUTHENTICATED, parse=parse_name, run=run_get, rfc="RFC 4314 §3.3"),
    Command(
        name=b"LISTRIGHTS",
        states=AUTHENTICATED,
        parse=parse_identifier,
        run=run_list_rights,
        rfc="RFC 4314 §3.4",
    ),
    Command(name=b"MYRIGHTS", states=AUTHENTICATED, parse=parse_name, run=run_my_rights, rfc="RFC 4314 §3.5"),
)
