"""A store whose mail leaves by itself, in a process of its own, to be killed: one JSON line for each promise.

    python -m tests.store.retention_killed FOLDER SEED

Messages come into a mailbox that keeps mail for a day, some are flagged, days go by, and what is old is removed piece
by piece while more comes in. Time goes on from one life (SEED) to the next.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

from posthouse import limits
from posthouse.config import Store as StoreSettings
from posthouse.operations.retaining import Retaining
from posthouse.ranges import Ranges
from posthouse.store.interface import AddAccount, AddEmail, CreateMailbox, PutDomain, SetFlags
from posthouse.store.model import Content, Domain
from posthouse.store.retention import DAY, OldRemoved, RemoveOld, SetRetention
from posthouse.store.sqlite import SqliteStore
from tests.store.conftest import derive
from tests.store.killed import ADDRESS, body, promise, shrink_limits

NEWS = "News"
BEGIN = 1_800_000_000
LIFE = 300 * DAY
"""More days than go by in one life."""
PIECE = 5
AT_ONCE = 200
SIZES = (100, 3_000, 15_000, 40_000)


class Clock:
    """What the store goes by."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Telling:
    """The store, which tells of every piece of a removal."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.aging = store.aging

    async def apply(self, op: RemoveOld) -> OldRemoved:
        removed = await self.store.apply(op)
        if removed.messages:
            promise("piece")
        return removed


class Load:
    """The tasks."""

    def __init__(self, store: SqliteStore, clock: Clock, account_id: int, mailbox_id: int, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.box = {"account_id": account_id, "mailbox_id": mailbox_id}
        self.random = random.Random(seed)
        self.seed = seed
        self.number = 0
        self.there: set[str] = set()
        """Added and not flagged."""

    async def add(self) -> None:
        self.number += 1
        name, size = f"n-{self.seed}-{self.number}", self.random.choice(SIZES)
        promise("asked", name=name, size=size)
        content = Content.of(body(name, size))
        added = await self.store.apply(
            AddEmail(content=content, prefix=b"Delivered-To: ann\r\n", received_at=1_800_000_000, **self.box)
        )
        promise("added", name=name, size=size, uid=added.uid, email=added.email_id, twice=False)
        if self.random.random() < 0.1:
            promise("starring", name=name)
            one = Ranges([(added.uid, added.uid)])
            await self.store.apply(
                SetFlags(uids=one, action="add", flags=frozenset({"\\Flagged"}), **self.box)
            )
            promise("starred", name=name)
        else:
            self.there.add(name)

    async def more(self) -> None:
        """Young mail, all the time."""
        while True:
            await self.add()
            await asyncio.sleep(0.005)

    async def days(self) -> None:
        """Many come; two days later they are old."""
        telling: Any = Telling(self.store)
        retaining = Retaining(telling, StoreSettings, self.clock)
        while True:
            await asyncio.gather(*(self.add() for _ in range(AT_ONCE)))
            due = sorted(self.there)
            self.clock.at += 2 * DAY
            promise("due", names=due)
            await retaining.round()
            self.there -= set(due)
            for name in due:
                promise("left", name=name)


async def main(folder: Path, seed: int) -> None:
    shrink_limits(seed)
    limits.PIECE_ROWS = PIECE  # type: ignore[misc]
    clock = Clock(BEGIN + seed * LIFE)
    store = await SqliteStore.open(
        folder / "mail.db", folder / "blobs", derive=derive, keep_deleted=True, now=clock
    )
    account = await store.account(ADDRESS)
    if account is None:
        await store.apply(PutDomain(domain=Domain(name="example.test")))
        account = await store.apply(AddAccount(address=ADDRESS, password="", created_at=1))
        box = await store.apply(CreateMailbox(account_id=account.account_id, name=NEWS))
        await store.apply(SetRetention(account_id=account.account_id, mailbox_id=box.mailbox_id, days=1))
    news = await store.mailbox(account.account_id, NEWS)
    assert news is not None
    load = Load(store, clock, account.account_id, news.mailbox_id, seed)
    await Retaining(store, StoreSettings, clock).round()  # what the life before left
    promise("ready")
    await asyncio.gather(load.days(), load.more())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
