"""REPLACE and UID REPLACE (RFC 8508): a new message for an old one, which may stand in another mailbox.

One commit: the new message is there and the old one gone, or everything is as it was. Who was second with the same
old message is refused. Only what the new message takes more than the old one counts for the quota. Everything
else is as in APPEND, whose upload this uses: literals, limits, refusals.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.errors import Conflict, NotFound
from posthouse.imap.append_args import MessageHead, message_heads
from posthouse.imap.commands.append import Upload
from posthouse.imap.commands.row import SELECTED, Bad, Command, Completion, No
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import opened
from posthouse.imap.sequence import STAR, SequenceSet
from posthouse.imap.session import Session
from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store.interface import Added, Expunge


class ReplaceArgs(msgspec.Struct, frozen=True, kw_only=True):
    """REPLACE up to its first literal, or all of it."""

    number: int
    """A message number, or a UID; STAR: `*`."""
    uid: bool
    mailbox: str
    heads: tuple[MessageHead, ...]
    """One, or it is refused."""


def parse_replace(reader: Reader, uid: bool) -> ReplaceArgs:
    """`SP seq-number SP mailbox append-message` (RFC 8508 §5)."""
    reader.sp()
    number = STAR if reader.accept(b"*") else reader.nz_number()
    reader.sp()
    mailbox = reader.mailbox()
    return ReplaceArgs(number=number, uid=uid, mailbox=mailbox, heads=message_heads(reader))


async def run_replace(session: Session, args: ReplaceArgs) -> Completion:
    """Take the message, put it in the old one's place, and tell both."""
    view = session.view
    assert view is not None
    view.need("te")  # RFC 8508 §4.1: what STORE \\Deleted and EXPUNGE need here, and APPEND there
    old = view.select(SequenceSet(((args.number, args.number),)), uid=args.uid)
    freed = _octets(view, old)
    # RFC 8508 §3.4: response codes as with APPEND
    target = await opened(session, args.mailbox, "i", otherwise=b"TRYCREATE")
    room = await session.services.directory.room(target.owner or session.account)
    if room is not None and target.mailbox.account_id == view.index.account_id:
        room += freed  # RFC 8508 §3.4: the quota sees the message against what its removal frees
    upload = Upload(session, target, room)
    try:
        if len(args.heads) > 1 or await upload.take(args.heads):
            raise Bad("REPLACE takes one message")  # RFC 8508 §4.7
        added = await _commit(session, view, old, upload, args.mailbox)
    except BaseException:
        await upload.discard()
        raise
    # RFC 8508 §4.3: APPENDUID stands in an untagged OK before the EXPUNGE response.
    session.send(b"* OK [APPENDUID %d %d] Replacement message stored\r\n" % (added.uid_validity, added.uid))
    await view.tell(session, expunges=True)
    if session.qresync:
        # RFC 8508 §4.5, RFC 7162 §3.2.9: as after UID EXPUNGE
        return Completion(b"HIGHESTMODSEQ %d" % view.highest_modseq)
    return Completion()


def _octets(view: View, old: Ranges) -> int:
    """The size of the message to be replaced. No: it is not there."""
    place = view.index.position(old.first) if old else None
    if place is None:
        code, words = (
            (b"EXPUNGEISSUED", "The message has been expunged") if old else (b"NONEXISTENT", "No such UID")
        )
        raise No(code, words)
    return view.index.sizes[place]


async def _commit(session: Session, view: View, old: Ranges, upload: Upload, name: str) -> Added:
    (add,) = await upload.allowed(name)
    if view.in_doubt:
        await view.look()
    view.need("te")  # an upload may take long
    index = view.index
    if add.account_id == index.account_id and add.content.size <= _octets(view, old):
        # RFC 8508 §3.4: what needs no more room is no matter of the quota, not even of one that is exceeded.
        add = msgspec.structs.replace(add, check_quota=False)
    gone = Expunge(
        account_id=index.account_id, mailbox_id=index.mailbox_id, uids=old, force=True, complete=True
    )
    try:
        # First what frees room. Both or none: a second REPLACE of the same message finds it gone, and adds nothing.
        _, added = await session.store.commit(gone, add)
    except NotFound:
        await opened(session, name, "i", otherwise=b"TRYCREATE")
        raise No(b"EXPUNGEISSUED", "The message has been expunged or replaced meanwhile") from None
    except Conflict as error:
        raise No(b"LIMIT", "Too many different keywords") from error
    found: Added = added
    return found


REPLACE: Final = Command(
    name=b"REPLACE",
    states=SELECTED,
    parse=parse_replace,
    run=run_replace,
    uid=True,
    capabilities=(b"REPLACE",),
    rfc="RFC 8508 §3",
)
ROWS: Final = (REPLACE,)
