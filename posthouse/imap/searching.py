"""A search under way: the tree of keys is asked about the messages of a mailbox that are still in question.

An AND gives each key only what the cheaper ones left over, an OR gives each key only what the others did not find.
Keys over the mailbox's arrays are evaluated on copies of the arrays, taken in one step, so commits during a text search
do not move anything.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Sequence
from itertools import compress

from posthouse import limits
from posthouse.imap.fuzzy import Fuzziness
from posthouse.imap.rows import LOWEST_OCTET, Rows, keyword_bit
from posthouse.imap.search_keys import (
    DAY,
    Age,
    And,
    Column,
    Flags,
    Fuzzy,
    Key,
    Keyword,
    Messages,
    Not,
    Number,
    ObjectId,
    Or,
    Saved,
    SearchArgs,
    Sent,
    TextIn,
    cost,
)
from posthouse.imap.sequence import SequenceSet
from posthouse.imap.session import Session
from posthouse.imap.view import View
from posthouse.message.date import parse_date
from posthouse.ranges import EMPTY, Ranges

_ENVELOPE_DATE = re.compile(rb'\("([^"\\]*)"')
"""The Date header in ENVELOPE's ready text; one that needs escapes or a literal is no date."""

Places = list[int]
"""Places (from 0) in the snapshot, ascending."""


class Snapshot:
    """The messages that the client knows and that are still there, as they are when the search begins."""

    __slots__ = ("email_ids", "flags", "modseqs", "numbers", "received", "sizes", "uids")

    def __init__(self, rows: Rows, view: View) -> None:
        index = view.index
        self.numbers: Sequence[int] = rows.numbers
        self.uids = rows.column(index.uids)
        self.flags = rows.column(index.flags)
        self.modseqs = rows.column(index.modseqs)
        self.sizes = rows.column(index.sizes)
        self.received = rows.column(index.received)
        self.email_ids = rows.column(index.email_ids)

    def __len__(self) -> int:
        return len(self.uids)

    def column(self, name: Column) -> Sequence[int]:
        """A column by name."""
        return {Column.SIZE: self.sizes, Column.RECEIVED: self.received, Column.MODSEQ: self.modseqs}[name]


