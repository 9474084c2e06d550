"""SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2; RFC 7162 §3.1.8, §3.2.5).

What SELECT reports is exactly what the new view holds: the view is made in one step from the shared index, and
everything that happens afterwards is told as a change. A SELECT that fails leaves no mailbox selected.
"""

from __future__ import annotations

from array import array
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.commands.row import AUTHENTICATED, SELECTED, Bad, Command, Completion, no_arguments
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import Seen, all_seen, opened
from posthouse.imap.rows import LOWEST_OCTET, flag_lines
from posthouse.imap.sequence import uid_set
from posthouse.imap.session import Session, State
from posthouse.imap.shared_view import SharedView
from posthouse.imap.view import View, give_way
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import SEEN, SEPARATOR, Mailbox

_SEEN_ONLY: Final = bytes(octet & SEEN for octet in range(256))
_UNSEEN_STEP: Final = 8_192


class Resync(msgspec.Struct, frozen=True, kw_only=True):
    """The QRESYNC parameter (RFC 7162 §3.2.5)."""

    uid_validity: int
    modseq: int
    known_uids: Ranges | None
    known_numbers: tuple[int, ...] = ()
    """Message numbers for which the client knows the UIDs, ascending."""
    numbered_uids: tuple[int, ...] = ()
    """Those UIDs."""


class SelectArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a SELECT or EXAMINE asks for."""

    mailbox: str
    read_only: bool
    condstore: bool
    resync: Resync | None


def parse_select(reader: Reader, uid: bool) -> SelectArgs:
    """Everything behind `SELECT`."""
    return _parse(reader, read_only=False)


def parse_examine(reader: Reader, uid: bool) -> SelectArgs:
    """Everything behind `EXAMINE`."""
    return _parse(reader, read_only=True)


def _parse(reader: Reader, *, read_only: bool) -> SelectArgs:
    reader.sp()
    mailbox = reader.mailbox()
    condstore = False
    resync = None
    if reader.accept(b" ("):
        while True:
            name = reader.keyword()
            if name == b"CONDSTORE":
                condstore = True
            elif name == b"QRESYNC" and resync is None:
                resync = _parse_resync(reader)
            else:
                raise reader.fail("Unknown parameter")
            if not reader.accept(b" "):
                break
        reader.expect(b")")
    reader.end()
    return SelectArgs(mailbox=mailbox, read_only=read_only, condstore=condstore, resync=resync)


def _parse_resync(reader: Reader) -> Resync:
    """`SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"` (RFC 7162 §7)."""
    reader.sp()
    reader.expect(b"(")
    uid_validity = reader.nz_number()
    reader.sp()
    modseq = reader.mod_sequence_valzer()
    known_uids = None
    numbers = uids = Ranges()
    if reader.accept(b" ") and not reader.peek(b"("):
        known_uids = _plain_set(reader)
        reader.accept(b" ")
    if reader.accept(b"("):
        numbers = _plain_set(reader)
        reader.sp()
        uids = _plain_set(reader)
        reader.expect(b")")
        if len(numbers) != len(uids) or len(uids) > limits.IMAP_SEQUENCE_MATCHES:
            raise reader.fail("The two lists of the sequence match data must be equally long, and short")
    reader.expect(b")")
    return Resync(
        uid_validity=uid_validity,
        modseq=modseq,
        known_uids=known_uids,
        known_numbers=tuple(numbers),
        numbered_uids=tuple(uids),
    )


def _plain_set(reader: Reader) -> Ranges:
    try:
        return uid_set(reader.sequence_set())
    except ValueError as error:
        raise reader.fail(str(error)) from None


# --- selecting ------------------------------------------------------------------------------------------


async def run_select(session: Session, args: SelectArgs) -> Completion:
    """Open a mailbox and report what is in it."""
    if args.resync is not None and not session.qresync:
        # RFC 7162 §3.2.5: QRESYNC must have been enabled.
        raise Bad("ENABLE QRESYNC comes first")
    if session.view is not None:
        # RFC 9051 §6.3.2: the mailbox is closed before the next is tried, and CLOSED marks the boundary.
        session.close_view()
        session.state = State.AUTHENTICATED
        session.send(b"* OK [CLOSED] The previous mailbox is closed\r\n")
    seen = await opened(session, args.mailbox, "r")
    mailbox = seen.mailbox
    list_line = await _list_line(session, mailbox) if session.rev2 else b""
    keywords = await session.store.keywords(mailbox.account_id)
    index = await session.store.index(mailbox.account_id, mailbox.mailbox_id)
    view = session.view = view_of(session, seen, index, args.read_only)
    if view.in_doubt:
        await _look_first(session, view)
    session.state = State.SELECTED
    if args.condstore or args.resync is not None:
        session.condstore = True
    session.send(view.flags_line(keywords))
    _send_status(session, view, mailbox)
    session.send(list_line)
    if args.resync is not None and args.resync.uid_validity == index.uid_validity:
        # RFC 7162 §3.2.5: with another UIDVALIDITY the rest of the parameter is ignored.
        await _resynchronize(session, view, args.resync)
    words = "EXAMINE completed" if args.read_only else "SELECT completed"
    # RFC 4314 §5.2: READ-ONLY too where no right to change anything is granted
    return Completion(b"READ-ONLY" if view.read_only else b"READ-WRITE", words)


def view_of(session: Session, seen: Seen, index: MailboxIndex, read_only: bool) -> View:
    """A mailbox as a client that opens it now knows it."""
    if seen.owner is None:
        return View(session.store, index, mailbox_name=seen.name, read_only=read_only)
    return SharedView(session.store, index, seen, caller=session.account_id, read_only=read_only)


async def _look_first(session: Session, view: View) -> None:
    """The rights may have changed while the mailbox was read."""
    try:
        await view.look()
        view.need("r")
    except BaseException:
        session.close_view()
        raise


def _send_status(session: Session, view: View, mailbox: Mailbox) -> None:
    index = view.index
    lines = [b"* %d EXISTS\r\n" % view.count]
    if not session.rev2:
        # RFC 3501 §6.3.1: RECENT is required of IMAP4rev1, and UNSEEN when there is one; RFC 9051 dropped both.
        lines.append(b"* 0 RECENT\r\n")
        if mailbox.unseen and (first := first_unseen(index.flags)) is not None:
            lines.append(b"* OK [UNSEEN %d] First unseen message\r\n" % (first + 1))
    lines.append(b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % index.uid_validity)
    lines.append(b"* OK [UIDNEXT %d] Predicted next UID\r\n" % view.uid_next)
    # RFC 7162 §3.1.2.1: HIGHESTMODSEQ comes with every SELECT. A mailbox without any change yet has 1 (it is no 0).
    lines.append(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % max(view.modseq, 1))
    lines.append(b"* OK [MAILBOXID (%b)] Mailbox id\r\n" % encode.mailbox_id(mailbox.mailbox_id))
    session.send(b"".join(lines))


def first_unseen(flags: array[int]) -> int | None:
    r"""The place (from 0) of the first message without `\Seen`, by looking at one octet of each message's bits."""
    for start in range(0, len(flags), _UNSEEN_STEP):
        octets = flags[start : start + _UNSEEN_STEP].tobytes()[LOWEST_OCTET::8]
        found = octets.translate(_SEEN_ONLY).find(b"\0")
        if found >= 0:
            return start + found
    return None


