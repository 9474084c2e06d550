"""The mailbox indexes in memory: loaded on demand, kept live by the writer's changes, dropped when nobody looks.

While an index is being loaded the changes for it wait, and those newer than what was read are applied; so there is
no moment at which a change is missed or applied twice. Watched indexes stay; others are dropped, least recently used
first, above INDEX_OCTETS. What has changed much, or is dropped, is packed into its snapshot off the hot path.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from posthouse import limits
from posthouse.errors import NotFound, PosthouseError, StoreUnavailable
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.mailbox_index import OCTETS_PER_MESSAGE, IndexChange, MailboxIndex
from posthouse.store.memory.changes import Appended, Flagged, Vanished
from posthouse.store.memory.missed import Missed, take_over
from posthouse.store.memory.packed import Packed, pack

Key = tuple[int, int]
MailChange = Appended | Flagged | Vanished
LoadIndex = Callable[[int, int], Awaitable[MailboxIndex | None]]
"""Read a mailbox's index from the database; None when there is no such mailbox."""
CatchUp = Callable[[MailboxIndex], Awaitable[Missed]]
"""Read what an index has missed."""
SavePacked = Callable[[Packed], None]
"""Write a snapshot, some time."""


class MailboxIndexes:
    """All indexes in memory. Event loop's thread only."""

    def __init__(
        self,
        load: LoadIndex,
        save: SavePacked,
        octets: int = limits.INDEX_OCTETS,
        catch_up: CatchUp | None = None,
    ) -> None:
        """`catch_up`: other nodes change mailboxes too; None: only our own writer does."""
        self._read = load
        self._catch_up = catch_up
        self._behind: dict[Key, int] = {}
        """The mod-sequence that an index must come to, where other nodes have changed the mailbox."""
        self._catching: dict[Key, asyncio.Task[None]] = {}
        self._save = save
        self._limit = octets
        self._indexes: OrderedDict[Key, MailboxIndex] = OrderedDict()
        self._alive: WeakValueDictionary[Key, MailboxIndex] = WeakValueDictionary()
        """Also those dropped here that a session still holds: they are kept live as long."""
        self._octets = 0
        """Of `_indexes`, about: counted exactly when it exceeds the limit."""
        self._loading: dict[Key, asyncio.Task[MailboxIndex]] = {}
        self._missed: dict[Key, list[MailChange]] = {}
        self._gone: set[Key] = set()
        self._unsaved: dict[Key, int] = {}

    async def get(self, account_id: int, mailbox_id: int) -> MailboxIndex:
        """The shared index, with everything that was heard of other nodes by now. NotFound, StoreUnavailable."""
        key = (account_id, mailbox_id)
        index = self._alive.get(key)
        if index is None:
            task = self._loading.get(key)
            if task is None:
                self._missed[key] = []
                task = self._loading[key] = asyncio.create_task(self._load(key))
            index = await asyncio.shield(task)
        if key in self._catching:
            await self._caught_up(key, index)
        if not index.removed:
            self._keep(key, index)
        return index

    async def _load(self, key: Key) -> MailboxIndex:
        try:
            index = await self._read(*key)
            if index is None or key in self._gone:
                raise NotFound("There is no such mailbox.")
            self._alive[key] = index
            for change in self._missed[key]:
                if self._in_order(key, index, change):
                    self._change(index, change)
            if self._behind.get(key, 0) > index.highest_modseq:
                self.behind(*key, self._behind[key])
            if not index.from_snapshot:
                self._unsaved[key] = 1
                if len(index) >= LARGE:
                    self._save_one(key, index)  # reading it so again after a crash would be slow
            return index
        finally:
            del self._loading[key]
            del self._missed[key]
            self._gone.discard(key)

    # --- what commits did ----------------------------------------------------------------------------

    def apply(self, change: MailChange) -> MailboxIndex | None:
        """Bring an index up to date; it, when its watchers are to be told."""
        key = (change.account_id, change.mailbox_id)
        index = self._alive.get(key)
        if index is None:
            if key in self._missed:
                self._missed[key].append(change)
            return None
        if not self._in_order(key, index, change):
            return None
        self._change(index, change)
        if isinstance(change, Appended):
            self._octets += OCTETS_PER_MESSAGE * len(change.rows.uids)
        self._count(key, index)
        return index

    def _in_order(self, key: Key, index: MailboxIndex, change: MailChange) -> bool:
        """Whether a change is the next one of this index: not loaded with it, and no other's is missing before it."""
        if change.modseq <= index.highest_modseq:
            return False
        if self._catch_up is not None and (key in self._behind or change.after > index.highest_modseq):
            self.behind(*key, change.modseq)
            return False
        return True

    def _change(self, index: MailboxIndex, change: MailChange) -> None:
        added = flagged = vanished = EMPTY
        if isinstance(change, Appended):
            # A reader sees a batch whole or not at all, so never only a part of these rows is new.
            rows = change.rows
            index.append(rows)
            added = Ranges.between(rows.uids[0], rows.uids[-1])
        elif isinstance(change, Flagged):
            index.change_flags(change.uids, change.keep, change.add, change.modseq)
            flagged = change.uids
        else:
            index.remove(change.uids)
            vanished = change.uids
        index.note(IndexChange(modseq=change.modseq, added=added, flagged=flagged, vanished=vanished))

    def remove(self, account_id: int, mailbox_id: int) -> MailboxIndex | None:
        """The mailbox was deleted; its index, when its watchers are to be told."""
        key = (account_id, mailbox_id)
        if key in self._loading:
            self._gone.add(key)
        self._indexes.pop(key, None)
        index = self._alive.pop(key, None)
        self._unsaved.pop(key, None)
        if index is not None:
            index.removed = True
        return index

    # --- what other nodes did ------------------------------------------------------------------------

    def behind(self, account_id: int, mailbox_id: int, modseq: int) -> None:
        """The mailbox has come to a mod-sequence: read what its index has missed, if it is in memory."""
        key = (account_id, mailbox_id)
        index = self._alive.get(key)
        if self._catch_up is None or (index is None and key not in self._loading):
            return
        if index is not None and modseq <= index.highest_modseq:
            return
        self._behind[key] = max(modseq, self._behind.get(key, 0))
        if index is not None and key not in self._catching:
            self._catching[key] = asyncio.create_task(self._come_up(key))

    def coming_up(self, account_id: int, mailbox_id: int) -> asyncio.Task[None] | None:
        """The reading that is under way for an index."""
        return self._catching.get((account_id, mailbox_id))

    async def _caught_up(self, key: Key, index: MailboxIndex) -> None:
        """Wait for what was heard of by now: who knows an account's state from its row must not see an older index.

        And not for what is heard of meanwhile: in a mailbox that always gets mail the reading never ends.
        """
        wanted, task, come = self._behind[key], self._catching[key], asyncio.Event()

        def look() -> None:
            if index.highest_modseq >= wanted or index.removed:
                come.set()

        end_watch = index.watch(look)
        task.add_done_callback(lambda _: come.set())
        look()
        try:
            async with asyncio.timeout(limits.DATABASE_TIMEOUT):
                await come.wait()
        except TimeoutError:
            raise StoreUnavailable(
                "What other nodes did with the mailbox cannot be read at the moment."
            ) from None
        finally:
            end_watch()
        if index.removed:
            raise NotFound("There is no such mailbox.")

    async def _come_up(self, key: Key) -> None:
        assert self._catch_up is not None
        try:
            while True:
                index, wanted = self._alive.get(key), self._behind[key]
                if index is None or index.highest_modseq >= wanted:
                    return
                try:
                    missed = await self._catch_up(index)
                except PosthouseError:  # the database is away: nobody can change anything either
                    await asyncio.sleep(limits.DATABASE_RETRY)
                    continue
                if missed.gone:
                    self.remove(*key)
                else:
                    self._take_over(key, index, missed)
                    if (
                        self._behind[key] == wanted
                    ):  # else more was heard of meanwhile, which may not be read yet
                        self._behind[key] = min(wanted, missed.modseq)
                index.tell()
        finally:
            del self._catching[key]
            del self._behind[key]

    def _take_over(self, key: Key, index: MailboxIndex, missed: Missed) -> None:
        if missed.modseq <= index.highest_modseq:
            return
        added, flagged, vanished = take_over(index, missed)
        index.uid_next = max(index.uid_next, missed.uid_next)
        self._octets += OCTETS_PER_MESSAGE * len(added)
        index.note(IndexChange(modseq=missed.modseq, added=added, flagged=flagged, vanished=vanished))
        self._count(key, index)

    def alive(self) -> list[MailboxIndex]:
        """All indexes in memory."""
        return list(self._alive.values())

    # --- snapshots and memory ------------------------------------------------------------------------

    def _count(self, key: Key, index: MailboxIndex) -> None:
        unsaved = self._unsaved.get(key, 0) + 1
        self._unsaved[key] = unsaved
        # A large index is packed after more changes: the work stays a small part of what they cost themselves.
        if unsaved >= limits.INDEX_CHANGES_UNSAVED + len(index) // 50:
            self._save_one(key, index)

    def _save_one(self, key: Key, index: MailboxIndex) -> None:
        self._unsaved.pop(key, None)
        if len(index) >= SMALL:
            self._save(pack(index))

    def _keep(self, key: Key, index: MailboxIndex) -> None:
        if key in self._indexes:
            self._indexes.move_to_end(key)
            return
        self._indexes[key] = index
        self._octets += index.octets
        if self._octets > self._limit or len(self._indexes) > limits.INDEXES:
            self._shrink()

    def _shrink(self) -> None:
        self._octets = sum(index.octets for index in self._indexes.values())
        newest = next(reversed(self._indexes))
        for key in list(self._indexes):
            if self._octets <= self._limit and len(self._indexes) <= limits.INDEXES:
                return
            index = self._indexes[key]
            if index.watched or key == newest:
                continue
            del self._indexes[key]
            self._octets -= index.octets
            if key in self._unsaved:
                self._save_one(key, index)

    def save_all(self) -> None:
        """Pack everything that has changed (closing)."""
        for key in list(self._unsaved):
            index = self._alive.get(key)
            if index is not None:
                self._save_one(key, index)


LARGE = 5_000
"""Indexes of so many messages get a snapshot at once."""
SMALL = 500
"""Indexes of fewer messages are read from the placements about as fast as from a snapshot."""
