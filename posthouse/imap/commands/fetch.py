r"""FETCH and UID FETCH (RFC 9051 §6.4.5; RFC 7162 §3.1.4, §3.2.6; RFC 9394 §3.3).

The set is walked in batches: taken from the mailbox's arrays, read, rendered by the command's plan and sent, with the
next batch's reading under way while this one is written. A large message is a batch of its own and streams by
offsets. `\Seen` is one commit after the reads; the same response tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.imap.acl import SEEN as SEEN_RIGHT
from posthouse.imap.commands.row import SELECTED, Bad, Command, No
from posthouse.imap.commands.select import changed_since
from posthouse.imap.fetch_args import Attribute, FetchArgs, Item, parse_fetch
from posthouse.imap.fetch_large import send_large
from posthouse.imap.fetch_plan import Batch, Plan, fill, plan_of
from posthouse.imap.flag_rights import Change, set_flags
from posthouse.imap.partial_range import PartialRange
from posthouse.imap.rows import FlagTexts, flag_lines
from posthouse.imap.session import Session
from posthouse.imap.view import View, give_way
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import FlagsSet
from posthouse.store.model import SEEN


async def run_fetch(session: Session, args: FetchArgs) -> None:
    """Send what is asked for of each message."""
    view = session.view
    assert view is not None
    if args.vanished and not session.qresync:
        # RFC 7162 §3.2.6: the VANISHED modifier needs QRESYNC enabled.
        raise Bad("ENABLE QRESYNC comes first")
    if Attribute.MODSEQ in args.items:
        session.enable_condstore()
    uids = view.select(args.messages, uid=args.uid)
    if args.partial is not None:
        # RFC 9394 §3.3, §3.4: first the part of what is there, then what of it has changed.
        uids = _part(uids & view.index.uid_set(), args.partial)
    if args.vanished and args.changed_since is not None:
        await _send_vanished(session, view, args, args.changed_since)
    if args.changed_since is not None:
        uids = uids & changed_since(view.index, args.changed_since)
    if uids:
        texts = await view.texts()
        if Attribute.FLAGS in args.items:
            session.send(view.new_keywords(texts))
        fetch = Fetch(session, view, plan_of(args.items), texts, uids)
        await (fetch.run_and_mark_seen() if args.sets_seen and view.may(SEEN_RIGHT) else fetch.run())
        if not args.uid and fetch.count < len(uids):
            # RFC 2180 §4.1.2: what is there was sent; the rest has been expunged by others.
            raise No(b"EXPUNGEISSUED", "Some of the messages no longer exist")


def _part(uids: Ranges, wanted: PartialRange) -> Ranges:
    part = wanted.among(len(uids))
    if part.start >= part.stop:
        return EMPTY
    return uids & Ranges.between(uids.nth(part.start + 1), uids.nth(part.stop))


async def _send_vanished(session: Session, view: View, args: FetchArgs, since: int) -> None:
    """RFC 7162 §3.2.6: what of the set asked for has vanished, before any FETCH response."""
    index = view.index
    if index.removed:
        return
    vanished = await session.store.vanished_since(index.account_id, index.mailbox_id, since)
    asked = view.saved if args.messages.saved else args.messages.resolve(max(view.uid_next - 1, 1))
    # What this client still believes to be there is told by VANISHED without EARLIER.
    vanished = (vanished & asked) - view.known
    if vanished:
        session.send(b"* VANISHED (EARLIER) %b\r\n" % str(vanished).encode("ascii"))


class Fetch:
    """One FETCH under way."""

    __slots__ = ("_plan", "_session", "_texts", "_uids", "_view", "count")

    def __init__(self, session: Session, view: View, plan: Plan, texts: FlagTexts, uids: Ranges) -> None:
        self._session = session
        self._view = view
        self._plan = plan
        self._texts = texts
        self._uids = uids
        self.count = 0
        """Messages answered."""

    async def run(self) -> None:
        """All batches, without touching a flag."""
        async with aclosing(self._filled()) as filled:
            async for batch in filled:
                await self._send(batch)

    async def run_and_mark_seen(self) -> None:
        r"""All batches, and `\Seen` for those that lack it."""
        if len(self._uids) <= limits.IMAP_FETCH_ROWS:
            takes = list(self._takes())
            if len(takes) == 1 and not self._is_large(takes[0]):
                await self._run_one(takes[0])
                return
        unseen: list[int] = []
        async with aclosing(self._filled()) as filled:
            async for batch in filled:
                unseen.extend(_unseen(batch))
                await self._send(batch)
        if unseen:
            await self._tell_seen(Ranges.of(unseen))

    async def _run_one(self, take: Batch) -> None:
        """The usual case, a message opened: read it, commit `\\Seen`, and answer with the flags as they are now."""
        batch = await self._fill(take)
        unseen = _unseen(batch)
        plan = self._plan
        result = await self._mark_seen(Ranges.of(unseen)) if unseen else None
        if result is not None and result.changed:
            # By now the flags may have a keyword that was new meanwhile.
            batch.texts = await self._view.texts()
            self._refresh(batch)
            self._session.send(self._view.new_keywords(batch.texts))
            plan = plan_of(self._items_with_flags())
            self._view.told_flags(Ranges.of(batch.uids))
        self._session.send(plan.render(batch))
        self.count += len(batch)

    def _items_with_flags(self) -> tuple[Item, ...]:
        """RFC 9051 §6.4.5: changed flags should be in the response; RFC 7162 §3.2.4: with UID and MODSEQ then."""
        wanted = [Attribute.FLAGS]
        if self._session.condstore:
            wanted = [Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ]
        items = self._plan.items
        return (*(item for item in wanted if item not in items), *items)

    def _refresh(self, batch: Batch) -> None:
        """The flags and mod-sequences as they are after the commit."""
        index = self._view.index
        positions = [index.position(uid) for uid in batch.uids]
        batch.flags = [
            old if place is None else index.flags[place]
            for place, old in zip(positions, batch.flags, strict=True)
        ]
        batch.modseqs = [
            old if place is None else index.modseqs[place]
            for place, old in zip(positions, batch.modseqs, strict=True)
        ]

    async def _mark_seen(self, uids: Ranges) -> FlagsSet | None:
        view, change = self._view, Change(action="add", flags=frozenset({"\\Seen"}))
        try:
            return await set_flags(view, self._session.account_id, uids, change)
        except (Temporary, No):
            # A full disk must not keep anybody from reading: the message stays unseen, and nothing else is said.
            # RFC 4314 §4: nor must it be set without the right to it.
            return None

    async def _tell_seen(self, uids: Ranges) -> None:
        session, view = self._session, self._view
        result = await self._mark_seen(uids)
        if result is None:
            return
        changed = result.changed & view.known
        view.told_flags(changed)
        texts = await view.texts()
        uid = session.rev2 or session.condstore or Attribute.UID in self._plan.items
        for rows in view.rows(changed, limits.IMAP_FLAG_ROWS):
            session.send(flag_lines(rows, view.index, texts, uid=uid, modseq=session.condstore))
            await give_way(session)

    # --- batches ------------------------------------------------------------------------------------------

    async def _send(self, batch: Batch) -> None:
        if self._is_large(batch):
            self.count += await send_large(self._session, self._view.index.account_id, self._plan, batch)
        else:
            self._session.send(self._plan.render(batch))
            self.count += len(batch)
        await give_way(self._session)

    def _is_large(self, batch: Batch) -> bool:
        return self._plan.needs.raw and len(batch) == 1 and batch.sizes[0] > self._whole_limit

    @property
    def _whole_limit(self) -> int:
        """Octets up to which messages are read whole; of larger ones only what is asked for."""
        return limits.IMAP_WHOLE_FOR_HEADER if self._plan.needs.header_only else limits.IMAP_WHOLE

    def _takes(self) -> Iterator[Batch]:
        """The batches with their arrays' columns, each taken when it is asked for."""
        view, utf8 = self._view, self._session.utf8
        for rows in view.rows(self._uids, self._rows_at_once):
            batch = Batch(rows, view.index, self._texts, utf8=utf8)
            if not self._plan.needs.raw:
                yield batch
            else:
                yield from self._by_octets(batch)

    @property
    def _rows_at_once(self) -> int:
        needs = self._plan.needs
        reads = needs.reads
        return limits.IMAP_FETCH_ROWS if reads else limits.IMAP_FLAG_ROWS

    def _by_octets(self, batch: Batch) -> Iterator[Batch]:
        """Parts of a batch that hold few enough octets; a large message stands alone."""
        first = octets = 0
        limit = self._whole_limit
        for place, size in enumerate(batch.sizes):
            if place > first and (octets + size > limits.IMAP_FETCH_BYTES or size > limit):
                yield batch.part(first, place)
                first, octets = place, 0
            octets += size
            if size > limit:
                yield batch.part(place, place + 1)
                first, octets = place + 1, 0
        if first < len(batch):
            yield batch.part(first, len(batch))

    async def _fill(self, batch: Batch) -> Batch:
        needs = self._plan.needs
        if self._is_large(batch):
            fields = tuple(dict.fromkeys((*needs.fields, "parts")))
            needs = msgspec.structs.replace(needs, raw=False, parts=True, fields=fields)
        if not needs.reads:
            return batch
        return await fill(batch, needs, self._session.store, self._view.index.account_id)

    async def _filled(self) -> AsyncGenerator[Batch, None]:
        """All batches, read; the next one is being read while one is written."""
        needs = self._plan.needs
        if not needs.reads:
            for batch in self._takes():
                yield batch
            return
        takes = self._takes()
        ahead: asyncio.Task[Batch] | None = None
        try:
            take = next(takes, None)
            while take is not None and not self._view.lost:
                batch = await (ahead if ahead is not None else self._fill(take))
                ahead = None
                take = next(takes, None)
                if take is not None:
                    ahead = asyncio.get_running_loop().create_task(self._fill(take))
                yield batch
        finally:
            if ahead is not None:
                ahead.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await ahead


def _unseen(batch: Batch) -> list[int]:
    return [uid for uid, flags in zip(batch.uids, batch.flags, strict=True) if not flags & SEEN]


FETCH: Final = Command(
    name=b"FETCH",
    states=SELECTED,
    parse=parse_fetch,
    run=run_fetch,
    uid=True,
    expunges=False,
    capabilities=(b"BINARY", b"PREVIEW", b"SAVEDATE"),
    rfc="RFC 9051 §6.4.5",
)
ROWS: Final = (FETCH,)
