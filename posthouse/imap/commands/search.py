"""SEARCH and UID SEARCH (RFC 9051 §6.4.4; RFC 4731 ESEARCH, 5182 SEARCHRES, 5032 WITHIN, 7162 §3.1.5, 9394 PARTIAL).

UPDATE and CONTEXT (RFC 5267) are for `contexts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from posthouse.imap import encode
from posthouse.imap.commands.contexts import begin_context, refuse_tag_reuse
from posthouse.imap.commands.row import SELECTED, Bad, Command, Completion, No
from posthouse.imap.search_filters import without_filters
from posthouse.imap.search_keys import Return, SearchArgs
from posthouse.imap.search_parser import parse_search
from posthouse.imap.searching import Places, Search
from posthouse.imap.session import Session
from posthouse.imap.view import View
from posthouse.ranges import EMPTY, Ranges


class Found(msgspec.Struct, frozen=True):
    """What an answer tells of."""

    numbers: list[int]
    """UIDs or message numbers, in the order told."""
    modseq: int
    """The highest mod-sequence; 0: it was not asked for."""
    scores: list[int]
    """How relevant each is; empty: that was not asked for."""


async def run_search(session: Session, args: SearchArgs) -> Completion | None:
    """Find, and answer with SEARCH or ESEARCH."""
    search, places = await look(session, args)
    modseq = highest_modseq(search, shown(places, args))
    found = numbers_of(search, places)
    begin_context(session, search, places)
    save(session, search, places, args)
    if args.returns is not None or session.rev2:
        send_esearch(session, args, Found(found, modseq, scores_of(search, places)), ascending)
    else:
        send_numbers(session, b"SEARCH", found, modseq)
    return None


def ascending(found: list[int]) -> bytes:
    """Messages as a set."""
    return str(Ranges.of_sorted(found)).encode("ascii")


async def look(session: Session, args: SearchArgs, view: View | None = None) -> tuple[Search, Places]:
    """Find, in the selected mailbox or in `view`.

    No for a charset that nobody knows; what goes wrong empties the variable that it would have set.
    """
    view = view or session.view
    assert view is not None
    if args.update is not None:
        refuse_tag_reuse(session)
    args = await without_filters(session, args)
    if args.relevancy and not args.fuzzy:
        raise Bad("There is no relevancy without FUZZY")  # RFC 6203 §4, §6
    saves = args.returns is not None and Return.SAVE in args.returns
    if args.unknown_charset:
        if saves:
            view.saved = EMPTY  # RFC 9051 §6.4.4.1: a SAVE that is answered NO empties the variable
        raise No(b"BADCHARSET (US-ASCII UTF-8)", "Unknown charset")
    if args.modseq:
        session.enable_condstore()
    if args.numbers:
        # RFC 7162 §3.2.10.2: no expunge is told while message numbers are being searched, with UID SEARCH neither.
        view.hold_expunges = True
    modseq = view.index.highest_modseq
    search = Search(session, view, args, (await view.texts()).keywords)
    search.modseq = modseq  # a keyword may have come into use since they were read
    try:
        places = await search.find()
    except Exception:
        if saves:
            view.saved = EMPTY
        raise
    return search, places


def numbers_of(search: Search, places: Sequence[int]) -> list[int]:
    """What is told of messages: UIDs or numbers, in the order given."""
    numbers = search.snapshot.uids if search.args.uid else search.snapshot.numbers
    return [numbers[place] for place in places]


def scores_of(search: Search, places: Sequence[int]) -> list[int]:
    """How relevant messages are, in the order given, if that is asked for."""
    return [search.scores[place] for place in places] if search.args.relevancy else []


def highest_modseq(search: Search, places: Sequence[int]) -> int:
    """The highest mod-sequence of messages, where it was asked for; else 0."""
    return max((search.snapshot.modseqs[place] for place in places), default=0) if search.args.modseq else 0


def save(session: Session, search: Search, places: Sequence[int], args: SearchArgs) -> None:
    """Set the variable `$`, where that was asked for."""
    if args.returns is not None and Return.SAVE in args.returns and session.view is not None:
        session.view.saved = Ranges.of([search.snapshot.uids[place] for place in _saved(places, args)])


def shown(places: Places, args: SearchArgs) -> Places:
    """The messages of which the answer tells the highest mod-sequence."""
    returns = (args.returns or frozenset()) - {Return.SAVE}
    if not returns or returns - _SOME:
        return places
    # RFC 4731 §3.2: with MIN or MAX and neither ALL nor COUNT it is that of the messages told.
    return _some(places, args)


def _saved(places: Sequence[int], args: SearchArgs) -> Sequence[int]:
    """RFC 9051 §6.4.4.1, table 4, and RFC 9394 §3.2, table 1: without ALL and COUNT only what was told is saved."""
    returns = args.returns or frozenset()
    if returns == {Return.SAVE} or returns - _SOME - {Return.SAVE}:
        return places
    return _some(places, args)


_SOME: Final = frozenset({Return.MIN, Return.MAX, Return.PARTIAL})
"""Options that tell of some messages only."""


def _some(places: Sequence[int], args: SearchArgs) -> list[int]:
    returns = args.returns or frozenset()
    found = list(places[args.partial.among(len(places))]) if args.partial is not None else []
    if Return.MIN in returns:
        found += places[:1]
    if Return.MAX in returns:
        found += places[-1:]
    return found


def send_numbers(session: Session, name: bytes, found: list[int], modseq: int) -> None:
    """The untagged response that is numbers alone."""
    line = b"* " + name + b"".join(map(b" %d".__mod__, found))
    if found and modseq:
        line += b" (MODSEQ %d)" % modseq  # RFC 7162 §3.1.6
    session.send(line + b"\r\n")


def send_esearch(
    session: Session, args: SearchArgs, found: Found, as_set: Callable[[list[int]], bytes]
) -> None:
    """ESEARCH about what was found, in the order told. `as_set`: how the messages of ALL and PARTIAL are written."""
    # RFC 9051 §6.4.4: without RETURN, ALL is assumed; SAVE alone suppresses the response.
    returns = args.returns if args.returns is not None else frozenset({Return.ALL})
    if returns == {Return.SAVE}:
        return
    words = [b"* ESEARCH (TAG %b)" % encode.string(session.tag)]
    if args.uid:
        words.append(b"UID")
    words += result_items(args, found, as_set)
    session.send(b" ".join(words) + b"\r\n")


def result_items(args: SearchArgs, result: Found, as_set: Callable[[list[int]], bytes]) -> list[bytes]:
    """search-return-data: what the result options ask for."""
    returns = args.returns if args.returns is not None else frozenset({Return.ALL})
    words = []
    found, scores = result.numbers, result.scores
    if found:
        if Return.MIN in returns:
            words.append(b"MIN %d" % found[0])
        if Return.MAX in returns:
            words.append(b"MAX %d" % found[-1])
        if Return.ALL in returns:
            words.append(b"ALL " + as_set(found))
    if args.partial is not None:
        # RFC 9394 §3.1: the range as it was asked for; NIL where there is nothing
        part = found[args.partial.among(len(found))]
        scores = scores[args.partial.among(len(found))]
        words.append(b"PARTIAL (%b %b)" % (args.partial.raw, as_set(part) if part else b"NIL"))
    if Return.RELEVANCY in returns:
        # RFC 6203 §4: of what is told, in its order
        words.append(b"RELEVANCY (%b)" % b" ".join(map(b"%d".__mod__, scores)))
    if Return.COUNT in returns:
        words.append(b"COUNT %d" % len(found))
    if found and result.modseq:
        words.append(b"MODSEQ %d" % result.modseq)  # RFC 7162 §3.1.10
    return words


SEARCH: Final = Command(
    name=b"SEARCH",
    states=SELECTED,
    parse=parse_search,
    run=run_search,
    uid=True,
    expunges=False,
    capabilities=(
        b"ESEARCH",
        b"SEARCHRES",
        b"WITHIN",
        b"PARTIAL",
        b"FILTERS",
        b"SEARCH=FUZZY",
        b"CONTEXT=SEARCH",
    ),
    rfc="RFC 9051 §6.4.4",
)
ROWS: Final = (SEARCH,)
