"""UPDATE: results of SEARCH and SORT that stay as they would be found now (RFC 5267 §4.3), and CANCELUPDATE.

A result is a set of UIDs, of a SORT their order too. After each change the search is asked again, about the messages
that changed alone where that is enough, and ESEARCH tells the difference: by numbers that hold where it stands in the
stream. So what is expunged leaves the results just before EXPUNGE or VANISHED, and what is new joins them behind EXISTS
and FETCH. What a session never asked for costs it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.commands.fetch import Fetch
from posthouse.imap.commands.row import SELECTED, Bad, Command, No
from posthouse.imap.fetch_plan import plan_of
from posthouse.imap.grammar import Reader
from posthouse.imap.search_keys import (
    Age,
    And,
    Fuzzy,
    Key,
    Messages,
    Not,
    ObjectId,
    Or,
    SearchArgs,
    SortBy,
    Update,
)
from posthouse.imap.searching import Places, Search
from posthouse.imap.sequence import SequenceSet
from posthouse.imap.session import Session
from posthouse.imap.sorting import in_order, ordered_set
from posthouse.imap.view import View, give_way
from posthouse.ranges import EMPTY, Ranges

# --- the keys of a search that stays --------------------------------------------------------------------------


def lasting(key: Key, search: Search) -> Key:
    """The key with what message numbers and `$` mean now (RFC 5267 §4.3): of that no change is told."""
    match key:
        case And(keys=keys):
            return And(keys=tuple(lasting(each, search) for each in keys))
        case Or(keys=keys):
            return Or(keys=tuple(lasting(each, search) for each in keys))
        case Not(key=inner):
            return Not(key=lasting(inner, search))
        case Messages(messages=messages, uid=uid) if not uid or messages.saved:
            wanted = search.wanted(messages, uid)
            return Messages(messages=SequenceSet(tuple(wanted.pairs())), uid=True)
    return key


def _leans_on_others(key: Key) -> bool:
    """Whether a message may come to match, or cease to, without a change of its own."""
    match key:
        case And(keys=keys) | Or(keys=keys):
            return any(map(_leans_on_others, keys))
        case Not(key=inner) | Fuzzy(key=inner):
            return _leans_on_others(inner)
        case Messages(messages=messages):
            return messages.has_star
        case ObjectId(thread=thread):
            return thread
    return isinstance(key, Age)  # RFC 5032 §2: looked at now and then


# --- one result -----------------------------------------------------------------------------------------------


class Context:
    """One search whose result is kept."""

    __slots__ = (
        "_args",
        "_criteria",
        "_everything",
        "_head",
        "_modseq",
        "_order",
        "_seen",
        "members",
        "update",
    )

    def __init__(
        self, search: Search, view: View, found: Sequence[int], criteria: Sequence[SortBy], head: bytes
    ) -> None:
        """`found`: UIDs in order; `criteria`: none for SEARCH; `head`: what its ESEARCH responses begin with."""
        args = search.args
        self._args: SearchArgs = msgspec.structs.replace(args, key=lasting(args.key, search))
        self.update = args.update or Update()
        self._criteria = criteria
        self._head = head
        self._everything = _leans_on_others(self._args.key)
        self.members = Ranges.of(found)
        self._order = list(found) if criteria else None
        self._modseq = search.modseq
        """The state of the mailbox in which the result was found."""
        self._seen = view.known.last if view.known else 0
        """The last message that was asked about."""

    def behind(self, view: View) -> bool:
        """Whether something happened since."""
        if view.index.removed:
            return False  # all messages leave when they are told as gone
        return self._modseq != view.index.highest_modseq or bool(view.known and view.known.last > self._seen)

    def leave(self, view: View, gone: Ranges) -> bytes:
        """What tells that messages are no more in the result, perhaps nothing."""
        lost = self.members & gone
        if not lost:
            return b""
        order = None if self._order is None else [uid for uid in self._order if uid not in lost]
        return self._changed(view, self.members - lost, order)

    async def asked_again(self, session: Session, view: View) -> tuple[bytes, Ranges]:
        """(What tells how the result has changed, perhaps nothing; messages that are in it and were never before)"""
        modseq = view.index.highest_modseq  # of now: a keyword may come into use while they are read
        keywords = (await view.texts()).keywords
        present = view.index.uid_set() & view.known
        doubtful = self._doubtful(view, present)
        first_new = self._seen + 1
        search = Search(session, view, self._args, keywords, among=doubtful)
        seen = view.known.last if view.known else self._seen
        places = await search.find()
        matching = Ranges.of_sorted([search.snapshot.uids[place] for place in places])
        members = ((self.members - doubtful) | matching) & present
        order = None
        if self._order is not None:
            order = [uid for uid in self._order if uid in members]
            if len(order) < len(members):
                order = await self._sorted(session, view, members, keywords)
                members = Ranges.of(order)
        new = members - self.members
        told = self._changed(view, members, order)
        # Only now, so that what could not be read is asked about once more.
        self._modseq, self._seen = modseq, max(seen, self._seen)
        return told, new & Ranges.between(first_new, seen) if seen >= first_new else EMPTY

    def _doubtful(self, view: View, present: Ranges) -> Ranges:
        """The messages that may match otherwise than before."""
        changed: list[tuple[int, int]] = []
        log = view.index.log
        if self._everything:
            return present
        for change in reversed(log):
            if change.modseq <= self._modseq:
                break
            changed.extend(change.flagged.pairs())
        else:
            if self._modseq != view.index.highest_modseq and (len(log) == log.maxlen or not log):
                return present  # the log does not reach back far enough
        if present and present.last > self._seen:
            changed.append((self._seen + 1, present.last))
        return Ranges(changed) & present

    async def _sorted(
        self, session: Session, view: View, members: Ranges, keywords: tuple[str, ...]
    ) -> list[int]:
        search = Search(session, view, self._args, keywords, among=members)
        places = await in_order(session, search, list(range(len(search.snapshot))), self._criteria)
        return [search.snapshot.uids[place] for place in places]

    # --- telling ----------------------------------------------------------------------------------------------

    def _changed(self, view: View, members: Ranges, order: list[int] | None) -> bytes:
        """Take the new result, and what tells of it: REMOVEFROM before ADDTO, by positions that hold one by one."""
        if self._order is None or order is None:
            pairs_lost = _anywhere(self._shown(view, self.members - members))
            pairs_won = _anywhere(self._shown(view, members - self.members))
        else:
            lost, won = self.members - members, members - self.members
            # From the last to the first, so that no position is moved by a pair before it.
            pairs_lost = [_pair(*run, self._number(view)) for run in reversed(_runs(self._order, lost))]
            pairs_won = [_pair(*run, self._number(view)) for run in _runs(order, won)]
            self._order = order
        self.members = members
        items = []
        if pairs_lost:
            items.append(b"REMOVEFROM (%b)" % b" ".join(pairs_lost))
        if pairs_won:
            items.append(b"ADDTO (%b)" % b" ".join(pairs_won))
        return b" ".join((self._head, *items)) + b"\r\n" if items else b""

    def _shown(self, view: View, uids: Ranges) -> Ranges:
        """RFC 5267 §4.3.2: UIDs or message numbers, as the command was given."""
        return uids if self._args.uid else view.numbers(uids)

    def _number(self, view: View) -> Callable[[int], int]:
        if self._args.uid:
            return int
        return lambda uid: view.known.rank(uid) or 0


def _anywhere(numbers: Ranges) -> list[bytes]:
    """RFC 5267 §4.3.3: of a result in the mailbox's order a position need not be said."""
    return [b"0 " + str(numbers).encode("ascii")] if numbers else []


