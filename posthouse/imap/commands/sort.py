"""SORT and UID SORT (RFC 5256), by what is shown too (RFC 5957), with result options (RFC 5267 §3.1).

What is found is sorted once for each criterion, the least important first. Strings compare by `i;unicode-casemap`;
where all is equal the order of the mailbox stays, also in reverse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.commands.row import SELECTED, Command
from posthouse.imap.commands.search import Places, Search, highest_modseq, look, numbers_of, save
from posthouse.imap.search_keys import Return, SearchArgs, SortArgs, SortBy, SortKey
from posthouse.imap.search_parser import parse_sort
from posthouse.imap.session import Session
from posthouse.message.sort_keys import display_key, envelope_key, mailbox_key, unicode_casemap

_FROM_ENVELOPE: Final[dict[SortKey, tuple[Callable[[bytes, str], str], str]]] = {
    SortKey.CC: (mailbox_key, "cc"),
    SortKey.FROM: (mailbox_key, "from"),
    SortKey.TO: (mailbox_key, "to"),
    SortKey.DISPLAYFROM: (display_key, "from"),
    SortKey.DISPLAYTO: (display_key, "to"),
    SortKey.SUBJECT: (envelope_key, "subject"),
}


async def run_sort(session: Session, args: SortArgs) -> None:
    """Find, sort, and answer with SORT or ESEARCH."""
    search, places = await look(session, args.search)
    places = await _sorted(session, search, places, args.criteria)
    found = numbers_of(search, places, args.search)
    save(session, search, places, args.search)
    if args.search.returns is None:
        modseq = highest_modseq(search, places, args.search)
        _send_sort(session, found, modseq)
    else:
        modseq = highest_modseq(search, _shown(places, args.search.returns), args.search)
        _send_esearch(session, args.search, found, modseq)


async def _sorted(session: Session, search: Search, places: Places, criteria: Sequence[SortBy]) -> Places:
    keys = [(await _values(session, search, places, each.key), each.reverse) for each in criteria]

    def sort() -> Places:
        found = places[:]
        for values, reverse in reversed(keys):  # stable sorts, the most important last
            found.sort(key=values.__getitem__, reverse=reverse)
        return found

    return await asyncio.to_thread(sort) if len(places) > limits.IMAP_SEARCH_STEP else sort()


async def _values(session: Session, search: Search, places: Places, key: SortKey) -> Any:
    """What the messages at the places are sorted by, by place."""
    if key is SortKey.ARRIVAL:
        return search.snapshot.received
    if key is SortKey.SIZE:
        return search.snapshot.sizes
    found: dict[int, Any] = {}
    for first in range(0, len(places), limits.IMAP_FETCH_ROWS):
        part = places[first : first + limits.IMAP_FETCH_ROWS]
        numbers = [search.snapshot.email_ids[place] for place in part]
        # RFC 5256 §2.2: without a Date that can be read it is the internal date, as `sent_at` has it.
        column = "sent_at" if key is SortKey.DATE else "envelope"
        rows = await session.store.emails(session.account_id, numbers, [column])
        values = [None if row is None else row[0] for row in rows]
        if key is SortKey.DATE:
            found.update(zip(part, [value or 0 for value in values], strict=True))
        else:
            found.update(zip(part, await asyncio.to_thread(_texts, values, key), strict=True))
    return found


def _texts(envelopes: list[bytes | None], key: SortKey) -> list[str]:
    read, field = _FROM_ENVELOPE[key]
    return ["" if each is None else unicode_casemap(read(each, field)) for each in envelopes]


def _shown(places: Places, returns: frozenset[Return]) -> Places:
    """The messages of which the answer tells the highest mod-sequence (RFC 4731 §3.2), in the order sorted."""
    told = returns - {Return.SAVE}
    if not places or not told or told - {Return.MIN, Return.MAX}:
        return places
    return places[:1] * (Return.MIN in told) + places[-1:] * (Return.MAX in told)


def _send_sort(session: Session, found: list[int], modseq: int) -> None:
    line = b"* SORT" + b"".join(map(b" %d".__mod__, found))
    if found and modseq:
        line += b" (MODSEQ %d)" % modseq  # RFC 7162 §3.1.6
    session.send(line + b"\r\n")


def _send_esearch(session: Session, args: SearchArgs, found: list[int], modseq: int) -> None:
    returns = args.returns or frozenset()
    if returns == {Return.SAVE}:
        return
    words = [b"* ESEARCH (TAG %b)" % encode.string(session.tag)]
    if args.uid:
        words.append(b"UID")
    if found:
        # RFC 5267 §3.1: first and last, and the set itself, are those of the order.
        if Return.MIN in returns:
            words.append(b"MIN %d" % found[0])
        if Return.MAX in returns:
            words.append(b"MAX %d" % found[-1])
        if Return.ALL in returns:
            words.append(b"ALL " + _in_order(found))
    if Return.COUNT in returns:
        words.append(b"COUNT %d" % len(found))
    if found and modseq:
        words.append(b"MODSEQ %d" % modseq)
    session.send(b" ".join(words) + b"\r\n")


def _in_order(found: list[int]) -> bytes:
    """A sequence set whose order means something: only what ascends one by one becomes a range."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs)


SORT: Final = Command(
    name=b"SORT",
    states=SELECTED,
    parse=parse_sort,
    run=run_sort,
    uid=True,
    expunges=False,
    capabilities=(b"SORT", b"SORT=DISPLAY", b"ESORT"),
    rfc="RFC 5256 §3, RFC 5957, RFC 5267",
)
ROWS: Final = (SORT,)
