"""GETMETADATA and SETMETADATA (RFC 5464): annotations of mailboxes and, with an empty name, of the server.

What is private or shared differs only by name to the account that owns a mailbox; others see what is shared alone.
The server's shared entries are its administrators' (§3.3): clients read /shared/admin and shared filters (RFC 5466);
these are set by administrators.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.imap import acl, encode
from posthouse.imap.commands.row import AUTHENTICATED, Command, Completion, No
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import Seen, opened, refuse_without
from posthouse.imap.search_filters import SHARED, check_entries, server_values, shared_changes
from posthouse.imap.session import Session
from posthouse.store.metadata import ACCOUNT_WIDE, KIND, Entries, SetMetadata, decode

_DEPTHS: Final = {b"0": 0, b"1": 1, b"INFINITY": None}
_SCOPES: Final = ("/private", "/shared")
_VENDOR: Final = re.compile(r"/(?:private|shared)/vendor(?:/|\Z)")
_NOT_IN_A_NAME: Final = re.compile(rb"[\x00-\x19\x80-\xff*%]")
_PRIVATE: Final = "/private/"
_ADMIN: Final = "/shared/admin"


# --- the grammar -------------------------------------------------------------------------------------------


class GetArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: entries by name as given, those below them to a depth, values up to a size."""

    mailbox: str
    entries: tuple[str, ...]
    depth: int | None = 0
    """None: without end."""
    max_size: int | None = None


class SetArgs(msgspec.Struct, frozen=True):
    """What to set; None removes."""

    mailbox: str
    values: dict[str, bytes | None]


def parse_get(reader: Reader, uid: bool) -> GetArgs:
    """`[SP options] SP mailbox SP entries`; the RFC's examples have the options behind the mailbox, taken too."""
    reader.sp()
    options: dict[bytes, int | None] = {}
    if reader.peek(b"("):
        options = _options(reader)
        reader.sp()
    mailbox = reader.mailbox()
    reader.sp()
    if not options and reader.peek(b"(") and reader.raw[reader.pos + 1 : reader.pos + 2].isalpha():
        options = _options(reader)
        reader.sp()
    entries = parse_entries(reader)
    reader.end()
    return GetArgs(
        mailbox=mailbox,
        entries=entries,
        depth=options.get(b"DEPTH", 0),
        max_size=options.get(b"MAXSIZE"),
    )


def parse_entries(reader: Reader) -> tuple[str, ...]:
    """entries: one name, or several in parentheses (RFC 5464 §5). Raises BadSyntax: they are too many."""
    if reader.peek(b"("):
        entries = reader.parenthesized(lambda: _entry(reader))
    else:
        # RFC 5464 §5 has one entry without parentheses, §4.4.1 shows two.
        entries = [_entry(reader)]
        while reader.accept(b" /"):
            reader.pos -= 1
            entries.append(_entry(reader))
    if len(entries) > limits.METADATA_ENTRIES:
        raise reader.fail("Too many entries")
    return tuple(dict.fromkeys(entries))


def _options(reader: Reader) -> dict[bytes, int | None]:
    """`"(" option *(SP option) ")"`."""
    found: dict[bytes, int | None] = {}

    def option() -> None:
        name = reader.keyword()
        if name in found:
            raise reader.fail("The option is repeated")
        reader.sp()
        if name == b"MAXSIZE":
            found[name] = reader.number()
        elif name == b"DEPTH":
            word = reader.keyword()
            if word not in _DEPTHS:
                raise reader.fail("DEPTH is 0, 1 or infinity")
            found[name] = _DEPTHS[word]
        else:
            raise reader.fail("Unknown option")

    reader.parenthesized(option)
    return found


def _entry(reader: Reader) -> str:
    """A name as RFC 5464 §3.2 allows it; one component is enough where only what is below may be meant."""
    start = reader.pos
    raw = reader.astring()
    name = raw.decode("ascii", "replace")
    scope = name.lower().startswith(tuple(f"{each}/" for each in _SCOPES)) or name.lower() in _SCOPES
    if not scope or _NOT_IN_A_NAME.search(raw) or "//" in name or name.endswith("/"):
        reader.pos = start
        raise reader.fail("Not the name of an entry")
    return name


