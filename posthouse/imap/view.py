"""What one client has been told about the mailbox it selected, and what it must still be told.

The server's truth is the shared MailboxIndex; the client's is a set of UIDs (sequence numbers are positions
in it, so never stored), and a mod-sequence up to which flag changes were reported. `tell` closes the gap in
the order that RFC 9051 §7.4.1 and §7.5.1 need: expunges (unless they must wait), EXISTS, flags. Expunges
that wait stay in the set, so that every number the client uses means what the client thinks. An idle view
holds no more than that: the set is shared with all views that are up to date.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from posthouse import limits
from posthouse.imap import acl
from posthouse.imap.refusal import Bad, No
from posthouse.imap.rows import FlagTexts, Rows, batches, flag_lines, flags_response, rows_of
from posthouse.imap.sequence import SequenceSet
from posthouse.imap.told import Gap, Heeds, StandingResults, Told
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import Mailbox

if TYPE_CHECKING:
    from posthouse.imap.session import Session


class View:
    """A selected mailbox as one client knows it."""

    __slots__ = (
        "_end_watch",
        "_floor",
        "_keywords_told",
        "_own",
        "_texts",
        "contexts",
        "heeds",
        "held",
        "hold_expunges",
        "index",
        "known",
        "mailbox_name",
        "modseq",
        "on_change",
        "read_only",
        "saved",
        "store",
        "uid_next",
    )

    def __init__(self, store: Store, index: MailboxIndex, *, mailbox_name: str, read_only: bool) -> None:
        """A view that knows all that the index holds now: the caller reports it (SELECT)."""
        self.store = store
        self.index = index
        self.mailbox_name = mailbox_name
        self.read_only = read_only
        self.known = index.uid_set()
        self.uid_next = index.uid_next
        self.modseq = index.highest_modseq
        self.held = EMPTY
        """Gone from the mailbox, but the client was not told yet; part of `known`."""
        self.saved = EMPTY
        """UIDs of `$` (RFC 9051 §6.4.4.1); what vanished since is dropped when it is used."""
        self.contexts: StandingResults | None = None
        """Searches whose results are kept up to date; None, as for most: there are none."""
        self.heeds: Heeds | None = None
        """What NOTIFY says of it; None: everything is told."""
        self.hold_expunges = False
        """The command under way forbids expunges although its row allows them; cleared by `tell`."""
        self.on_change: Callable[[], None] | None = None
        """IDLE's wish to hear of every change."""
        self._own: tuple[Told, ...] = ()
        self._floor: int | None = None
        """The mod-sequence from which expunges are held back (RFC 7162 §3.2)."""
        self._texts: FlagTexts | None = None
        self._keywords_told = -1
        self._end_watch = index.watch(self._heard)

    def close(self) -> None:
        """Stop watching the mailbox."""
        self._end_watch()
        self.on_change = None

    def _heard(self) -> None:
        if self.on_change is not None:
            self.on_change()

    @property
    def rights(self) -> acl.Rights:
        """What the client may do here; of one's own mailbox everything."""
        return acl.ALL

    @property
    def in_doubt(self) -> bool:
        """Whether the rights may have changed since they were looked at; then `look` comes before anything else."""
        return False

    @property
    def lost(self) -> bool:
        """Whether nothing here is to be read any more."""
        return False

    async def look(self) -> None:
        """Look at the rights again."""

    def need(self, letters: str) -> None:
        """Raises No where the mailbox is open for reading only, or a right is missing (RFC 5530)."""
        if self.index.removed:
            raise No(b"NONEXISTENT", "No such mailbox")
        missing = [letter for letter in letters if letter not in self.rights]
        if missing:
            raise No(b"NOPERM", f"This needs the right {' and '.join(missing)}")
        if self.read_only and not acl.WRITES.isdisjoint(letters):
            raise No(b"READ-ONLY", "The mailbox is open for reading only")

    def may(self, letter: str) -> bool:
        """Whether the client may change something for which this right is needed."""
        return not self.read_only and letter in self.rights

    def rest(self) -> None:
        """Drop what can be had again, before a long IDLE."""
        self._texts = None

    def as_told(self, mailbox: Mailbox) -> Mailbox:
        """The mailbox's counts as far as the client was told of them."""
        total = len(self.known)
        if (mailbox.uid_next, mailbox.total) == (self.uid_next, total):
            return mailbox
        return msgspec.structs.replace(mailbox, uid_next=self.uid_next, total=total)

    # --- message sets -----------------------------------------------------------------------------------

    @property
    def highest_modseq(self) -> int:
        """The mod-sequence up to which the client knows everything (RFC 7162 §3.2)."""
        return self.modseq if self._floor is None else self._floor

    @property
    def count(self) -> int:
        """How many messages the client believes to be there."""
        return len(self.known)

    def select(self, messages: SequenceSet, *, uid: bool) -> Ranges:
        """The UIDs that a message set means, among those the client knows. Bad: a number that it cannot know."""
        known = self.known
        if messages.saved:
            return self.saved & known
        if uid:
            # RFC 9051 §6.4.9: UIDs that do not exist are ignored; §9: `*` in an empty mailbox is UIDNEXT.
            return messages.resolve(known.last if known else self.index.uid_next) & known
        wanted = messages.resolve(len(known))
        if not known or wanted.first < 1 or wanted.last > len(known):
            # RFC 9051 §9 seq-number: a number greater than the count is answered BAD, `*` in an empty mailbox too.
            raise Bad("No such message number")
        if len(wanted) == len(known):
            return known
        if wanted.run_count() == 1 and known.run_count() == 1:
            return Ranges.between(known.nth(wanted.first), known.nth(wanted.last))
        return Ranges((known.nth(first), known.nth(last)) for first, last in wanted.pairs()) & known

    def numbers(self, uids: Ranges) -> Ranges:
        """The message numbers of UIDs that the client knows."""
        known = self.known
        if uids == known:
            return Ranges(((1, len(known)),)) if known else EMPTY
        # runs of the set end where runs of `known` end at the latest, so numbers within one are consecutive
        return Ranges((known.rank(first) or 0, known.rank(last) or 0) for first, last in uids.pairs())

    def present(self, uids: Ranges) -> int:
        """How many of those messages are still in the mailbox."""
        present = self.index.uid_set()
        return len(uids) if uids is present else len(uids & present)

    def rows(self, uids: Ranges, size: int) -> Iterator[Rows]:
        """Batches of those messages, of what is still there."""
        return batches(self.index, self.known, uids, size)

    def rows_at(self, uids: Ranges, first: int, count: int) -> Rows:
        """One batch: `count` messages from the `first`-th (from 0) on, of what is still there."""
        return rows_of(self.index, self.known, uids, first, count)

    # --- flags --------------------------------------------------------------------------------------------

    async def texts(self) -> FlagTexts:
        """The names of the account's flags, current."""
        keywords = await self.store.keywords(self.index.account_id)
        if self._texts is None or len(self._texts.keywords) != len(keywords):
            self._texts = FlagTexts(keywords)
        return self._texts

    def flags_line(self, keywords: tuple[str, ...]) -> bytes:
        """`* FLAGS (…)` and PERMANENTFLAGS; notes what the client was told."""
        self._keywords_told = self._known_by(keywords)
        return flags_response(self._shown(keywords), acl.NONE if self.read_only else self.rights)

    def _shown(self, keywords: tuple[str, ...]) -> Sequence[str]:
        """Those of the account's keywords that the client may know of."""
        return keywords

    def _known_by(self, keywords: tuple[str, ...]) -> int:
        """A number that changes when there is another keyword to know of."""
        return len(keywords)

    def new_keywords(self, texts: FlagTexts) -> bytes:
        """Announces keywords that came into use since the client heard of them, or is empty."""
        if self._known_by(texts.keywords) == self._keywords_told:
            return b""
        return self.flags_line(texts.keywords)

    def told_flags(self, uids: Ranges) -> None:
        """The client has been told the flags of these messages as they are now."""
        self._own = (*self._own, Told(uids, 0, self.index.highest_modseq, True))

    def assumed_flags(self, uids: Ranges, *, since: int, until: int) -> None:
        """The client knows what its own silent change did, which came about between these mod-sequences.

        The engine may have cut it into several commits, each with a mod-sequence. A message that another session
        changed in between as well stands in two of them: of that one the client is told.
        """
        once = twice = EMPTY
        for change in reversed(self.index.log):
            if change.modseq <= since:
                break
            if change.modseq <= until:
                twice = twice | (once & change.flagged)
                once = once | change.flagged
        else:
            if self._made_all(uids, since, until):
                self._own = (*self._own, Told(uids, since + 1, until, True))
                return
        self._own = (*self._own, Told((uids & once) - twice, since + 1, until, False))

    def _made_all(self, uids: Ranges, since: int, until: int) -> bool:
        """Whether the messages show every mod-sequence between the two, so that no change of others is among them."""
        index = self.index
        found: set[int] = set()
        for rows in batches(index, index.uid_set(), uids & index.uid_set(), limits.IMAP_FLAG_ROWS):
            found.update(rows.column(index.modseqs))
        return (
            len(found) == until - since and min(found, default=0) > since and max(found, default=0) <= until
        )

    # --- telling --------------------------------------------------------------------------------------------

    def behind(self, expunges: bool) -> bool:
        """Whether there is something to tell; expunges count only when they may be told."""
        return self._lags(expunges)

    def _lags(self, expunges: bool) -> bool:
        if self.index.removed:
            return bool(self.known if expunges else self.known - self.held)
        if self.modseq != self.index.highest_modseq or (expunges and bool(self.held)):
            return True
        return self.contexts is not None and self.contexts.behind(self)

    async def tell(self, session: Session, expunges: bool) -> None:
        """Send what the client does not know yet: EXPUNGE or VANISHED (if it may), EXISTS, FETCH with flags."""
        expunges, self.hold_expunges = expunges and not self.hold_expunges, False
        if self.heeds is not None and not self.heeds.messages:
            self._tell_own(session, self.heeds, expunges)
            return
        while self._lags(expunges):
            texts = await self.texts()
            gap = self._gap()
            since, self.modseq, self._own = self.modseq, self.index.highest_modseq, ()
            vanished = gap.vanished | self.held
            if expunges:
                self._send_expunges(session, vanished)
            else:
                self._hold(vanished, since)
            self._send_exists(session)
            await self._send_flags(session, texts, gap.flagged - vanished)
            if self.contexts is not None:
                # RFC 5267 §4.3.3: numbers of new messages come after EXISTS; RFC 5465 §5.1: and flags before this.
                await self.contexts.tell(session, self)
        self._own = ()  # nothing that it could keep from being told is left
        if session.qresync and self._floor is not None:
            # RFC 7162 §3.2: while an expunge is held back, HIGHESTMODSEQ must stay below its mod-sequence.
            session.send(b"* OK [HIGHESTMODSEQ %d] Expunges are held back\r\n" % self._floor)

    def _tell_own(self, session: Session, heeds: Heeds, expunges: bool) -> None:
        """The client heeds nothing but what it expunged itself. What is new can be asked for, and all is told later."""
        self._own = ()
        if not self.index.removed:
            new = self.index.uids[bisect_left(self.index.uids, self.known.last + 1 if self.known else 1) :]
            self.known = self.known | Ranges.of_sorted(new)
        gone = heeds.own_gone & self.known
        if expunges and gone:
            heeds.own_gone = EMPTY
            held, floor = self.held - gone, self._floor
            self._send_expunges(session, gone)
            self.held, self._floor = held, floor if held else None

    def _gap(self) -> Gap:
        """What happened to the messages that the client knows, from the log, or by comparing when it is too short."""
        if self.index.removed:
            return Gap(EMPTY, self.known)
        flagged: list[tuple[int, int]] = []
        vanished: list[tuple[int, int]] = []
        log = self.index.log
        for change in reversed(log):
            if change.modseq <= self.modseq:
                break
            if change.flagged:
                flagged.extend(self._unreported(change.flagged, change.modseq).pairs())
            vanished.extend(change.vanished.pairs())
        else:
            if len(log) == log.maxlen or not log:
                return self._compare()
        return Gap(Ranges(flagged) & self.known, Ranges(vanished) & self.known)

    def _unreported(self, flagged: Ranges, modseq: int) -> Ranges:
        for told in self._own:
            if told.first <= modseq <= told.last:
                flagged = flagged - told.uids
        return flagged

    def _compare(self) -> Gap:
        """The log does not reach back far enough: compare every message's mod-sequence."""
        index, since = self.index, self.modseq
        stop = bisect_left(index.uids, self.uid_next)
        changed = Ranges.of_sorted(
            uid for uid, modseq in zip(index.uids[:stop], index.modseqs, strict=False) if modseq > since
        )
        for told in self._own:
            # A change by somebody else may hide behind our own: then it is reported again.
            if told.alone and told.first <= since + 1 and told.last == index.highest_modseq:
                changed = changed - told.uids
        return Gap(changed & self.known, self.known - index.uid_set())

    def _send_expunges(self, session: Session, vanished: Ranges) -> None:
        held, self.held = self.held, EMPTY
        floor, self._floor = self._floor, None
        if not vanished:
            return
        if self.contexts is not None:
            self.contexts.leave(session, self, vanished)
        before, self.known = self.known, self.known - vanished
        if session.qresync:
            # RFC 7162 §3.2.10: VANISHED instead of EXPUNGE once QRESYNC is enabled.
            session.send(b"* VANISHED %b\r\n" % str(vanished).encode("ascii"))
            if held and floor is not None:
                session.send(b"* OK [HIGHESTMODSEQ %d] Caught up\r\n" % self.modseq)
            return
        # From the last to the first, so that no number is changed by a line before it (RFC 9051 §7.5.1).
        for first, last in reversed(tuple(vanished.pairs())):
            low, high = before.rank(first) or 0, before.rank(last) or 0
            session.send(b"".join(map(b"* %d EXPUNGE\r\n".__mod__, range(high, low - 1, -1))))

    def _hold(self, vanished: Ranges, since: int) -> None:
        if vanished and self._floor is None:
            self._floor = since
        self.held = vanished

    def _send_exists(self, session: Session) -> None:
        index = self.index
        if index.removed or index.uid_next == self.uid_next:
            return
        new = index.uids[bisect_left(index.uids, self.uid_next) :]
        self.uid_next = index.uid_next
        if not new:
            return
        # With nothing held back the client knows all there is: share the one set of the index.
        self.known = self.known | Ranges.of_sorted(new) if self.held else index.uid_set()
        session.send(b"* %d EXISTS\r\n" % len(self.known))

    async def _send_flags(self, session: Session, texts: FlagTexts, flagged: Ranges) -> None:
        if not flagged or (self.heeds is not None and not self.heeds.flags):
            return
        session.send(self.new_keywords(texts))
        # RFC 9051 §7.5.2: unsolicited FETCH responses must include UID; RFC 7162 §3.2.4: and MODSEQ with CONDSTORE.
        # RFC 5465 §5.1: and with NOTIFY.
        uid = session.rev2 or session.condstore or self.heeds is not None
        for rows in self.rows(flagged, limits.IMAP_FLAG_ROWS):
            session.send(flag_lines(rows, self.index, texts, uid=uid, modseq=session.condstore))
            await give_way(session)


async def give_way(session: Session) -> None:
    """Between two pieces of a long answer: pass on what has gathered, and let other connections have a turn."""
    if session.full:
        await session.flush()
        await asyncio.sleep(0)
