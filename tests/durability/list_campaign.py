"""Kill the post office while members post to a list, start it again, and account for every copy.

Bob posts to a list of alice, himself and some people elsewhere, whose host is away. After each kill every post that
was answered `250` is in both mailboxes exactly once and waits for each of the others exactly once; of every other
post there are all copies or none: it is for its sender to try again.
"""

from __future__ import annotations

import json
import random
import smtplib
import threading
import time
from collections import Counter
from pathlib import Path

from posthouse.limits import LIST_POSTS
from tests.durability.campaign import CONNECTION_ERRORS
from tests.interop.local import ACCOUNTS, LocalHouse
from tests.interop.namespace import free_port

ALICE, BOB, CREW = "alice@example.test", "bob@example.test", "crew@example.test"
SENDERS = 3
FAR = tuple(f"pal{number}@far.test" for number in range(5))


class ListCampaign:
    """A post office that is killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.house = LocalHouse(folder)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.accepted: set[str] = set()
        self.stored: Counter[str] = Counter()
        self._stop = threading.Event()
        self._number = self._until = 0

    def prepare(self) -> None:
        """Open, with the list, and nobody where mail for others goes."""
        self.house.configure()
        with (self.house.folder / "posthouse.toml").open("a") as file:
            file.write(f'[outbound]\nrelay = "smtp://127.0.0.1:{free_port()}"\n')
        members = [word for one in (ALICE, BOB, *FAR) for word in ("--member", one)]
        done = self.house.command("list", "add", CREW, *members)
        assert done.returncode == 0, done.stderr
        self.house.start()

    def round(self) -> None:
        """Load, kill, start, verify. AssertionError for a broken promise."""
        self._stop.clear()
        self._until = self._number + LIST_POSTS // 2
        workers = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for worker in workers:
            worker.start()
        time.sleep(self.random.uniform(0.1, 0.6))
        self.house.kill()
        self._stop.set()
        for worker in workers:
            worker.join()
        self.house.start()
        self.verify()

    def _send(self) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", self.house.ports["submission"], timeout=10) as client:
                client.starttls()
                client.login(BOB, ACCOUNTS[BOB])
                while not self._stop.is_set() and self._number < self._until:
                    with self.lock:
                        self._number += 1
                        name, size = f"n{self._number}", self.random.choice((200, 9000, 300_000))
                    lines = "x" * 78 + "\r\n"
                    text = f"From: {BOB}\r\nSubject: {name}\r\n\r\n{lines * (size // 80)}"
                    client.sendmail(BOB, [CREW], text)
                    with self.lock:
                        self.accepted.add(name)
        except CONNECTION_ERRORS:
            pass

    def verify(self) -> None:
        """What is in the mailboxes and in the queue against what was answered 250."""
        alice, bob = (Counter(self.house.subjects(one)) for one in (ALICE, BOB))
        assert alice == bob, "some members have a post, some have not"
        assert set(alice.values()) <= {1}, "somebody has it twice"
        assert alice.keys() >= self.accepted, "a post is lost"
        listed = self.house.command("queue", "list", "--limit", "100000", "--json")
        assert listed.returncode == 0, listed.stderr
        waiting = Counter(
            one["address"] for message in json.loads(listed.stdout) for one in message["recipients"]
        )
        assert waiting == Counter({one: len(alice) for one in FAR if alice}), "not once for each elsewhere"
        self.stored = alice


def run(folder: Path, rounds: int, seed: int) -> ListCampaign:
    """A whole campaign."""
    campaign = ListCampaign(folder, seed)
    campaign.prepare()
    try:
        for _ in range(rounds):
            campaign.round()
    finally:
        campaign.house.kill()
    return campaign
