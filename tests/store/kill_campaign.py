"""Kill a store under load at random instants, open it again, and hold it to every promise.

python -m tests.store.kill_campaign [ROUNDS] [SEED]
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import FLAGGED
from posthouse.store.sqlite import SqliteStore, snapshots
from posthouse.store.sqlite.segments import digest_of, frames
from tests.machine import slowness
from tests.store.conftest import derive
from tests.store.killed import ADDRESS, body

PREFIX = b"Delivered-To: ann\r\n"


class Ledger:
    """What was asked, and what was promised."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.told: dict[str, set[str]] = {}
        self.twice: dict[str, bool] = {}
        self.uids: dict[str, int] = {}
        self.replacing: dict[str, str] = {}
        """Old message to new one."""

    def read(self, lines: list[bytes]) -> None:
        for line in lines:
            if not line.endswith(b"\n"):
                continue  # cut off while it was written: not promised
            fact = json.loads(line)
            name = fact.get("name", "")
            self.told.setdefault(name, set()).add(fact["kind"])
            if fact["kind"] == "replacing":
                self.replacing[name] = fact["by"]
            if "size" in fact:
                self.sizes[name] = fact["size"]
            if fact["kind"] == "added":
                self.twice[name] = fact["twice"]
                self.uids[name] = fact["uid"]

    def named(self, kind: str) -> set[str]:
        return {name for name, kinds in self.told.items() if kind in kinds}


