"""STORE and UID STORE (RFC 9051 §6.4.6; RFC 7162 §3.1.3 UNCHANGEDSINCE).

One commit for the whole set. What the commit did is answered from the shared index, and noted in the view, so that
the updates behind the command do not tell it twice.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.imap import acl
from posthouse.imap.commands.row import SELECTED, Command, Completion, No
from posthouse.imap.flag_rights import Change, set_flags
from posthouse.imap.grammar import Reader
from posthouse.imap.rows import flag_lines
from posthouse.imap.sequence import SequenceSet, parse_sequence_set
from posthouse.imap.session import Session
from posthouse.imap.view import View, give_way
from posthouse.ranges import Ranges
from posthouse.store.interface import FlagsSet


class StoreArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a STORE asks for."""

    messages: SequenceSet
    uid: bool
    action: str
    """As SetFlags takes it."""
    flags: frozenset[str]
    silent: bool
    unchanged_since: int | None


_ITEMS: Final = {
    b"FLAGS": ("replace", False),
    b"FLAGS.SILENT": ("replace", True),
    b"+FLAGS": ("add", False),
    b"+FLAGS.SILENT": ("add", True),
    b"-FLAGS": ("remove", False),
    b"-FLAGS.SILENT": ("remove", True),
}


def parse_store(reader: Reader, uid: bool) -> StoreArgs:
    """Everything behind `STORE`."""
    reader.sp()
    try:
        messages = parse_sequence_set(reader.sequence_set())
    except ValueError as error:
        raise reader.fail(str(error)) from None
    reader.sp()
    unchanged_since = None
    if reader.accept(b"("):
        reader.expect(b"UNCHANGEDSINCE")
        reader.sp()
        unchanged_since = reader.mod_sequence_valzer()
        reader.expect(b")")
        reader.sp()
    item = _ITEMS.get(reader.keyword())
    if item is None:
        raise reader.fail("FLAGS, +FLAGS or -FLAGS expected")
    reader.sp()
    flags = reader.flag_list() if reader.peek(b"(") else _bare_flags(reader)
    reader.end()
    return StoreArgs(
        messages=messages,
        uid=uid,
        action=item[0],
        flags=flags,
        silent=item[1],
        unchanged_since=unchanged_since,
    )


def _bare_flags(reader: Reader) -> frozenset[str]:
    """`flag *(SP flag)`."""
    flags = {reader.flag()}
    while reader.accept_sp():
        flags.add(reader.flag())
    return frozenset(flags)


async def run_store(session: Session, args: StoreArgs) -> Completion | None:
    """Change flags, and tell the new ones."""
    view = session.view
    assert view is not None
    if args.unchanged_since is not None:
        session.enable_condstore()
    uids = view.select(args.messages, uid=args.uid)
    if view.rights.isdisjoint(acl.FLAGS):
        view.need(acl.OTHER_FLAGS)
    if view.read_only:
        raise No(b"READ-ONLY", "The mailbox is open for reading only")
    if not uids:
        return None
    before = view.index.highest_modseq
    result = await _apply(session, view, args, uids)
    if args.silent:
        # The client knows what its own change did; what others changed is still to be told.
        view.assumed_flags(result.changed, since=before, until=result.modseq)
    done = await _answer(session, view, args, uids, result)
    code = b""
    if result.modified:
        # RFC 7162 §3.1.3: MODIFIED names what failed the test, as numbers or as UIDs.
        failed = result.modified & view.known
        code = b"MODIFIED " + str(failed if args.uid else view.numbers(failed)).encode("ascii")
    if done < len(uids) and not args.uid and not args.silent:
        # RFC 2180 §4.2.3: the rest was changed, but some messages had been expunged by others.
        raise No(code or b"EXPUNGEISSUED", "Some of the messages no longer exist")
    return Completion(code, "Conditional STORE failed for some messages" if code else "")


async def _apply(session: Session, view: View, args: StoreArgs, uids: Ranges) -> FlagsSet:
    change = Change(action=args.action, flags=args.flags, unchanged_since=args.unchanged_since)
    try:
        return await set_flags(view, session.account_id, uids, change)
    except Conflict as error:
        raise No(b"LIMIT", "Too many different keywords") from error


async def _answer(session: Session, view: View, args: StoreArgs, uids: Ranges, result: FlagsSet) -> int:
    """Send the FETCH responses that are due; how many of the messages are still there."""
    texts = await view.texts()
    session.send(view.new_keywords(texts))
    answered, flags = uids, True
    if args.silent:
        flags = False
        # RFC 7162 §3.1.3: with UNCHANGEDSINCE every message done is answered with its MODSEQ, .SILENT or not; and
        # §3.2.4: once CONDSTORE is on, the new mod-sequences are told in any case.
        if args.unchanged_since is not None:
            answered = uids - result.modified
        elif session.condstore:
            answered = result.changed & uids
        else:
            return view.present(uids)
    else:
        view.told_flags(uids)
    count = 0
    for rows in view.rows(answered, limits.IMAP_FLAG_ROWS):
        count += len(rows)
        session.send(
            flag_lines(
                rows,
                view.index,
                texts,
                uid=args.uid or session.condstore,
                modseq=session.condstore,
                flags=flags,
            )
        )
        await give_way(session)
    return count if answered is uids else view.present(uids)


STORE: Final = Command(
    name=b"STORE",
    states=SELECTED,
    parse=parse_store,
    run=run_store,
    uid=True,
    expunges=False,
    rfc="RFC 9051 §6.4.6",
)
ROWS: Final = (STORE,)
