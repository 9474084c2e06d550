"""Kill the post office while a script files, answers and remembers, start it again, and account for every promise.

    python -m tests.durability.sieve_campaign [ROUNDS]

Bob writes to alice, whose script files his mail by subject, drops what it has seen before and answers once for each
handle. After each kill every message answered `250` is there exactly once where the script puts it, and what is
remembered agrees with what was done: no answer without its message, none twice, and no message taken for a duplicate
of one that is not there.
"""

from __future__ import annotations

import random
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.durability.campaign import CONNECTION_ERRORS
from tests.interop.local import ACCOUNTS, LocalHouse

ALICE, BOB = "alice@example.test", "bob@example.test"
SENDERS = 3
HANDLES = 40
"""Answers that can be due to one sender."""
FOLDERS = {"filed": "Archive", "kept": "INBOX", "twice": "Drafts"}
"""By the first word of the subject."""
SCRIPT = """
require ["fileinto", "copy", "imap4flags", "duplicate", "vacation", "variables"];
if header :matches "subject" "* * *" { set "kind" "${1}"; set "handle" "${2}"; set "name" "${3}"; }
if duplicate :uniqueid "${name}" { fileinto "Trash"; stop; }
if string :is "${kind}" "filed" { fileinto "Archive"; }
elsif string :is "${kind}" "twice" { addflag "copied"; fileinto :copy "Drafts"; }
vacation :days 7 :handle "${handle}" :subject "answer ${handle} ${name}" "Away.";
"""
MESSAGE = (
    "From: {bob}\r\nTo: {alice}\r\nMessage-ID: <{name}@campaign.test>\r\nSubject: {subject}\r\n\r\n{body}\r\n"
)


class SieveCampaign:
    """A post office that is killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.house = LocalHouse(folder)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.sent: dict[str, str] = {}
        """Subject by name, of all that was tried."""
        self.accepted: set[str] = set()
        self.repeated: set[str] = set()
        self.answers = 0
        self._stop = threading.Event()
        self._number = 0

    def prepare(self) -> None:
        """Open, with alice's script."""
        self.house.configure()
        done = self.house.command("sieve", "put", ALICE, "main", "-", "--activate", text=SCRIPT)
        assert done.returncode == 0, done.stderr
        self.house.start()

    def round(self) -> None:
        """Load, kill, start, verify. AssertionError for a broken promise."""
        self._stop.clear()
        workers = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]
        for worker in workers:
            worker.start()
        time.sleep(self.random.uniform(0.05, 0.5))
        self.house.kill()
        self._stop.set()
        for worker in workers:
            worker.join()
        self.house.start()
        self._once_more()
        self.verify()

    def _once_more(self) -> None:
        """Senders try again what was not answered: it is a duplicate if it is there, and only then."""
        for name in sorted(set(self.sent) - self.accepted):
            self._post(name)
            self.accepted.add(name)
            self.repeated.add(name)

    def _send(self, worker: int) -> None:
        """Each with handles of its own: messages that come at the same instant may each be answered."""
        chance = random.Random(self.random.random())
        try:
            with smtplib.SMTP("127.0.0.1", self.house.ports["submission"], timeout=10) as client:
                client.starttls()
                client.login(BOB, ACCOUNTS[BOB])
                while not self._stop.is_set():
                    with self.lock:
                        self._number += 1
                        name = f"n{self._number}"
                        subject = (
                            f"{chance.choice(list(FOLDERS))} h{worker}.{chance.randrange(HANDLES)} {name}"
                        )
                        self.sent[name] = subject
                    text = MESSAGE.format(
                        bob=BOB,
                        alice=ALICE,
                        name=name,
                        subject=subject,
                        body="x" * chance.choice((200, 9000)),
                    )
                    client.sendmail(BOB, [ALICE], text)
                    with self.lock:
                        self.accepted.add(name)
        except CONNECTION_ERRORS:
            pass

    # --- account ---------------------------------------------------------------------------------

    def verify(self) -> None:
        """What is in the mailboxes against what was answered 250."""
        there = {folder: self._names(ALICE, folder) for folder in (*FOLDERS.values(), "Trash")}
        assert set(there["Trash"]) <= self.repeated, "a duplicate of nothing"
        for name, subject in self.sent.items():
            kind = subject.split()[0]
            wanted = [FOLDERS[kind], "INBOX"] if kind == "twice" else [FOLDERS[kind]]
            found = [folder for folder, names in there.items() for _ in range(names[name])]
            placed = [folder for folder in found if folder != "Trash"]
            assert sorted(placed) == sorted(wanted), f"{subject}: in {found}, not in {wanted}"
        answers = [subject.split() for subject in self.house.subjects(BOB) if subject.startswith("answer ")]
        handles = Counter(handle for _, handle, _ in answers)
        assert not [handle for handle, count in handles.items() if count > 1], "answered twice"
        stored = {name for names in there.values() for name in names}
        assert {name for _, _, name in answers} <= stored, "answered what is not there"
        due = {self.sent[name].split()[1] for name in stored}
        assert due == set(handles), f"not answered: {due - set(handles)}"
        self.answers = len(answers)

    def _names(self, user: str, folder: str) -> Counter[str]:
        return Counter(
            subject.split()[-1]
            for subject in self.house.subjects(user, folder)
            if not subject.startswith("answer ")
        )

    def again(self) -> None:
        """What was sent once more is a duplicate of what is there, after all the kills."""
        name = min(self.accepted - self.repeated)
        self._post(name)
        assert self._names(ALICE, "Trash")[name] == 1

    def _post(self, name: str) -> None:
        text = MESSAGE.format(bob=BOB, alice=ALICE, name=name, subject=self.sent[name], body="again")
        with smtplib.SMTP("127.0.0.1", self.house.ports["submission"], timeout=10) as client:
            client.starttls()
            client.login(BOB, ACCOUNTS[BOB])
            client.sendmail(BOB, [ALICE], text)


def run(folder: Path, rounds: int, seed: int) -> SieveCampaign:
    """A whole campaign."""
    campaign = SieveCampaign(folder, seed)
    campaign.prepare()
    try:
        for _ in range(rounds):
            campaign.round()
        campaign.again()
    finally:
        campaign.house.kill()
    return campaign


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="posthouse-campaign-") as folder:
        done = run(Path(folder), rounds, seed)
    print(f"{rounds} kills: {len(done.accepted)} answered 250, {done.answers} answers; lost 0, twice 0")
