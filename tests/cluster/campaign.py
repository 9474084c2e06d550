"""The fault campaign: nodes under load, killed, cut off and confused at random; then every promise is checked.

    python -m tests.cluster.campaign --injections 300

Prints each kind of fault with its count, and what was promised, lost and doubled. Exit 0: lost 0, doubled 0.
Faults: a node killed (alone, in pairs), a node stuck while it holds leases, a node with a clock minutes off, NOTIFY
lost, the database killed and restarted, its connections cut, S3 killed or silent, the link between a node and
everything else dropping packets (a network namespace; root only). Queue runners of all nodes race all the time.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, PutDomain
from posthouse.store.model import SEEN, Domain
from posthouse.store.postgres import Place, PostgresStore
from tests.cluster import network
from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore, program

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = 6


class Campaign:
    """One run."""

    def __init__(self, injections: int, seed: int, say: Callable[[str], None] = print) -> None:
        self.injections = injections
        self.chance = random.Random(seed)
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-campaign-"))
        self.journal = self.folder / "journal"
        self.done: collections.Counter[str] = collections.Counter()
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.network = None if network.possible() else network.Network()
        self.far = self.network.host(2) if self.network else None
        host = self.network.address(1) if self.network else "127.0.0.1"
        self.database = Database(sync=True, host=host)
        self.objects = ObjectStore(host) if program() else None
        self.accounts: list[tuple[int, int]] = []
        self.packed = 0
        """Bodies that are in packs at the end."""
        self.miscounted: list[object] = []
        self.unkept: list[object] = []
        """(UID, flags, mod-sequence) that a node shows and the placements do not, or the other way round."""

    async def run(self) -> bool:
        """Prepare, do harm, check; whether every promise was kept."""
        try:
            await self._prepare()
            for name in ("a", "b", "far"):
                self._start(name)
            self._wait_ready(3)
            faults = self._faults()
            began = time.monotonic()
            for number in range(self.injections):
                kind = faults[number % len(faults)] if number < len(faults) else self.chance.choice(faults)
                await asyncio.to_thread(kind)
                self.done[kind.__name__.strip("_").replace("_", " ")] += 1
                await asyncio.sleep(self.chance.uniform(0.1, 0.5))
            self.say(f"{self.injections} injections in {time.monotonic() - began:.0f} s")
            for kind_name, count in sorted(self.done.items()):
                self.say(f"  {count:4} {kind_name}")
            await asyncio.sleep(1)
            for process in self.nodes.values():
                process.terminate()
            for process in self.nodes.values():
                process.wait(60)
            return await self._check()
        finally:
            self._clean()

    async def _prepare(self) -> None:
        self.database.initialise()
        self.database.start()
        self.url = self.database.make("house")
        if self.objects is not None:
            self.objects.start()
        async with self._store("prepare") as store:
            await store.apply(PutDomain(domain=Domain(name="example.test"), new=True))
            for number in range(ACCOUNTS):
                made = await store.apply(
                    AddAccount(address=f"u{number}@example.test", password="", created_at=1)
                )
                inbox = await store.mailbox(made.account_id, "INBOX")
                assert inbox is not None
                self.accounts.append((made.account_id, inbox.mailbox_id))

    @contextlib.asynccontextmanager
    async def _store(self, name: str) -> Any:
        place = Place(
            url=self.url, folder=self.folder / name, objects=self.objects.url if self.objects else ""
        )
        store = await PostgresStore.open(place, derive=derive)
        try:
            yield store
        finally:
            await store.close()

    def _start(self, name: str, skew: float = 0.0) -> None:
        settings = {
            "name": name,
            "url": self.url,
            "folder": str(self.folder / name),
            "objects": self.objects.url if self.objects else "",
            "accounts": self.accounts,
            "seed": self.chance.random(),
            "skew": skew,
            "journal": str(self.journal),
        }
        command = [sys.executable, "-m", "tests.cluster.worker", json.dumps(settings)]
        if self.far is not None and name == "far":
            command = self.far.command(*command)
        with (self.folder / "nodes.log").open("ab") as log:
            self.nodes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def _wait_ready(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while not self.journal.exists() or self.journal.read_text().count("# ready") < count:
            if time.monotonic() > deadline:
                raise RuntimeError((self.folder / "nodes.log").read_text()[-3000:])
            time.sleep(0.05)

    # --- faults ------------------------------------------------------------------------------------------

    def _faults(self) -> list[Callable[[], None]]:
        found = [
            self._node_killed,
            self._two_nodes_killed,
            self._database_killed,
            self._connections_cut,
            self._notify_lost,
            self._clock_wrong,
            self._holder_stuck,
        ]
        if self.objects is not None:
            found += [self._s3_killed, self._s3_silent]
        if self.network is not None:
            found.append(self._link_cut)
        return found

    def _kill(self, name: str) -> None:
        self.nodes[name].kill()
        self.nodes[name].wait()

    def _node_killed(self) -> None:
        name = self.chance.choice(list(self.nodes))
        self._kill(name)
        self._start(name)

    def _two_nodes_killed(self) -> None:
        for name in self.chance.sample(list(self.nodes), 2):
            self._kill(name)
            self._start(name)

    def _database_killed(self) -> None:
        self.database.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.database.start()

    def _connections_cut(self) -> None:
        self.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'house' AND random() < 0.5"
        )

    def _notify_lost(self) -> None:
        name = self.chance.choice(["a", "b"])
        self.nodes[name].send_signal(signal.SIGUSR1)
        time.sleep(self.chance.uniform(0.1, 0.6))
        self.nodes[name].send_signal(signal.SIGUSR1)

    def _clock_wrong(self) -> None:
        name = self.chance.choice(["a", "b"])
        self._kill(name)
        self._start(name, skew=self.chance.choice([-400.0, 400.0]))

    def _holder_stuck(self) -> None:
        """Stopped for longer than its leases, then it wakes up."""
        name = self.chance.choice(["a", "b"])
        self.nodes[name].send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(2.0, 3.0))
        self.nodes[name].send_signal(signal.SIGCONT)

    def _s3_killed(self) -> None:
        assert self.objects is not None
        self.objects.kill()
        time.sleep(self.chance.uniform(0.1, 0.5))
        self.objects.start()

    def _s3_silent(self) -> None:
        assert self.objects is not None
        self.objects.pause()
        time.sleep(self.chance.uniform(0.2, 1.0))
        self.objects.go_on()

    def _link_cut(self) -> None:
        assert self.network is not None and self.far is not None
        self.network.cut(self.far)
        time.sleep(self.chance.uniform(0.2, 2.5))
        self.network.mend(self.far)

    # --- promises ----------------------------------------------------------------------------------------

    async def _check(self) -> bool:
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        async with self._store("check") as store:
            await asyncio.wait_for(store.settle(), 120)
            present, tokens = await self._present(store)
            queued = {
                (message.queue_id, each.recipient_id)
                for message in await store.queue(limit=1_000_000)
                for each in message.recipients
            }
        added = {(int(m), int(u)): token for kind, *rest in lines if kind == "A" for token, m, u in [rest]}
        touched = {(int(rest[0]), int(rest[1])) for kind, *rest in lines if kind == "x"}
        expunged = {(int(rest[0]), int(rest[1])) for kind, *rest in lines if kind == "X"}
        seen = {(int(rest[0]), int(rest[1])) for kind, *rest in lines if kind == "S"}
        refused = {rest[0] for kind, *rest in lines if kind == "R"}
        wanted = {place: token for place, token in added.items() if place not in touched}
        lost = [token for place, token in wanted.items() if present.get(place, ("", 0))[0] != token]
        unseen = [p for p in seen if p in present and not present[p][1] & SEEN]
        undead = [place for place in expunged if place in present]
        twice = [token for token, count in tokens.items() if count > 1]
        unrefused = [token for token in refused if tokens[token]]
        in_queue = {(int(rest[1]), number) for kind, *rest in lines if kind == "Q" for number in (1, 2)}
        delivered = collections.Counter((int(rest[0]), int(rest[1])) for kind, *rest in lines if kind == "D")
        again = [key for key, count in delivered.items() if count > 1]
        gone = [key for key in in_queue if key not in queued and key not in delivered]
        # Whoever was killed between the commit and its note has delivered without a line: as many at most as kills.
        kills = sum(self.done[kind] * count for kind, count in _KILLS.items())
        if self.database.sql("SELECT 1 FROM flag_log", "house"):
            self.unkept.append((0, 0, 0))
        self.say(
            f"promised: {len(added)} messages, {len(seen)} flags, {len(expunged)} expunges,"
            f" {len(in_queue)} queued recipients, {len(delivered)} deliveries; refused: {len(refused)}"
        )
        if self.objects is not None:
            rows = "SELECT count(*), count(DISTINCT pack) FROM blob WHERE pack IS NOT NULL"
            bodies, packs = self.database.sql(rows, "house").split("|")
            self.packed = int(bodies)
            self.say(f"packed: {bodies} bodies in {packs} objects")
        problems = {
            "messages lost": lost,
            "flags lost": unseen,
            "expunged that came back": undead,
            "messages doubled": twice,
            "refused but there": unrefused,
            "queued recipients lost": gone if len(gone) > kills * 12 else [],
            "delivered twice": again,
            "mailboxes miscounted": self.miscounted,
            "flags shown that are not kept": self.unkept,
        }
        self.say("lost 0, doubled 0" if not any(problems.values()) else "PROMISES BROKEN")
        for what, which in problems.items():
            if which:
                self.say(f"  {what}: {len(which)}: {which[:5]}")
        return not any(problems.values())

    async def _present(
        self, store: PostgresStore
    ) -> tuple[dict[tuple[int, int], tuple[str, int]], collections.Counter[str]]:
        """(mailbox, UID) → (token, flags) of all messages, read whole; how often each token is there."""
        present: dict[tuple[int, int], tuple[str, int]] = {}
        tokens: collections.Counter[str] = collections.Counter()
        for account_id, mailbox_id in self.accounts:
            index = await store.index(account_id, mailbox_id)
            for start in range(0, len(index), 200):
                ids = list(index.email_ids[start : start + 200])
                for i, raw in enumerate(await store.messages(account_id, ids), start):
                    token = raw.partition(b"\r\n")[0].removeprefix(b"Subject: ").decode() if raw else "(gone)"
                    present[mailbox_id, index.uids[i]] = (token, index.flags[i])
                    tokens[token] += 1
            shown = set(zip(index.uids, index.flags, index.modseqs, strict=True))
            kept = f"SELECT uid, flags, modseq FROM placement WHERE mailbox_id = {mailbox_id}"
            rows = self.database.sql(kept, "house").splitlines()
            self.unkept += sorted(shown ^ {tuple(map(int, row.split("|"))) for row in rows})
            box = next(b for b in await store.mailboxes(account_id) if b.mailbox_id == mailbox_id)
            counted = (len(index), sum(index.sizes), sum(not flags & SEEN for flags in index.flags))
            if (box.total, box.size, box.unseen) != counted:
                self.miscounted.append(((box.total, box.size, box.unseen), counted))
        return present, tokens

    def _clean(self) -> None:
        for process in self.nodes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.objects is not None:
            self.objects.stop()
        self.database.stop()
        if self.network is not None:
            self.network.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


_KILLS = {
    "node killed": 1,
    "two nodes killed": 2,
    "clock wrong": 1,
    "database killed": 3,
    "connections cut": 3,
}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Do harm to a cluster under load, and check every promise.")
    parser.add_argument("--injections", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    print(f"seed {seed}")
    return 0 if asyncio.run(Campaign(given.injections, seed).run()) else 1


if __name__ == "__main__":
    sys.exit(main())