async def _list_line(session: Session, mailbox: Mailbox) -> bytes:
    """RFC 9051 §6.3.2: the LIST response with the mailbox's name and true attributes."""
    below = mailbox.name + SEPARATOR
    attributes = [
        b"\\HasChildren"
        if any(each.name.startswith(below) for each in await all_seen(session))
        else b"\\HasNoChildren"
    ]
    if mailbox.subscribed:
        attributes.append(b"\\Subscribed")
    if mailbox.role is not None and mailbox.role.value != "inbox":
        attributes.append(b"\\" + mailbox.role.value.capitalize().encode("ascii"))
    name = encode.mailbox(mailbox.name, utf8=session.utf8)
    return b'* LIST (%b) "%b" %b\r\n' % (b" ".join(attributes), SEPARATOR.encode("ascii"), name)


# --- quick resynchronisation ----------------------------------------------------------------------------


async def _resynchronize(session: Session, view: View, resync: Resync) -> None:
    """RFC 7162 §3.2.5.1: what vanished and what changed since the client was here last."""
    index = view.index
    asked = resync.known_uids
    if asked is None:
        asked = Ranges(((1, view.uid_next - 1),)) if view.uid_next > 1 else Ranges()
    vanished = await session.store.vanished_since(index.account_id, index.mailbox_id, resync.modseq)
    # What vanished after the view was made is no news from earlier: it will be told as a change.
    vanished = (vanished & asked) - view.known
    vanished = vanished - _matched(view, resync)
    if vanished:
        session.send(b"* VANISHED (EARLIER) %b\r\n" % str(vanished).encode("ascii"))
    changed = changed_since(index, resync.modseq) & asked & view.known
    texts = await view.texts()
    for rows in view.rows(changed, limits.IMAP_FLAG_ROWS):
        session.send(flag_lines(rows, index, texts, uid=True, modseq=True))
        await give_way(session)


def _matched(view: View, resync: Resync) -> Ranges:
    """RFC 7162 §3.2.5.2: the UIDs up to the last pair that still fits; the client knows what vanished there."""
    for number, uid in zip(reversed(resync.known_numbers), reversed(resync.numbered_uids), strict=True):
        if number <= view.count and view.known.nth(number) == uid:
            return Ranges(((1, uid),))
    return Ranges()


def changed_since(index: MailboxIndex, modseq: int) -> Ranges:
    """The UIDs with a greater mod-sequence."""
    return Ranges.of_sorted(
        uid for uid, changed in zip(index.uids, index.modseqs, strict=True) if changed > modseq
    )


# --- closing --------------------------------------------------------------------------------------------


async def run_close(session: Session, args: None) -> None:
    r"""Remove what is \Deleted without a word about it, and leave the mailbox."""
    view = session.view
    assert view is not None
    if view.may("e") and not view.index.removed:
        # RFC 9051 §6.4.1: nothing is removed from a mailbox opened by EXAMINE; RFC 4314 §4: nor without a right.
        await session.store.apply(Expunge(account_id=view.index.account_id, mailbox_id=view.index.mailbox_id))
    await run_unselect(session, args)


async def run_unselect(session: Session, args: None) -> None:
    """Leave the mailbox; no expunge, and no updates any more."""
    session.close_view()
    session.state = State.AUTHENTICATED


SELECT: Final = Command(
    name=b"SELECT",
    states=AUTHENTICATED,
    parse=parse_select,
    run=run_select,
    capabilities=(b"CONDSTORE", b"QRESYNC"),
    rfc="RFC 9051 §6.3.2",
)
EXAMINE: Final = Command(
    name=b"EXAMINE", states=AUTHENTICATED, parse=parse_examine, run=run_select, rfc="RFC 9051 §6.3.3"
)
CLOSE: Final = Command(
    name=b"CLOSE", states=SELECTED, parse=no_arguments, run=run_close, rfc="RFC 9051 §6.4.1"
)
UNSELECT: Final = Command(
    name=b"UNSELECT",
    states=SELECTED,
    parse=no_arguments,
    run=run_unselect,
    capabilities=(b"UNSELECT",),
    rfc="RFC 9051 §6.4.2",
)
ROWS: Final = (SELECT, EXAMINE, CLOSE, UNSELECT)
