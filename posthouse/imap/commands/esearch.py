"""ESEARCH: one search in many mailboxes (MULTISEARCH, RFC 7377).

The mailboxes are searched one after the other, each as it is, with the search of SEARCH; the selected one as the
client knows it, and it stays selected. Mailboxes that are not there, or that the login may not read, are passed over
without a word (§2.2). Only UIDs are told, and only of mailboxes where something was found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.imap import encode
from posthouse.imap.commands.contexts import begin_context
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, No
from posthouse.imap.commands.search import (
    Found,
    ascending,
    highest_modseq,
    look,
    numbers_of,
    result_items,
    save,
    scores_of,
    shown,
)
from posthouse.imap.commands.select import view_of
from posthouse.imap.filter_mailboxes import SCOPES, Scope, is_meant, parse_names
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import Seen, all_seen
from posthouse.imap.search_filters import without_filters
from posthouse.imap.search_keys import Return, SearchArgs
from posthouse.imap.search_parser import parse_search
from posthouse.imap.session import Session, State
from posthouse.imap.view import View

_SCOPES: Final = {**SCOPES, b"SUBTREE-ONE": Scope.SUBTREE_ONE}


class Source(msgspec.Struct, frozen=True):
    """One specifier of mailboxes; `scope` None: the selected one."""

    scope: Scope | None
    names: frozenset[str] = frozenset()

    def means(self, seen: Seen) -> bool:
        """Whether a mailbox is meant; of the selected one this does not know."""
        return self.scope is not None and is_meant(
            self.scope,
            self.names,
            seen.name,
            personal=seen.owner is None,
            subscribed=seen.mailbox.subscribed,
        )


class EsearchArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What an ESEARCH asks for."""

    sources: tuple[Source, ...]
    search: SearchArgs


_ONLY_SELECTED: Final[tuple[Source, ...]] = (Source(None),)


def parse_esearch(reader: Reader, uid: bool) -> EsearchArgs:
    """`[SP "IN" SP "(" source-mbox ")"]`, then as behind `UID SEARCH` (RFC 7377 §4). Raises BadSyntax."""
    sources: tuple[Source, ...] = _ONLY_SELECTED
    if reader.accept(b" IN ("):
        sources = tuple(_sources(reader))
        reader.expect(b")")
    return EsearchArgs(sources=sources, search=parse_search(reader, True))


def _sources(reader: Reader) -> Iterator[Source]:
    count = 0
    while True:
        start = reader.pos
        word = reader.keyword()
        scope = _SCOPES.get(word)
        if scope is None and word != b"SELECTED":
            reader.pos = start
            raise reader.fail("Unknown mailbox specifier")
        names = parse_names(reader, scope) if scope is not None else []
        count += 1 + len(names)
        if count > limits.IMAP_SEARCH_MAILBOXES:
            raise reader.fail("Too many mailboxes")
        yield Source(scope, frozenset(names))
        if not reader.accept(b" "):
            return
        # What may stand in parentheses here are scope options, of which there are none yet.


async def run_esearch(session: Session, args: EsearchArgs) -> None:
    """Search each mailbox, and answer for each in which something was found."""
    scopes = {source.scope for source in args.sources}
    if None in scopes and session.state is not State.SELECTED:
        raise Bad("No mailbox is selected")  # RFC 7377 §2.2
    returns = args.search.returns or frozenset()
    if Return.SAVE in returns and scopes != {None}:
        raise Bad("Only what is found in the selected mailbox can be saved")  # RFC 7377 §2.2
    if args.search.update is not None and scopes != {None}:
        raise Bad("Only the result of the selected mailbox is kept up to date")  # RFC 7377 §2.2
    mailboxes = await _meant(session, args.sources)
    if len(mailboxes) > limits.IMAP_SEARCH_MAILBOXES:
        # RFC 7377 §2.4: refused before anything is searched
        raise No(b"LIMIT", "These are too many mailboxes for one search")
    search = await without_filters(session, args.search)
    selected = session.view
    if selected is not None and None in scopes:
        await _search(session, selected, search)
    for seen in mailboxes:
        if selected is not None and _is(seen, selected):
            if None not in scopes:
                await _search(session, selected, search)
            continue
        await _search_closed(session, seen, search)
        if session.full:
            await session.flush()
        await asyncio.sleep(0)  # other connections have a turn between two mailboxes


async def _meant(session: Session, sources: Iterable[Source]) -> list[Seen]:
    """The mailboxes meant, but for the selected one as such: each once, that may be read."""
    sources = [source for source in sources if source.scope is not None]
    if not sources:
        return []
    return [
        seen
        for seen in await all_seen(session)
        # RFC 7377 §2.2, §5: what may not be read is passed over
        if "r" in seen.rights and any(source.means(seen) for source in sources)
    ]


def _is(seen: Seen, view: View) -> bool:
    index = view.index
    return (seen.mailbox.account_id, seen.mailbox.mailbox_id) == (index.account_id, index.mailbox_id)


async def _search_closed(session: Session, seen: Seen, args: SearchArgs) -> None:
    """Search a mailbox that is not selected."""
    try:
        index = await session.store.index(seen.mailbox.account_id, seen.mailbox.mailbox_id)
    except NotFound:
        return  # it was deleted just now
    view = view_of(session, seen, index, read_only=True)
    try:
        await _search(session, view, args)
    finally:
        view.close()


async def _search(session: Session, view: View, args: SearchArgs) -> None:
    search, places = await look(session, args, view)
    name = encode.mailbox(view.mailbox_name, utf8=session.utf8)
    correlators = b"MAILBOX %b UIDVALIDITY %d" % (name, view.index.uid_validity)
    if view is session.view:
        begin_context(session, search, places, correlators=correlators)
        save(session, search, places, args)
    if not places or args.returns == frozenset({Return.SAVE}):
        return  # RFC 7377 §2.1: no response, whatever the result options are
    modseq = highest_modseq(search, shown(places, args))
    found = Found(numbers_of(search, places), modseq, scores_of(search, places))
    items = result_items(args, found, ascending)
    head = b"* ESEARCH (TAG %b %b) UID" % (encode.string(session.tag), correlators)
    session.send(b" ".join((head, *items)) + b"\r\n")


ESEARCH: Final = Command(
    name=b"ESEARCH",
    states=AUTHENTICATED,
    parse=parse_esearch,
    run=run_esearch,
    capabilities=(b"MULTISEARCH",),
    rfc="RFC 7377 §2",
)
ROWS: Final = (ESEARCH,)