def parse_set(reader: Reader, uid: bool) -> SetArgs:
    """`SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`."""
    reader.sp()
    mailbox = reader.mailbox()
    reader.sp()
    values: dict[str, bytes | None] = {}

    def entry_value() -> None:
        start = reader.pos
        name = _entry(reader).lower()
        # RFC 5464 §3.2: two components at least, and four for a vendor's.
        if name.count("/") < (4 if _VENDOR.match(name) else 2):
            reader.pos = start
            raise reader.fail("The name of an entry has more components")
        reader.sp()
        values[name] = reader.nstring()

    reader.parenthesized(entry_value)
    reader.end()
    return SetArgs(mailbox, values)


# --- reading -----------------------------------------------------------------------------------------------


async def run_get(session: Session, args: GetArgs) -> Completion:
    """Tell the values that are there, and NIL for what was asked for by name and is not."""
    where = await _place(session, args.mailbox)
    there = await _values(session, where)
    found: dict[str, bytes | None] = {}
    for entry in args.entries:
        found |= _below(there, entry, args.depth)
    longest = 0
    told: dict[str, bytes | None] = {}
    for name, value in found.items():
        if value is not None and args.max_size is not None and len(value) > args.max_size:
            longest = max(longest, len(value))
        else:
            told[name] = value
    if told:
        session.send(_values_line(session, args.mailbox, told))
    # RFC 5464 §4.2.1: the size of the largest value that was left out.
    return Completion(b"METADATA LONGENTRIES %d" % longest if longest else b"")


def _values_line(session: Session, mailbox: str, values: Mapping[str, bytes | None]) -> bytes:
    """RFC 5464 §4.4.1: METADATA with values."""
    pairs = [
        b"%b %b" % (encode.astring(name.encode("ascii")), encode.nstring(value, utf8=session.utf8))
        for name, value in values.items()
    ]
    return b"* METADATA %b (%b)\r\n" % (encode.mailbox(mailbox, utf8=session.utf8), b" ".join(pairs))


async def listed_metadata(
    session: Session, mailboxes: Iterable[Seen], entries: Sequence[str]
) -> dict[str, bytes]:
    """RFC 9590 §3: the METADATA lines of mailboxes, by name: each entry asked for, NIL where it has no value.

    One read for each account that they belong to. Mailboxes that may not be read have no line.
    """
    readable: dict[int, list[Seen]] = {}
    for seen in mailboxes:
        if {"l", "r"} <= seen.rights:
            readable.setdefault(seen.mailbox.account_id, []).append(seen)
    lines: dict[str, bytes] = {}
    for account_id, boxes in readable.items():
        numbers = [seen.mailbox.mailbox_id for seen in boxes]
        items = await session.store.items(account_id, KIND, numbers)
        there = {item.item_id: decode(item.data) for item in items}
        for seen in boxes:
            found = _visible(there.get(seen.mailbox.mailbox_id, {}), is_own=seen.owner is None)
            values = {entry: found.get(entry.lower()) for entry in entries}
            lines[seen.name] = _values_line(session, seen.name, values)
    return lines


def _below(there: dict[str, bytes], entry: str, depth: int | None) -> dict[str, bytes | None]:
    """RFC 5464 §4.2.2: an entry, under its name as given, and those below it to a depth."""
    lowered = entry.lower()
    found: dict[str, bytes | None] = {}
    if lowered in there or depth == 0:
        found[entry] = there.get(lowered)
    if depth != 0:
        start = lowered + "/"
        for name in sorted(there):
            if name.startswith(start) and (depth is None or name.count("/", len(start)) < depth):
                found[name] = there[name]
    return found


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where annotations are."""

    account_id: int
    number: int
    """Of the item."""
    rights: acl.Rights = acl.ALL
    is_own: bool = True


async def _place(session: Session, mailbox: str) -> _Place:
    """The item that has a mailbox's annotations. No."""
    if not mailbox:
        return _Place(account_id=session.account_id, number=ACCOUNT_WIDE)
    # RFC 5464 §3.3: only on a mailbox that exists, and that one may see and read
    seen = await opened(session, mailbox, "lr")
    return _Place(
        account_id=seen.mailbox.account_id,
        number=seen.mailbox.mailbox_id,
        rights=seen.rights,
        is_own=seen.owner is None,
    )


