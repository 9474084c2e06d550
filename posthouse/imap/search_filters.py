"""FILTERS (RFC 5466): searches kept under names among the server's annotations, and put into a search by FILTER.

`/private/filters/values/NAME` is a login's own, and comes before `/shared/filters/values/NAME`, which the house's
administrators set for everybody: such an entry stands among the annotations of the administrator who set it last. A
filter stands for its keys as if in parentheses, so that `NOT FILTER x` means the same whatever x holds. What a filter
brings in counts against the limits of the one search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.refusal import Bad, No
from posthouse.imap.search_key_parser import FILTER_NAME, KeyParser
from posthouse.imap.search_keys import And, Filter, Fuzzy, Key, Not, Or, Return, SearchArgs
from posthouse.imap.session import Session
from posthouse.ranges import EMPTY
from posthouse.store.metadata import ACCOUNT_WIDE, KIND, SetMetadata, decode

SHARED: Final = "/shared/filters/"
"""What administrators may set for everybody."""
_ROOTS: Final = ("/private/filters/", SHARED)
_ENTRY: Final = re.compile(r"/(?:private|shared)/filters/(values|descriptions)/(.*)", re.DOTALL)
_CHARSETS: Final = frozenset({"utf-8", "ascii"})


# --- searching -------------------------------------------------------------------------------------------------


async def without_filters(session: Session, args: SearchArgs) -> SearchArgs:
    """The search with each FILTER key replaced. No [UNDEFINED-FILTER]: there is none of that name, or none that means
    something."""
    if not args.filters:
        return args
    if args.unknown_charset or args.charset not in _CHARSETS:
        # RFC 5466 §3.1: with FILTER no charset but UTF-8 and US-ASCII, and the answer is BAD
        raise Bad("A filter is searched for in UTF-8", b"BADCHARSET (US-ASCII UTF-8)")
    try:
        replacing = _Replacing(await server_values(session), args)
        key = replacing.replaced(args.key, (), 0)
    except No:
        if args.returns is not None and Return.SAVE in args.returns and session.view is not None:
            session.view.saved = EMPTY  # RFC 9051 §6.4.4.1
        raise
    met = replacing.met
    return msgspec.structs.replace(
        args, key=key, modseq=met.modseq, numbers=met.numbers, fuzzy=met.fuzzy, filters=False
    )


async def server_values(session: Session) -> dict[str, bytes]:
    """All entries of the server that a login sees: its own private ones, and what administrators share."""
    found: dict[str, bytes] = {}
    administrators = await session.services.directory.administrators()
    for account_id in {*administrators, session.account_id}:
        for item in await session.store.items(account_id, KIND, [ACCOUNT_WIDE]):
            for name, entry in decode(item.data).items():
                if entry.value is None:
                    continue
                if (
                    (account_id in administrators)
                    if name.startswith(SHARED)
                    else account_id == session.account_id
                ):
                    found[name] = entry.value
    return found


class _Replacing:
    """One search whose filters are replaced; `met` counts all keys of it."""

    def __init__(self, values: Mapping[str, bytes], args: SearchArgs) -> None:
        self._values = values
        self.met = KeyParser(Reader(b""))
        self.met.modseq, self.met.numbers, self.met.fuzzy = args.modseq, args.numbers, args.fuzzy
        self.met.count, self.met.texts = args.count, args.texts

    def replaced(self, key: Key, within: tuple[str, ...], depth: int) -> Key:
        """`within`: the filters in which the key stands; `depth`: levels of keys around it."""
        match key:
            case Filter(name=name):
                return self.replaced(self._read(name, within, depth), (*within, name.lower()), depth)
            case Not(key=inner):
                return Not(key=self.replaced(inner, within, depth + 1))
            case Fuzzy(key=inner):
                return Fuzzy(key=self.replaced(inner, within, depth + 1))
            case And(keys=keys):
                return And(keys=tuple(self.replaced(one, within, depth + 1) for one in keys))
            case Or(keys=keys):
                return Or(keys=tuple(self.replaced(one, within, depth + 1) for one in keys))
        return key

    def _read(self, name: str, within: tuple[str, ...], depth: int) -> Key:
        lowered = name.lower()
        value = self._values.get(f"/private/filters/values/{lowered}")
        if value is None:
            value = self._values.get(f"{SHARED}values/{lowered}")
        if value is None:
            raise _undefined(name, "No such filter")
        # RFC 5466 §3.1: a loop, or too many steps, is answered as if the filter were not there
        if lowered in within:
            raise _undefined(name, "The filter contains itself")
        if len(within) >= limits.IMAP_FILTERS_NESTED:
            raise _undefined(name, "Too many filters within filters")
        reader = Reader(b" " + value)
        reader.depth = depth
        met = self.met
        met.reader = reader
        try:
            return _criteria(met)
        except BadSyntax as error:
            raise _undefined(name, f"The filter makes no sense: {error.public}") from None


def _undefined(name: str, words: str) -> No:
    return No(b"UNDEFINED-FILTER " + name.encode("ascii"), words)


def _criteria(parser: KeyParser) -> Key:
    """search-criteria, and nothing behind it."""
    keys = parser.keys()
    parser.reader.end()
    return keys[0] if len(keys) == 1 else And(keys=tuple(keys))


# --- keeping ---------------------------------------------------------------------------------------------------


def check_entries(values: Mapping[str, bytes | None]) -> None:
    """Filters to be set are searches, and their names are such (RFC 5466 §3.2). No."""
    for name, value in values.items():
        if not name.startswith(_ROOTS):
            continue
        found = _ENTRY.fullmatch(name)
        if found is None or not FILTER_NAME.fullmatch(found[2].encode("ascii")):
            raise No(b"CANNOT", "Not the name of a filter")
        if value is None:
            continue
        if found[1] == "values":
            try:
                _criteria(KeyParser(Reader(b" " + value)))
            except BadSyntax as error:
                # the offset counts the space before it
                raise No(b"CANNOT", f"Not a search: {error.public} (at octet {error.offset - 1})") from None
        elif not _is_utf8(value):
            raise No(b"CANNOT", "The description is not in UTF-8")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def shared_changes(session: Session, values: Mapping[str, bytes | None]) -> list[SetMetadata]:
    """What is to be removed from other administrators' annotations, so that a shared filter stands in one place. No."""
    administrators = await session.services.directory.administrators()
    if session.account_id not in administrators:
        raise No(b"NOPERM", "The shared annotations of the server are set by its administrator")
    changes = []
    for account_id in administrators:
        if account_id == session.account_id:
            continue
        for item in await session.store.items(account_id, KIND, [ACCOUNT_WIDE]):
            there = decode(item.data)
            gone = [name for name in values if name in there and there[name].value is not None]
            if gone:
                changes.append(SetMetadata(account_id=account_id, values=dict.fromkeys(gone)))
    return changes
