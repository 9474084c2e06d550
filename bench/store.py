"""The embedded store alone: commits by size and concurrency, changes to large mailboxes, reading.

    python bench/store.py [commits] [accounts] [mailbox]

Each figure is one run in a fresh folder below the working directory (so that it is a real disk).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from posthouse.ranges import Ranges
from posthouse.store.interface import (
    AddAccount,
    AddEmail,
    CopyEmails,
    Expunge,
    MoveEmails,
    PutDomain,
    SetFlags,
)
from posthouse.store.model import Content, Derived, Domain
from posthouse.store.sqlite import SqliteStore

TEXTS = Derived(
    envelope=b"e" * 250, body_structure=b"b" * 180, parts=b"p" * 100, preview="v" * 150, sent_at=1
)
Boxes = list[tuple[int, int]]


class House:
    """A store with some accounts, in a folder that goes away."""

    def __init__(self, accounts: int) -> None:
        self.accounts = accounts
        self.folder = Path(tempfile.mkdtemp(prefix="bench-store-", dir="."))

    async def __aenter__(self) -> tuple[SqliteStore, Boxes]:
        self.store = await self.open()
        await self.store.apply(PutDomain(domain=Domain(name="bench.test"), new=True))
        adds = [
            AddAccount(address=f"u{i}@bench.test", password="", created_at=1) for i in range(self.accounts)
        ]
        made = await asyncio.gather(*(self.store.apply(op) for op in adds))
        boxes = []
        for account in made:
            inbox = await self.store.mailbox(account.account_id, "INBOX")
            assert inbox is not None
            boxes.append((account.account_id, inbox.mailbox_id))
        return self.store, boxes

    async def open(self) -> SqliteStore:
        return await SqliteStore.open(self.folder / "mail.db", self.folder / "blobs", derive=lambda *_: TEXTS)

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()
        shutil.rmtree(self.folder)


async def deliver(store: SqliteStore, boxes: Boxes, count: int, tasks: int, size: int) -> None:
    """Commits of one message each."""
    noise = os.urandom(size - 8)
    numbers = iter(range(count))
    waits: list[float] = []

    async def one() -> None:
        for i in numbers:
            account_id, mailbox_id = boxes[i * 7919 % len(boxes)]
            content = Content.of(noise + i.to_bytes(8, "big"))
            start = time.perf_counter()
            await store.apply(
                AddEmail(
                    account_id=account_id,
                    mailbox_id=mailbox_id,
                    content=content,
                    prefix=b"p" * 180,
                    received_at=1_700_000_000,
                )
            )
            waits.append(time.perf_counter() - start)

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one() for _ in range(tasks)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    waits.sort()
    print(
        f"{size:>9,} octets {tasks:>3} at once {len(boxes):>5} accounts: {count / seconds:>8,.0f}/s"
        f"  p50 {waits[count // 2] * 1e3:.2f} ms  p99 {waits[count * 99 // 100] * 1e3:.2f} ms"
        f"  cpu {cpu / count * 1e6:.0f} us",
        flush=True,
    )


async def commits() -> None:
    async with House(10) as (store, boxes):
        await deliver(store, boxes, 20_000, 50, 4_096)
        await deliver(store, boxes, 3_000, 1, 4_096)
    async with House(10) as (store, boxes):
        await deliver(store, boxes, 6_000, 50, 50_000)
        await deliver(store, boxes, 600, 10, 1 << 20)


async def accounts() -> None:
    async with House(1_000) as (store, boxes):
        await deliver(store, boxes, 20_000, 50, 4_096)


async def timed(name: str, work: Awaitable[Any]) -> Any:
    start = time.perf_counter()
    result = await work
    print(f"{name:<42} {(time.perf_counter() - start) * 1e3:>9.2f} ms", flush=True)
    return result


async def mailbox() -> None:
    house = House(1)
    async with house as (store, [(account_id, mailbox_id)]):
        mine = {"account_id": account_id, "mailbox_id": mailbox_id}
        tiny = Content.of(b"x" * 100)
        for _ in range(100):
            ops = [
                AddEmail(account_id=account_id, mailbox_id=mailbox_id, content=tiny, received_at=1)
                for _ in range(1_000)
            ]
            await store.commit(*ops)
        index = await timed("index of 100,000, never packed", store.index(account_id, mailbox_id))
        ids = list(index.email_ids)
        await store.settle()
        start = time.perf_counter()
        for at in range(0, len(ids), 2_000):
            await store.emails(account_id, ids[at : at + 2_000], ("envelope", "body_structure"))
        print(f"two texts of each: {len(ids) / (time.perf_counter() - start):,.0f} rows/s")
        seen = frozenset({"\\Seen"})
        for name, uids in {"1": "5", "10,000": "1:10000", "100,000": "1:100000"}.items():
            op = SetFlags(uids=Ranges.parse(uids), action="add", flags=seen | {name[:2]}, **mine)
            await timed(f"flags on {name}", store.apply(op))
        trash = await store.mailbox(account_id, "Trash")
        assert trash is not None
        two: dict[str, Any] = {
            "account_id": account_id,
            "source_id": mailbox_id,
            "target_id": trash.mailbox_id,
        }
        await timed("copy 10,000", store.apply(CopyEmails(uids=Ranges([(1, 10_000)]), **two)))
        await timed("move 10,000", store.apply(MoveEmails(uids=Ranges([(1, 10_000)]), **two)))
        await timed(
            "expunge 10,000", store.apply(Expunge(uids=Ranges([(10_001, 20_000)]), force=True, **mine))
        )
        await store.close()
        house.store = store = await house.open()
        await timed("index of 80,000, from its snapshot", store.index(account_id, mailbox_id))
        await timed("the same again", store.index(account_id, mailbox_id))


PARTS = {"commits": commits, "accounts": accounts, "mailbox": mailbox}


async def main() -> None:
    for name in sys.argv[1:] or PARTS:
        await PARTS[name]()


if __name__ == "__main__":
    uvloop.run(main())