async def _entries(session: Session, account_id: int, number: int) -> Entries:
    for item in await session.store.items(account_id, KIND, [number]):
        return decode(item.data)
    return {}


async def _values(session: Session, where: _Place) -> dict[str, bytes]:
    if where.number == ACCOUNT_WIDE:
        values = await server_values(session)
        # RFC 5464 §6.2.2: how to reach the administrator; every domain here has a postmaster (RFC 5321 §4.5.1).
        domain = session.account.address.rpartition("@")[2]
        values[_ADMIN] = f"mailto:postmaster@{domain}".encode("ascii")
        return values
    return _visible(await _entries(session, where.account_id, where.number), is_own=where.is_own)


def _visible(entries: Entries, *, is_own: bool) -> dict[str, bytes]:
    """The values that show: of another's mailbox the shared ones."""
    return {
        name: entry.value
        for name, entry in entries.items()
        if entry.value is not None and (is_own or not name.startswith(_PRIVATE))
    }


# --- setting -----------------------------------------------------------------------------------------------


async def run_set(session: Session, args: SetArgs) -> None:
    """Set all of them, or none."""
    where = await _place(session, args.mailbox)
    if not where.is_own:
        _check_rights(where, args)
    others: list[SetMetadata] = []
    if where.number == ACCOUNT_WIDE:
        others = await _check_server(session, args)
    if any(value is not None and len(value) > limits.METADATA_VALUE for value in args.values.values()):
        raise No(TOO_LARGE, "The value is too large")
    if any(len(name) > limits.METADATA_NAME for name in args.values):
        raise No(b"LIMIT", f"The name of an entry may have at most {limits.METADATA_NAME} octets")
    change = SetMetadata(account_id=where.account_id, mailbox_id=where.number, values=args.values)
    try:
        await session.store.commit(*others, change)
    except Conflict:
        raise No(b"METADATA TOOMANY", "There are too many annotations") from None


async def _check_server(session: Session, args: SetArgs) -> list[SetMetadata]:
    """What else changes with the server's annotations. No: they cannot be set so."""
    shared = {name: value for name, value in args.values.items() if name.startswith("/shared/")}
    if not all(name.startswith(SHARED) for name in shared):
        # RFC 5464 §3.3: server annotations may be restricted; §3.2.1.1: /shared/admin always is.
        raise No(b"NOPERM", "The shared annotations of the server are set by its administrator")
    others = await shared_changes(session, shared) if shared else []
    check_entries(args.values)
    return others


def _check_rights(where: _Place, args: SetArgs) -> None:
    """Shared annotations of another's mailbox are changed as its keywords are; what is private is the owner's. No."""
    refuse_without(where.rights, acl.OTHER_FLAGS)
    if any(name.startswith(_PRIVATE) for name in args.values):
        raise No(b"METADATA NOPRIVATE", "Private annotations of this mailbox are its owner's")


async def copy_metadata(session: Session, source_id: int, target_id: int) -> None:
    """RFC 5464 §4.1: when INBOX is renamed, the new mailbox has its annotations, and it keeps them."""
    entries = await _entries(session, session.account_id, source_id)
    values = {name: entry.value for name, entry in entries.items() if entry.value is not None}
    if values:
        await session.store.apply(
            SetMetadata(account_id=session.account_id, mailbox_id=target_id, values={**values})
        )


TOO_LARGE: Final = b"METADATA MAXSIZE %d" % limits.METADATA_VALUE
"""RFC 5464 §4.3: what a value may have at most."""

GETMETADATA: Command[GetArgs] = Command(
    name=b"GETMETADATA",
    states=AUTHENTICATED,
    parse=parse_get,
    run=run_get,
    capabilities=(b"METADATA",),
    rfc="RFC 5464 §4.2",
)
SETMETADATA: Command[SetArgs] = Command(
    name=b"SETMETADATA",
    states=AUTHENTICATED,
    parse=parse_set,
    run=run_set,
    too_large=TOO_LARGE,
    rfc="RFC 5464 §4.3",
)
ROWS = (GETMETADATA, SETMETADATA)
