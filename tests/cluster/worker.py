"""A node that works without a pause, as a process that the fault campaign kills: it notes what it was promised.

`python -m tests.cluster.worker SETTINGS` (JSON). Each line of the journal is written, in one piece, after the store
has answered; so a line is a promise that must be kept, whatever happens afterwards:

    A token mailbox uid      a message is in     X mailbox uid      it is expunged
    S mailbox uid            it has \\Seen        Q token queue_id   it is queued
    D queue_id recipient     it was delivered    R token            it was refused (must not be there)
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from posthouse import limits
from posthouse.errors import Conflict, NotFound, PosthouseError
from posthouse.ranges import Ranges
from posthouse.store.derive import derive
from posthouse.store.interface import AddEmail, Enqueue, Expunge, LeaseDue, RecordOutcomes, SetFlags
from posthouse.store.model import Content, NewQueued, NewRecipient, Outcome, RecipientState
from posthouse.store.postgres import Place, PostgresStore

# Faults come every second here, so waits are shorter than in a house.
limits.DATABASE_TIMEOUT = 3.0  # type: ignore[misc]
limits.DATABASE_CONNECT_TIMEOUT = 1.0  # type: ignore[misc]
limits.DATABASE_RESOLVE = 30.0  # type: ignore[misc]
limits.OBJECT_TIMEOUT = 2.0  # type: ignore[misc]
limits.NODE_BEAT = 0.5  # type: ignore[misc]
limits.NODE_SILENCE = 4.0  # type: ignore[misc]
limits.NODE_PATIENCE = 1.0  # type: ignore[misc]
limits.FLAGS_LOGGED = 10  # type: ignore[misc]
# So is what is old in a house: bodies are packed, and packs made anew, while everything else happens.
limits.PACK_AFTER = 1.0  # type: ignore[misc]
limits.PACK_LOOK = 0.5  # type: ignore[misc]
limits.PACK_LEAST = 4_000  # type: ignore[misc]
limits.PACK_BODIES = 200  # type: ignore[misc]
limits.PACK_DEAD_SHARE = 0.1  # type: ignore[misc]
LEASE = 2.0
"""Seconds: so that one that is paused wakes up late."""


class Worker:
    """One node under load."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.name: str = settings["name"]
        self.accounts: list[tuple[int, int]] = [tuple(pair) for pair in settings["accounts"]]
        self.chance = random.Random(settings["seed"])
        self.skew = float(settings["skew"])
        self.count = 0
        self.mine: list[tuple[int, int, int]] = []
        self.ended = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.journal = os.open(settings["journal"], flags, 0o666)

    def now(self) -> float:
        return time.time() + self.skew

    def promise(self, *words: object) -> None:
        os.write(self.journal, (" ".join(map(str, words)) + "\n").encode())

    def token(self) -> str:
        self.count += 1
        return f"{self.name}-{os.getpid()}-{self.count}"

    async def run(self) -> None:
        place = Place(
            url=self.settings["url"],
            folder=Path(self.settings["folder"]),
            objects=self.settings["objects"],
            name=self.name,
        )
        store = None
        while store is None and not self.ended:
            try:
                store = await PostgresStore.open(place, derive=derive, now=self.now)
            except PosthouseError:
                await asyncio.sleep(0.1)
        if store is None:
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._turn_deaf, store)
        self.promise("#", "ready")
        await asyncio.gather(*(self._busy(store) for _ in range(4)), self._runner(store), self._runner(store))
        await store.close()

    def _turn_deaf(self, store: PostgresStore) -> None:
        store._engine.notices.deaf = not store._engine.notices.deaf

    async def _busy(self, store: PostgresStore) -> None:
        while not self.ended:
            try:
                await self._something(store)
            except (Conflict, NotFound):
                pass
            except PosthouseError:
                await asyncio.sleep(0.02)

    async def _something(self, store: PostgresStore) -> None:
        account_id, mailbox_id = self.chance.choice(self.accounts)
        dice = self.chance.random()
        if dice < 0.55 or not self.mine:
            await self._add(store, account_id, mailbox_id)
        elif dice < 0.6:
            await self._flag_many(store)
        elif dice < 0.75:
            account_id, mailbox_id, uid = self.chance.choice(self.mine)
            op = SetFlags(account_id=account_id, mailbox_id=mailbox_id, uids=Ranges([(uid, uid)]),
                          action="add", flags=frozenset({"\\Seen"}))  # fmt: skip
            if (await store.apply(op)).changed:
                self.promise("S", mailbox_id, uid)
        elif dice < 0.85:
            account_id, mailbox_id, uid = self.mine.pop(self.chance.randrange(len(self.mine)))
            self.promise("x", mailbox_id, uid)
            uids = Ranges([(uid, uid)])
            await store.apply(Expunge(account_id=account_id, mailbox_id=mailbox_id, uids=uids, force=True))
            self.promise("X", mailbox_id, uid)
        else:
            await self._queue(store)

    async def _flag_many(self, store: PostgresStore) -> None:
        """Runs of messages, and whole mailboxes: such changes are logged."""
        account_id, mailbox_id, uid = self.chance.choice(self.mine)
        run = Ranges([(max(1, uid - self.chance.randint(5, 60)), uid)])
        op = SetFlags(
            account_id=account_id, mailbox_id=mailbox_id, uids=run, action="add", flags=frozenset({"\\Seen"})
        )
        done = await store.apply(op)
        for changed in done.changed:
            self.promise("S", mailbox_id, changed)
        action = self.chance.choice(("add", "remove"))
        await store.apply(
            SetFlags(
                account_id=account_id,
                mailbox_id=mailbox_id,
                uids=None,
                action=action,
                flags=frozenset({"\\Answered"}),
            )
        )

    def _content(self, token: str) -> Content:
        filling = 200_000 if self.settings["objects"] and self.chance.random() < 0.08 else 400
        return Content.of(f"Subject: {token}\r\n\r\n".encode() + b"." * self.chance.randint(1, filling))

    async def _add(self, store: PostgresStore, account_id: int, mailbox_id: int) -> None:
        token = self.token()
        content = self._content(token)
        op = AddEmail(account_id=account_id, mailbox_id=mailbox_id, content=content, received_at=1)
        try:
            added = await store.apply(op)
        except PosthouseError:
            self.promise("R", token)
            raise
        self.promise("A", token, mailbox_id, added.uid)
        self.mine.append((account_id, mailbox_id, added.uid))

    async def _queue(self, store: PostgresStore) -> None:
        token = self.token()
        recipients = tuple(
            NewRecipient(address=f"{token}@d{self.chance.randint(1, 5)}.test") for _ in range(2)
        )
        message = NewQueued(trace_id=token, reverse_path="", recipients=recipients, created_at=self.now())
        queue_id = await store.apply(Enqueue(message=message, content=self._content(token)))
        self.promise("Q", token, queue_id)

    async def _runner(self, store: PostgresStore) -> None:
        while not self.ended:
            try:
                now = self.now()
                leases = await store.apply(LeaseDue(holder="", now=now, until=now + LEASE, limit=3))
                for each in leases:
                    await asyncio.sleep(self.chance.random() * 0.05)
                    outcomes = tuple(
                        Outcome(recipient_id=one.recipient_id, state=RecipientState.DELIVERED, at=now)
                        for one in each.message.recipients
                    )
                    queue_id = each.message.queue_id
                    try:
                        op = RecordOutcomes(queue_id=queue_id, token=each.token, outcomes=outcomes)
                        await store.apply(op)
                    except Conflict:
                        continue
                    for one in each.message.recipients:
                        self.promise("D", queue_id, one.recipient_id)
            except PosthouseError:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)


async def main() -> None:
    worker = Worker(json.loads(sys.argv[1]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, worker, "ended", True)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
