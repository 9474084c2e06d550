"""A store under load in a process of its own, to be killed: it prints every promise it made, one JSON line each.

    python -m tests.store.killed FOLDER SEED

Tasks add messages of all sizes (also one content into two mailboxes, and staged ones), set flags, move, expunge,
replace and queue, at the same time. A line is written only after the store answered, so whoever reads it may rely
on it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store.interface import (
    AddAccount,
    AddEmail,
    Enqueue,
    Expunge,
    MoveEmails,
    PutDomain,
    RecordEvents,
    SetFlags,
)
from posthouse.store.memory import indexes
from posthouse.store.model import Content, Domain, Event, NewQueued, NewRecipient
from posthouse.store.sqlite import SqliteStore, compaction
from tests.store.conftest import derive

SIZES = (100, 3_000, 15_000, 40_000, 200_000)
ADDRESS = "ann@example.test"


def body(name: str, size: int) -> bytes:
    """A message that can be recognised, and checked octet for octet, by its name and size."""
    head = f"Subject: {name}\r\nX-Size: {size}\r\n\r\n".encode()
    return head + (name.encode() * (size // len(name) + 1))[:size]


def promise(kind: str, **facts: Any) -> None:
    os.write(1, json.dumps({"kind": kind, **facts}).encode() + b"\n")


class Load:
    """The tasks."""

    def __init__(self, store: SqliteStore, account_id: int, boxes: dict[str, int], seed: int) -> None:
        self.store = store
        self.account_id = account_id
        self.boxes = boxes
        self.random = random.Random(seed)
        self.mine: dict[str, int] = {}
        """Messages in INBOX that only one task touches any more: name to UID."""
        self.number = 0

    def name(self) -> str:
        self.number += 1
        return f"m-{os.getpid()}-{self.number}"

    def add_op(self, content: Content, box: str) -> AddEmail:
        return AddEmail(
            account_id=self.account_id,
            mailbox_id=self.boxes[box],
            content=content,
            prefix=b"Delivered-To: ann\r\n",
            received_at=1_800_000_000,
        )

    async def add(self) -> None:
        name, size = self.name(), self.random.choice(SIZES)
        promise("asked", name=name, size=size)
        content = Content.of(body(name, size))
        if self.random.random() < 0.1:
            content = await self.staged(name, size)
        event = Event(trace_id=name, at=1.0, kind="stored", address=ADDRESS, detail="-")
        ops: list[Any] = [self.add_op(content, "INBOX"), RecordEvents(events=(event,))]
        twice = self.random.random() < 0.2
        if twice:
            ops.append(self.add_op(content, "Archive"))
        added = await self.store.commit(*ops)
        promise("added", name=name, size=size, uid=added[0].uid, twice=twice)
        self.mine[name] = added[0].uid

    async def staged(self, name: str, size: int) -> Content:
        staging = self.store.stage()
        raw = body(name, size)
        for start in range(0, len(raw), 10_000):
            await staging.write(raw[start : start + 10_000])
        return await staging.finish()

    async def touch(self) -> None:
        if len(self.mine) < 5:
            return await self.add()
        name = self.random.choice(list(self.mine))
        uid = self.mine.pop(name)
        one: dict[str, Any] = {"account_id": self.account_id, "uids": Ranges([(uid, uid)])}
        what = self.random.random()
        if what < 0.6:
            promise("flagging", name=name)
            await self.store.apply(
                SetFlags(
                    mailbox_id=self.boxes["INBOX"],
                    action="add",
                    flags=frozenset({"\\Flagged", "kept"}),
                    **one,
                )
            )
            promise("flagged", name=name)
        elif what < 0.8:
            promise("moving", name=name)
            await self.store.apply(
                MoveEmails(source_id=self.boxes["INBOX"], target_id=self.boxes["Trash"], **one)
            )
            promise("moved", name=name)
        elif what < 0.9:
            await self.replace(name, uid)
        else:
            promise("removing", name=name)
            await self.store.apply(Expunge(mailbox_id=self.boxes["INBOX"], force=True, **one))
            promise("removed", name=name)
        return None

    async def replace(self, old: str, uid: int) -> None:
        """Another message for one in INBOX."""
        name, size = self.name(), self.random.choice(SIZES)
        promise("asked", name=name, size=size)
        promise("replacing", name=old, by=name)
        gone = Expunge(
            account_id=self.account_id,
            mailbox_id=self.boxes["INBOX"],
            uids=Ranges([(uid, uid)]),
            force=True,
            complete=True,
        )
        event = Event(trace_id=name, at=1.0, kind="stored", address=ADDRESS, detail="-")
        add = self.add_op(Content.of(body(name, size)), "INBOX")
        _, added, _ = await self.store.commit(gone, add, RecordEvents(events=(event,)))
        promise("added", name=name, size=size, uid=added.uid, twice=False)
        promise("replaced", name=old)
        self.mine[name] = added.uid

    async def enqueue(self) -> None:
        name = self.name()
        promise("asked", name=name, size=500)
        message = NewQueued(
            trace_id=name,
            reverse_path=ADDRESS,
            recipients=(NewRecipient(address="x@far.test", next_attempt_at=9e9),),
            created_at=1.0,
        )
        await self.store.apply(Enqueue(message=message, content=Content.of(body(name, 500))))
        promise("queued", name=name)

    async def task(self) -> None:
        while True:
            work = self.random.choice((self.add, self.add, self.touch, self.touch, self.enqueue))
            await work()


def shrink_limits(seed: int) -> None:
    """Make everything that happens seldom happen often."""
    for name, value in {
        "SEGMENT_OCTETS": 1_000_000,
        "WAL_OCTETS": 500_000,
        "WAL_OCTETS_FORCED": 2_000_000,
        "UNSAVED_ADDS": 20,
        "INDEX_CHANGES_UNSAVED": 20,
        "STAGE_MEMORY": 20_000,
        "COMPRESS_AFTER": -1.0,
        "SWEEP_BATCH": 20,
        "FLAGS_LOGGED": 1 + seed % 2,  # every flag change of one message is logged, or none is
    }.items():
        setattr(limits, name, value)
    indexes.SMALL = 0
    compaction.LOOK_SECONDS = 0.05  # type: ignore[misc]


async def main(folder: Path, seed: int) -> None:
    shrink_limits(seed)
    store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
    account = await store.account(ADDRESS)
    if account is None:
        await store.apply(PutDomain(domain=Domain(name="example.test")))
        account = await store.apply(AddAccount(address=ADDRESS, password="", created_at=1))
    boxes = {box.name: box.mailbox_id for box in await store.mailboxes(account.account_id)}
    await store.index(account.account_id, boxes["INBOX"])
    load = Load(store, account.account_id, boxes, seed)
    promise("ready")
    await asyncio.gather(*(load.task() for _ in range(12)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
