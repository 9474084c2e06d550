"""What SORT puts in order (RFC 5256), by what is shown too (RFC 5957): places in a search's snapshot.

What was found is sorted once for each criterion, the least important first. Strings compare by `i;unicode-casemap`;
where all is equal the order of the mailbox stays, also in reverse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.imap.search_keys import SortBy, SortKey
from posthouse.imap.searching import Places, Search
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


async def in_order(session: Session, search: Search, places: Places, criteria: Sequence[SortBy]) -> Places:
    """Those of the places that the search found, sorted."""
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
    if key is SortKey.RELEVANCY:
        # RFC 6203 §6: the most relevant first
        return {place: -score for place, score in search.scores.items()}
    found: dict[int, Any] = {}
    for first in range(0, len(places), limits.IMAP_FETCH_ROWS):
        part = places[first : first + limits.IMAP_FETCH_ROWS]
        numbers = [search.snapshot.email_ids[place] for place in part]
        # RFC 5256 §2.2: without a Date that can be read it is the internal date, as `sent_at` has it.
        column = "sent_at" if key is SortKey.DATE else "envelope"
        rows = await session.store.emails(search.account_id, numbers, [column])
        values = [None if row is None else row[0] for row in rows]
        if key is SortKey.DATE:
            found.update(zip(part, [value or 0 for value in values], strict=True))
        else:
            found.update(zip(part, await asyncio.to_thread(_texts, values, key), strict=True))
    return found


def _texts(envelopes: list[bytes | None], key: SortKey) -> list[str]:
    read, field = _FROM_ENVELOPE[key]
    return ["" if each is None else unicode_casemap(read(each, field)) for each in envelopes]


def ordered_set(found: list[int]) -> bytes:
    """RFC 5267 §3.1: a sequence set in the order sorted, so only what ascends one by one becomes a range."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs)
