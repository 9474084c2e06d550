"""LIST, basic and extended (RFC 9051 §6.3.9, RFC 5258), LSUB (RFC 3501 §6.3.9), NAMESPACE.

With return options SUBSCRIBED, CHILDREN, SPECIAL-USE (RFC 6154), STATUS (RFC 5819), MYRIGHTS (RFC 8440) and METADATA
(RFC 9590). Children and special use are always told, since they cost nothing here. Levels above a mailbox need not
exist; they are shown as \\NonExistent where a pattern ends in `%`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap import acl, encode, mailbox_name
from posthouse.imap.commands.metadata import listed_metadata, parse_entries
from posthouse.imap.commands.row import AUTHENTICATED, Command, no_arguments
from posthouse.imap.commands.status import status_items, status_line
from posthouse.imap.grammar import Reader
from posthouse.imap.languages import OTHER_USERS
from posthouse.imap.list_pattern import Matcher, matcher
from posthouse.imap.mailbox_name import OTHERS, above
from posthouse.imap.mailboxes_seen import Seen, all_seen, shared
from posthouse.imap.session import Session
from posthouse.store.model import SEPARATOR, Role

SPECIAL_USE: Final = {
    Role.DRAFTS: b"\\Drafts",
    Role.SENT: b"\\Sent",
    Role.JUNK: b"\\Junk",
    Role.TRASH: b"\\Trash",
    Role.ARCHIVE: b"\\Archive",
    Role.SNOOZED: b"\\Snoozed",
}
"""RFC 6154 §2 and IANA's registry: those that we know; the others (\\All, \\Flagged, \\Important) would be virtual."""

_SELECTION: Final = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURN: Final = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"MYRIGHTS"})


# --- LIST --------------------------------------------------------------------------------------------------


class ListArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What to list, and what to tell of it."""

    reference: str
    patterns: tuple[str, ...]
    extended: bool
    selection: frozenset[bytes] = frozenset()
    returns: frozenset[bytes] = frozenset()
    status: tuple[bytes, ...] = ()
    my_rights: bool = False
    metadata: tuple[str, ...] = ()
    """Annotations to tell with each mailbox."""


class _Return(msgspec.Struct, frozen=True):
    """return-option: what to tell of each mailbox."""

    options: frozenset[bytes] = frozenset()
    status: tuple[bytes, ...] = ()
    metadata: tuple[str, ...] = ()


def parse_list(reader: Reader, uid: bool) -> ListArgs:
    """`[SP "(" selection ")"] SP reference SP pattern-or-patterns [SP "RETURN" SP "(" options ")"]`."""
    reader.sp()
    extended = reader.peek(b"(")
    selection: frozenset[bytes] = frozenset()
    if extended:
        selection = _options(reader, _SELECTION)
        reader.sp()
    reference = reader.mailbox()
    reader.sp()
    if reader.peek(b"("):
        extended = True
        patterns = tuple(dict.fromkeys(reader.parenthesized(reader.list_mailbox)))
    else:
        patterns = (reader.list_mailbox(),)
    returns = _Return()
    if reader.accept_sp():
        extended = True
        reader.expect(b"RETURN (")
        returns = _return_options(reader)
    reader.end()
    if b"RECURSIVEMATCH" in selection and not selection - {b"RECURSIVEMATCH", b"REMOTE"}:
        # RFC 9051 §6.3.9.1: RECURSIVEMATCH must not stand alone
        raise reader.fail("RECURSIVEMATCH needs another selection option")
    if len(patterns) > limits.LIST_PATTERNS:
        raise reader.fail("Too many patterns")
    return ListArgs(
        reference=reference,
        patterns=patterns,
        extended=extended,
        selection=selection,
        returns=returns.options | (selection & {b"SUBSCRIBED"}),
        status=returns.status,
        my_rights=b"MYRIGHTS" in returns.options,
        metadata=returns.metadata,
    )


def _options(reader: Reader, known: frozenset[bytes]) -> frozenset[bytes]:
    options = frozenset(reader.parenthesized(reader.keyword, empty=True))
    if options - known:
        raise reader.fail("Unknown LIST option")
    return options


def _return_options(reader: Reader) -> _Return:
    options: set[bytes] = set()
    status: tuple[bytes, ...] = ()
    metadata: tuple[str, ...] = ()
    while not reader.accept(b")"):
        if options or status or metadata:
            reader.sp()
        option = reader.keyword()
        if option == b"STATUS":
            reader.sp()
            status = status_items(reader)
        elif option == b"METADATA":
            reader.sp()
            metadata = parse_entries(reader)
        elif option in _RETURN:
            options.add(option)
        else:
            raise reader.fail("Unknown LIST option")
    return _Return(frozenset(options), status, metadata)


class _Listing:
    """The names that a login sees, as LIST and LSUB see them."""

    __slots__ = ("existing", "parents", "subscribed")

    def __init__(self, mailboxes: Iterable[Seen], subscribed: frozenset[str]) -> None:
        self.existing = {seen.name: seen for seen in mailboxes}
        others = (seen for seen in self.existing.values() if seen.owner is not None)
        self.subscribed = subscribed | {seen.name for seen in others if seen.mailbox.subscribed}
        self.parents: set[str] = set()
        """Every name that has an existing mailbox below it."""
        for name in self.existing:
            if SEPARATOR in name:
                self.parents.update(above(name))

    def chosen(self, selection: frozenset[bytes]) -> list[str]:
        """The names that meet the selection options, whatever the patterns."""
        if b"SUBSCRIBED" in selection:
            names: Iterable[str] = self.subscribed
        else:
            names = self.existing
        if b"SPECIAL-USE" in selection:
            names = [name for name in names if self.special_use(name) is not None]
        return list(names)

    def special_use(self, name: str) -> bytes | None:
        """The special-use attribute of a mailbox, if it has one."""
        seen = self.existing.get(name)
        return None if seen is None or seen.mailbox.role is None else SPECIAL_USE.get(seen.mailbox.role)

    def attributes(self, name: str, *, subscribed: bool) -> list[bytes]:
        """RFC 9051 §7.3.1, for one name."""
        found = []
        if name not in self.existing:
            # \NonExistent implies \Noselect, which RFC 3501 clients need to read
            found += [b"\\NonExistent", b"\\Noselect"]
        found.append(b"\\HasChildren" if name in self.parents else b"\\HasNoChildren")
        use = self.special_use(name)
        if use is not None:
            found.append(use)
        if subscribed and name in self.subscribed:
            found.append(b"\\Subscribed")
        return found


def _order(name: str) -> tuple[bool, str]:
    return name != "INBOX", name


async def run_list(session: Session, args: ListArgs) -> None:
    """List what the patterns and the selection options name."""
    if not args.extended and args.patterns == ("",):
        # RFC 9051 §6.3.9: the hierarchy delimiter and the root
        session.send(b'* LIST (\\Noselect) "/" ""\r\n')
        return
    listing = await _listing(session, b"SUBSCRIBED" in args.returns)
    patterns = [args.reference + pattern for pattern in args.patterns if pattern]
    # RFC 8440 §4: not of a mailbox that is told only for what is below it
    chosen = frozenset(listing.chosen(args.selection)) if args.my_rights or args.metadata else frozenset()
    matches = _matches(listing, args, patterns)
    metadata: dict[str, bytes] = {}
    if args.metadata:
        boxes = [listing.existing[name] for name in matches if name in listing.existing and name in chosen]
        metadata = await listed_metadata(session, boxes, args.metadata)
    for name, below in sorted(matches.items(), key=lambda item: _order(item[0])):
        session.send(_list_line(session, listing, args, name, below))
        seen = listing.existing.get(name)
        if seen is not None and args.my_rights and name in chosen:
            session.send(my_rights_line(session, seen))
        if args.status and seen is not None:
            session.send(await status_line(session, seen.mailbox, args.status))
        session.send(metadata.get(name, b""))
        if session.full:
            await session.flush()
    if b"HIGHESTMODSEQ" in args.status:
        session.enable_condstore()


def my_rights_line(session: Session, seen: Seen) -> bytes:
    """The untagged MYRIGHTS of a mailbox (RFC 4314 §3.8)."""
    name = encode.mailbox(seen.name, utf8=session.utf8)
    return b"* MYRIGHTS %b %b\r\n" % (name, acl.shown(seen.rights))


async def _listing(session: Session, subscribed: bool) -> _Listing:
    store, account_id = session.store, session.account_id
    names = await store.subscriptions(account_id) if subscribed else frozenset()
    return _Listing(await all_seen(session), names)


def _matches(listing: _Listing, args: ListArgs, patterns: list[str]) -> dict[str, bool]:
    """The names to tell, and whether CHILDINFO goes with each."""
    matchers = [matcher(pattern) for pattern in patterns]
    found: dict[str, bool] = {}
    hidden: list[str] = []
    for name in listing.chosen(args.selection):
        if any(matches(name) for matches in matchers):
            found[name] = False
        elif SEPARATOR in name:
            hidden.append(name)
    if b"RECURSIVEMATCH" in args.selection:
        _add_recursive(found, hidden, matchers)
    elif not args.selection:
        # RFC 9051 §6.3.9: a final % also shows levels that are no mailboxes
        ending = [matcher(pattern) for pattern in patterns if pattern.endswith("%")]
        for name in listing.existing if ending else ():
            for parent in above(name):
                if parent not in listing.existing and any(matches(parent) for matches in ending):
                    found[parent] = False
    return found


def _add_recursive(found: dict[str, bool], hidden: list[str], matchers: list[Matcher]) -> None:
    # RFC 9051 §6.3.9.6: a parent that is not selected itself is told only for a child that is not told
    for name in hidden:
        for parent in above(name):
            if any(matches(parent) for matches in matchers):
                found[parent] = True
    for name in tuple(found):
        for parent in above(name):
            if parent in found:
                found[parent] = True


def _list_line(session: Session, listing: _Listing, args: ListArgs, name: str, below: bool) -> bytes:
    attributes = b" ".join(listing.attributes(name, subscribed=b"SUBSCRIBED" in args.returns))
    child_info = b""
    if below:
        criteria = sorted(args.selection & {b"SUBSCRIBED", b"SPECIAL-USE"})
        child_info = b' ("CHILDINFO" (%b))' % b" ".join(b'"%b"' % option for option in criteria)
    encoded = encode.mailbox(name, utf8=session.utf8)
    return b'* LIST (%b) "/" %b%b\r\n' % (attributes, encoded, child_info)


# --- LSUB and NAMESPACE ------------------------------------------------------------------------------------


def parse_lsub(reader: Reader, uid: bool) -> ListArgs:
    """`SP reference SP pattern`."""
    reader.sp()
    reference = reader.mailbox()
    reader.sp()
    pattern = reader.list_mailbox()
    reader.end()
    return ListArgs(reference=reference, patterns=(pattern,), extended=False)


async def run_lsub(session: Session, args: ListArgs) -> None:
    """List subscribed names (RFC 3501)."""
    pattern = args.reference + args.patterns[0]
    listing = await _listing(session, True)
    matches = matcher(pattern)
    found: dict[str, bytes] = {}
    for name in listing.subscribed:
        if matches(name):
            found[name] = b"" if name in listing.existing else b"\\Noselect"
        elif pattern.endswith("%"):
            # RFC 3501 §6.3.9: a subscribed name below a matching level shows that level as \Noselect
            for parent in above(name):
                if matches(parent):
                    found.setdefault(parent, b"\\Noselect")
    for name in sorted(found, key=_order):
        encoded = encode.mailbox(name, utf8=session.utf8)
        session.send(b'* LSUB (%b) "/" %b\r\n' % (found[name], encoded))


async def run_namespace(session: Session, args: None) -> None:
    """The personal namespace, at the root, and that of others where somebody shares something (RFC 9051 §6.3.10)."""
    others = b"NIL"
    if await shared(session):
        shown = b""
        if session.language in OTHER_USERS:
            # RFC 5255 §3.4: in modified UTF-7, whatever else is UTF-8
            translated = mailbox_name.encode(OTHER_USERS[session.language], utf8=False)
            shown = b' "TRANSLATION" (%b)' % encode.string(translated)
        others = b'(("%b" "/"%b))' % (OTHERS.encode("ascii"), shown)
    session.send(b'* NAMESPACE (("" "/")) %b NIL\r\n' % others)


LIST: Command[ListArgs] = Command(
    name=b"LIST",
    states=AUTHENTICATED,
    parse=parse_list,
    run=run_list,
    capabilities=(
        b"CHILDREN",
        b"LIST-EXTENDED",
        b"LIST-STATUS",
        b"SPECIAL-USE",
        b"LIST-MYRIGHTS",
        b"LIST-METADATA",
    ),
    rfc="RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 3348, RFC 8440, RFC 9590",
)
LSUB: Command[ListArgs] = Command(
    name=b"LSUB", states=AUTHENTICATED, parse=parse_lsub, run=run_lsub, rfc="RFC 3501 §6.3.9"
)
NAMESPACE: Command[None] = Command(
    name=b"NAMESPACE",
    states=AUTHENTICATED,
    parse=no_arguments,
    run=run_namespace,
    capabilities=(b"NAMESPACE",),
    rfc="RFC 9051 §6.3.10, RFC 2342",
)
ROWS = (LIST, LSUB, NAMESPACE)