def _runs(order: Sequence[int], which: Ranges) -> list[tuple[int, list[int]]]:
    """(position from 1, UIDs) of each run of neighbours in a sorted result that are all in a set."""
    found = [place for place, uid in enumerate(order) if uid in which]
    return [
        (places[0] + 1, [order[place] for place in places])
        for places in (
            [place for _, place in run]
            for _, run in groupby(enumerate(found), lambda each: each[1] - each[0])
        )
    ]


def _pair(position: int, uids: Sequence[int], number: Callable[[int], int]) -> bytes:
    return b"%d %b" % (position, ordered_set([number(uid) for uid in uids]))


# --- those of a session ---------------------------------------------------------------------------------------


class Contexts:
    """All that one session has in the selected mailbox, by tag."""

    __slots__ = ("by_tag",)

    def __init__(self) -> None:
        self.by_tag: dict[bytes, Context] = {}

    def behind(self, view: View) -> bool:
        """See `told.StandingResults`."""
        return any(context.behind(view) for context in self.by_tag.values())

    def leave(self, session: Session, view: View, gone: Ranges) -> None:
        """See `told.StandingResults`: RFC 5267 §4.3.4, before the expunge itself."""
        for context in self.by_tag.values():
            session.send(context.leave(view, gone))

    async def tell(self, session: Session, view: View) -> None:
        """See `told.StandingResults`."""
        for context in tuple(self.by_tag.values()):
            if not context.behind(view):
                continue
            told, new = await context.asked_again(session, view)
            if new and context.update.items:
                # RFC 5465 §7: FETCH stands between EXISTS and ESEARCH
                await _fetch(session, view, context.update, new)
            session.send(told)
            await give_way(session)