class Search:
    """One search under way."""

    __slots__ = (
        "_keywords",
        "_now",
        "_session",
        "_view",
        "account_id",
        "args",
        "modseq",
        "scores",
        "snapshot",
    )

    def __init__(
        self,
        session: Session,
        view: View,
        args: SearchArgs,
        keywords: tuple[str, ...],
        among: Ranges | None = None,
    ) -> None:
        """`among`: the UIDs in question, of those that the client knows; None: all of these."""
        asked = view.known if among is None else among
        rows = view.rows_at(asked, 0, len(asked)) if asked else Rows((), [])
        self.modseq = view.index.highest_modseq
        """The mod-sequence up to which everything that happened is in the snapshot."""
        self.snapshot = Snapshot(rows, view)
        self.args = args
        self._session = session
        self._view = view
        self.account_id = view.index.account_id
        """Whose mailbox it is."""
        self.scores: dict[int, int] = {}
        """How relevant what was found is, by place (RFC 6203 §4), of a search with FUZZY."""
        self._keywords = keywords
        self._now = session.now()

    async def find(self) -> Places:
        """The messages that match."""
        places = list(range(len(self.snapshot)))
        if not self.args.fuzzy:
            return await self.matching(self.args.key, places)
        self.scores = await Fuzziness(self).scores(self.args.key, places)
        return sorted(self.scores)

    async def matching(self, key: Key, places: Places) -> Places:
        """Those of the places that match exactly."""
        if not places:
            return places
        match key:
            case And(keys=keys):
                for one in sorted(keys, key=cost):
                    places = await self.matching(one, places)
                return places
            case Or(keys=keys):
                return await self._any(keys, places)
            case Not(key=inner):
                found = set(await self.matching(inner, places))
                return [place for place in places if place not in found]
            case Fuzzy(key=inner):
                return await self.matching(inner, places)
            case TextIn(field=field, needle=needle):
                return await self.text(field, needle, places)
            case Sent(least=least, bound=bound):
                return await self._sent(least, bound, places)
            case Saved(least=least, bound=bound):
                return await self._saved(least, bound, places)
            case ObjectId(number=number, thread=thread):
                return await self._objects(number, thread, places)
        if len(places) > limits.IMAP_SEARCH_STEP:
            await asyncio.sleep(0)  # let the other connections have their turn between two passes
        return self._by_arrays(key, places)

    async def similar_words(self, field: str, words: Sequence[str]) -> list[list[str]]:
        """For each word others that look like it, among those of the account's mail."""
        return await self._session.store.similar_words(self.account_id, field, words)

    async def _any(self, keys: tuple[Key, ...], places: Places) -> Places:
        found: set[int] = set()
        left = places
        for one in sorted(keys, key=cost):
            new = await self.matching(one, left)
            if new:
                found.update(new)
                left = [place for place in left if place not in found]
        return [place for place in places if place in found]

    def _by_arrays(self, key: Key, places: Places) -> Places:
        snapshot = self.snapshot
        match key:
            case Flags(bits=bits, present=present):
                return _with_bits(snapshot.flags, places, bits, present)
            case Keyword(name=name, present=present):
                bit = keyword_bit(self._keywords, name)
                if bit is None:
                    return [] if present else places
                return _with_bits(snapshot.flags, places, bit, present)
            case Number(column=column, least=least, bound=bound):
                values = snapshot.column(column)
                return [place for place in places if least <= values[place] < bound]
            case Age(seconds=seconds, older=older):
                # RFC 5032 §3: OLDER is "more than or equal", YOUNGER "less than or equal" so many seconds ago.
                then, received = self._now - seconds, snapshot.received
                if older:
                    return [place for place in places if received[place] <= then]
                return [place for place in places if received[place] >= then]
            case Messages(messages=messages, uid=uid):
                wanted = self.wanted(messages, uid)
                if wanted == self._view.known:
                    return places
                uids = snapshot.uids
                return [place for place in places if uids[place] in wanted]
        raise AssertionError(f"no rule for {key!r}")

    def wanted(self, messages: SequenceSet, uid: bool) -> Ranges:
        """The UIDs that a message set means now."""
        view = self._view
        if uid or messages.saved:
            return view.select(messages, uid=uid)
        # RFC 7377 §2: in any search, numbers beyond the end of the mailbox are no error.
        known = view.known
        within = messages.resolve(len(known)) & Ranges.between(1, len(known)) if known else EMPTY
        return Ranges((known.nth(first), known.nth(last)) for first, last in within.pairs()) & known

    async def text(self, field: str, needle: str, places: Places) -> Places:
        """Those whose text contains the needle."""
        email_ids = self.snapshot.email_ids
        asked = [email_ids[place] for place in places]
        found = await self._session.store.search_text(self.account_id, asked, field, needle)
        return [place for place in places if email_ids[place] in found]

    async def _sent(self, least: int, bound: int, places: Places) -> Places:
        """By the Date header's day on its own clock; only near a bound does the clock matter (RFC 9051 §6.4.4)."""
        found: Places = []
        for first in range(0, len(places), limits.IMAP_FETCH_ROWS):
            part = places[first : first + limits.IMAP_FETCH_ROWS]
            ids = [self.snapshot.email_ids[place] for place in part]
            rows = await self._session.store.emails(self.account_id, ids, ("sent_at", "envelope"))
            for place, row in zip(part, rows, strict=True):
                if row is not None and _sent_within(row[0], row[1], least, bound):
                    found.append(place)
        return found

    async def _saved(self, least: int, bound: int, places: Places) -> Places:
        found: Places = []
        mailbox_id = self._view.index.mailbox_id
        for first in range(0, len(places), limits.IMAP_FETCH_ROWS):
            part = places[first : first + limits.IMAP_FETCH_ROWS]
            uids = [self.snapshot.uids[place] for place in part]
            dates = await self._session.store.saved_dates(self.account_id, mailbox_id, uids)
            found += [
                place
                for place, saved in zip(part, dates, strict=True)
                if saved is not None and least <= saved < bound
            ]
        return found

    async def _objects(self, wanted: int, thread: bool, places: Places) -> Places:
        found: Places = []
        for first in range(0, len(places), limits.IMAP_FETCH_ROWS):
            part = places[first : first + limits.IMAP_FETCH_ROWS]
            ids = [self.snapshot.email_ids[place] for place in part]
            store = self._session.store
            numbers: Sequence[int | None] = (
                await store.threads(self.account_id, ids)
                if thread
                else await store.origins(self.account_id, ids)
            )
            found += [place for place, one in zip(part, numbers, strict=True) if one == wanted]
        return found


def _with_bits(flags: Sequence[int], places: Places, bits: int, present: bool) -> Places:
    if isinstance(flags, array) and len(places) == len(flags) and bits < 256:
        # All messages, and a bit of the lowest octet: three passes in C instead of one in Python.
        octets = flags.tobytes()[LOWEST_OCTET::8]
        wanted = bytes(bool(octet & bits) is present for octet in range(256))
        return list(compress(places, octets.translate(wanted)))
    if present:
        return [place for place in places if flags[place] & bits]
    return [place for place in places if not flags[place] & bits]


def _sent_within(sent_at: int, envelope: bytes, least: int, bound: int) -> bool:
    if least + DAY <= sent_at < bound - DAY:
        return True
    if sent_at < least - DAY or sent_at >= bound + DAY:
        return False
    written = _ENVELOPE_DATE.match(envelope)
    date = parse_date(written.group(1)) if written is not None else None
    day = date.day * DAY if date is not None else sent_at
    return least <= day < bound
