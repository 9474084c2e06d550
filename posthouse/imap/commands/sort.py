"""SORT and UID SORT (RFC 5256), by what is shown too (RFC 5957), with result options (RFC 5267 §3.1)."""

from __future__ import annotations

from typing import Final

from posthouse.imap.commands.contexts import begin_context
from posthouse.imap.commands.row import SELECTED, Command
from posthouse.imap.commands.search import (
    Found,
    highest_modseq,
    look,
    numbers_of,
    save,
    scores_of,
    send_esearch,
    send_numbers,
    shown,
)
from posthouse.imap.search_keys import SortArgs
from posthouse.imap.search_parser import parse_sort
from posthouse.imap.session import Session
from posthouse.imap.sorting import in_order, ordered_set


async def run_sort(session: Session, args: SortArgs) -> None:
    """Find, sort, and answer with SORT or ESEARCH."""
    search, places = await look(session, args.search)
    places = await in_order(session, search, places, args.criteria)
    found = numbers_of(search, places)
    begin_context(session, search, places, args.criteria)
    save(session, search, places, args.search)
    modseq = highest_modseq(search, shown(places, args.search))
    if args.search.returns is None:
        send_numbers(session, b"SORT", found, modseq)
    else:
        send_esearch(session, args.search, Found(found, modseq, scores_of(search, places)), ordered_set)


SORT: Final = Command(
    name=b"SORT",
    states=SELECTED,
    parse=parse_sort,
    run=run_sort,
    uid=True,
    expunges=False,
    capabilities=(b"SORT", b"SORT=DISPLAY", b"ESORT", b"CONTEXT=SORT"),
    rfc="RFC 5256 §3, RFC 5957, RFC 5267",
)
ROWS: Final = (SORT,)