async def _fetch(session: Session, view: View, update: Update, uids: Ranges) -> None:
    fetch = Fetch(session, view, plan_of(update.items), await view.texts(), uids)
    try:
        await (fetch.run_and_mark_seen() if update.sets_seen and view.may("s") else fetch.run())
    except No:
        pass  # of these messages it cannot be told


def refuse_tag_reuse(session: Session) -> None:
    """Bad: under this tag a result is kept already (RFC 5267 §4.3)."""
    contexts = _of(session)
    if contexts is not None and session.tag in contexts.by_tag:
        raise Bad("The tag is that of a search whose result is kept up to date")


def begin_context(
    session: Session,
    search: Search,
    places: Places,
    criteria: Sequence[SortBy] = (),
    *,
    correlators: bytes = b"",
) -> None:
    """Keep the result, if that was asked for: the places in the order told. To be called before `$` is set."""
    view, args = session.view, search.args
    if args.update is None or view is None:
        return
    contexts = _of(session) or Contexts()
    tag = encode.string(session.tag)
    refusal = ""
    if len(contexts.by_tag) >= limits.IMAP_CONTEXTS:
        refusal = "Too many results are kept up to date"
    elif args.fuzzy:
        refusal = "What is only like the words is not kept up to date"
    elif criteria and len(places) > limits.IMAP_CONTEXT_SORTED:
        refusal = "So many messages are not kept in order"
    if refusal:
        # RFC 5267 §4.3.1: all else that was asked for is answered
        session.send(b"* NO [NOUPDATE %b] %b\r\n" % (tag, encode.text(refusal)))
        return
    words = [b"* ESEARCH (TAG %b%b)" % (tag, b" " + correlators if correlators else b"")]
    if args.uid:
        words.append(b"UID")
    found = [search.snapshot.uids[place] for place in places]
    contexts.by_tag[session.tag] = Context(search, view, found, criteria, b" ".join(words))
    view.contexts = contexts


def _of(session: Session) -> Contexts | None:
    contexts = session.view.contexts if session.view is not None else None
    return contexts if isinstance(contexts, Contexts) else None


# --- CANCELUPDATE ---------------------------------------------------------------------------------------------


def parse_cancel_update(reader: Reader, uid: bool) -> tuple[bytes, ...]:
    """`1*(SP quoted)`."""
    reader.sp()
    tags = [reader.quoted()]
    while reader.accept_sp():
        tags.append(reader.quoted())
    reader.end()
    return tuple(tags)


async def run_cancel_update(session: Session, tags: tuple[bytes, ...]) -> None:
    """Keep those results no more."""
    contexts = _of(session)
    kept = {} if contexts is None else contexts.by_tag
    unknown = [tag for tag in tags if kept.pop(tag, None) is None]
    if session.view is not None and not kept:
        session.view.contexts = None
    if unknown:
        raise No(b"", "No result is kept up to date under such a tag")


CANCELUPDATE: Final = Command(
    name=b"CANCELUPDATE",
    states=SELECTED,
    parse=parse_cancel_update,
    run=run_cancel_update,
    rfc="RFC 5267 §4.3.5",
)
ROWS: Final = (CANCELUPDATE,)