def run_and_kill(
    folder: Path, seed: int, seconds: float, module: str = "tests.store.killed", once: bytes = b""
) -> list[bytes]:
    """One life of the store; its lines. The time counts from the beginning, or from a line with `once` in it."""
    process = subprocess.Popen([sys.executable, "-m", module, str(folder), str(seed)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    assert b"ready" in lines[0], "the store did not open again"
    out = process.stdout
    reader = threading.Thread(target=lambda: lines.extend(out))
    reader.start()
    while reader.is_alive() and not any(once in line for line in list(lines)):
        time.sleep(0.001)
    time.sleep(seconds * slowness())  # the random instant; a busy machine has as much done until then
    process.send_signal(signal.SIGKILL)
    process.wait()
    reader.join()
    out.close()
    return lines


async def audit(folder: Path, ledger: Ledger) -> None:
    """Open what the killed process left and compare."""
    store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
    try:
        account = await store.account(ADDRESS)
        assert account is not None
        found: dict[str, dict[str, int]] = {}
        for box in await store.mailboxes(account.account_id):
            index = await store.index(account.account_id, box.mailbox_id)
            assert (box.total, box.size) == (len(index), sum(index.sizes)), f"counts of {box.name}"
            assert box.unseen == len(index)
            check_index(store, index)
            found[box.name] = await check_messages(store, account.account_id, index, ledger)
        check_promises(ledger, found)
        await check_queue(store, ledger)
        for name in ledger.named("added"):
            assert len(await store.events(trace_id=name)) == 1, f"the timeline of {name}"
        await store.settle()
        check_segments(folder, store)
    finally:
        await store.close()


def check_index(store: SqliteStore, index: MailboxIndex) -> None:
    """What was loaded (from a snapshot, perhaps) is what the placements say."""
    reader = store._engine.open_reader()
    try:
        reader.db.execute("CREATE TEMP TABLE mailbox_snapshot AS SELECT * FROM main.mailbox_snapshot LIMIT 0")
        truth = snapshots.load(reader, index.account_id, index.mailbox_id)
    finally:
        reader.close()
    assert truth is not None
    for name in ("uids", "flags", "modseqs", "email_ids", "sizes", "received", "uid_next"):
        assert getattr(truth, name) == getattr(index, name), name


async def check_messages(
    store: SqliteStore, account_id: int, index: MailboxIndex, ledger: Ledger
) -> dict[str, int]:
    """Every message is whole; name to flags."""
    names: dict[str, int] = {}
    for start in range(0, len(index), 200):
        ids = list(index.email_ids[start : start + 200])
        rows = await store.messages(account_id, ids)
        texts = await store.emails(account_id, ids, ("envelope",))
        for i, (raw, text) in enumerate(zip(rows, texts, strict=True), start):
            assert raw is not None
            assert raw.startswith(PREFIX + b"Subject: ")
            name = raw[len(PREFIX) + 9 : raw.index(b"\r\n", len(PREFIX))].decode()
            assert raw == PREFIX + body(name, ledger.sizes[name]), f"{name} is damaged"
            assert text is not None
            assert name.encode() in text[0]
            assert name not in names, f"{name} is there twice"
            names[name] = index.flags[i]
            if name in ledger.uids and index.mailbox_id == min(index.mailbox_id, 1):
                assert index.uids[i] == ledger.uids[name]
    return names


def check_promises(ledger: Ledger, found: dict[str, dict[str, int]]) -> None:
    inbox, trash, archive = found["INBOX"], found["Trash"], found["Archive"]
    removing = ledger.named("removing") | set(ledger.replacing)
    for name in ledger.named("added"):
        places = (name in inbox) + (name in trash)
        assert places == 1 or (places == 0 and name in removing), f"{name}: {places} times"
        assert (name in archive) == ledger.twice[name], f"{name}: one commit, two mailboxes"
    for old, new in ledger.replacing.items():
        new_is_there = new in inbox or new in trash or new in removing
        assert (old in inbox) != new_is_there, f"{old} and {new}: one of the two"
    assert ledger.named("replaced").isdisjoint(inbox)
    for name in set(inbox) | set(trash) | set(archive):
        assert name in ledger.sizes, "a message that nobody sent"
    assert ledger.named("removed").isdisjoint(set(inbox) | set(trash))
    assert ledger.named("moved") <= set(trash)
    assert set(trash) <= ledger.named("moving")
    for name in ledger.named("flagged"):
        assert inbox[name] & FLAGGED, f"{name} lost its flag"
        assert inbox[name].bit_count() == 2
    for name, flags in inbox.items():
        assert flags == 0 or name in ledger.named("flagging")


async def check_queue(store: SqliteStore, ledger: Ledger) -> None:
    queued = await store.queue(limit=100_000)
    names = Counter(each.trace_id for each in queued)
    assert all(count == 1 for count in names.values())
    assert ledger.named("queued") <= set(names) <= set(ledger.sizes)
    for each in queued[-20:]:
        assert await store.read(each.stored) == body(each.trace_id, 500)
        assert len(each.recipients) == 1


def check_segments(folder: Path, store: SqliteStore) -> None:
    """No file that no row knows, and every frame that a row points at is what was written."""
    reader = store._engine.open_reader()
    try:
        known = dict(reader.db.rows("SELECT segment, size FROM segment"))
        present = {int(path.stem) for path in (folder / "blobs").glob("*.seg")}
        assert set(known) <= present
        for segment, size in known.items():
            by_offset = {
                frame.offset: frame for frame in frames(folder / "blobs" / f"{segment:06}.seg", size)
            }
            pointing = reader.db.rows(
                "SELECT offset, size, digest, coalesce(packed_size, size) FROM blob WHERE segment = ?",
                (segment,),
            )
            for offset, whole, digest, stored in pointing:
                frame = by_offset[offset]
                assert (frame.size, frame.digest, frame.stored) == (whole, digest, stored)
                if stored == whole:
                    assert digest_of([reader.segments.read(segment, offset, stored)]) == digest
    finally:
        reader.close()


def run(folder: Path, rounds: int, seed: int) -> Ledger:
    """Kill and audit; the ledger of it all."""
    chance = random.Random(seed)
    ledger = Ledger()
    for i in range(rounds):
        ledger.read(run_and_kill(folder, seed + i, chance.uniform(0.02, 0.5)))
        asyncio.run(audit(folder, ledger))
    return ledger


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
        seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
        print(f"{rounds} kills, seed {seed}", flush=True)
        held = run(Path(place), rounds, seed)
        print(
            {
                kind: len(held.named(kind))
                for kind in ("added", "flagged", "moved", "removed", "replaced", "queued")
            }
        )
