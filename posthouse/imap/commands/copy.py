"""COPY and MOVE with their UID forms (RFC 9051 §6.4.7, §6.4.8; RFC 4315 COPYUID, RFC 6851).

Within an account each is one commit: all messages or none. MOVE never leaves a message in both mailboxes or in neither.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.errors import Conflict, NotFound
from posthouse.imap import acl
from posthouse.imap.commands.row import SELECTED, Command, Completion, No
from posthouse.imap.copy_across import copyuid, transfer
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import opened
from posthouse.imap.sequence import SequenceSet, parse_sequence_set
from posthouse.imap.session import Session
from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store.interface import Copied, CopyEmails, MoveEmails


class CopyArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a COPY or MOVE asks for."""

    messages: SequenceSet
    uid: bool
    mailbox: str


def parse_copy(reader: Reader, uid: bool) -> CopyArgs:
    """Everything behind `COPY` or `MOVE`."""
    reader.sp()
    try:
        messages = parse_sequence_set(reader.sequence_set())
    except ValueError as error:
        raise reader.fail(str(error)) from None
    reader.sp()
    mailbox = reader.mailbox()
    reader.end()
    return CopyArgs(messages=messages, uid=uid, mailbox=mailbox)


async def run_copy(session: Session, args: CopyArgs) -> Completion:
    """Copy, and tell the new UIDs."""
    copied = await _transfer(session, args, CopyEmails)
    if copied is None or not copied.source:
        return Completion(text="Nothing copied")
    return Completion(copyuid(copied))


async def run_move(session: Session, args: CopyArgs) -> Completion:
    """Move, tell the new UIDs, and then that the messages are gone from here."""
    view = _view(session)
    view.need("te")  # RFC 4314 §4, by RFC 6851 §3.3: MOVE is COPY, STORE \\Deleted and EXPUNGE in one
    moved = await _transfer(session, args, MoveEmails)
    if moved is None or not moved.source:
        return Completion(text="Nothing moved")
    # RFC 6851 §4.3: COPYUID stands in an untagged OK before the EXPUNGE responses.
    session.send(b"* OK [%b] Moved\r\n" % copyuid(moved))
    await view.tell(session, expunges=True)
    if session.qresync:
        # RFC 7162 §3.2.7 by RFC 6851 §4.4: as after EXPUNGE.
        return Completion(b"HIGHESTMODSEQ %d" % view.highest_modseq)
    return Completion()


def _view(session: Session) -> View:
    assert session.view is not None
    return session.view


async def _transfer(
    session: Session, args: CopyArgs, operation: type[CopyEmails] | type[MoveEmails]
) -> Copied | None:
    view = _view(session)
    uids = view.select(args.messages, uid=args.uid)
    # RFC 9051 §6.4.7: TRYCREATE says that a CREATE may help.
    target = await opened(session, args.mailbox, "i", otherwise=b"TRYCREATE")
    if not uids:
        return None
    if not args.uid and view.present(uids) < len(uids):
        # RFC 9051 §6.4.7: no partial copy; RFC 2180 §4.4: some messages have been expunged by others.
        raise No(b"EXPUNGEISSUED", "Some of the messages no longer exist")
    view.need("r")
    try:
        if target.mailbox.account_id != view.index.account_id or not target.rights >= acl.FLAGS:
            return await transfer(session, view, uids, target, move=operation is MoveEmails)
        return await _commit(session, operation, view, uids, target.mailbox.mailbox_id)
    except NotFound as error:
        raise No(b"TRYCREATE", "The mailbox has just been deleted") from error
    except Conflict as error:
        raise No(b"LIMIT", "Too many different keywords") from error


async def _commit(
    session: Session,
    operation: type[CopyEmails] | type[MoveEmails],
    view: View,
    uids: Ranges,
    target_id: int,
) -> Copied:
    index = view.index
    return await session.store.apply(
        operation(account_id=index.account_id, source_id=index.mailbox_id, uids=uids, target_id=target_id)
    )


COPY: Final = Command(
    name=b"COPY",
    states=SELECTED,
    parse=parse_copy,
    run=run_copy,
    uid=True,
    capabilities=(b"UIDPLUS",),
    rfc="RFC 9051 §6.4.7",
)
MOVE: Final = Command(
    name=b"MOVE",
    states=SELECTED,
    parse=parse_copy,
    run=run_move,
    uid=True,
    capabilities=(b"MOVE",),
    rfc="RFC 9051 §6.4.8",
)
ROWS: Final = (COPY, MOVE)
