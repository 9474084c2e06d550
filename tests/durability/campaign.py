"""Kill the post office at random instants under load, start it again, and account for every promise.

    python -m tests.durability.campaign [ROUNDS]

Each round: several SMTP clients send, one IMAP client sets flags, one moves messages; then `kill -9`,
sometimes again while it recovers. After the restart every message answered `250` must be there exactly
once, every flag and move answered `OK` must be kept, UIDs must mean what they meant, and nothing half-made
may be seen.
"""

from __future__ import annotations

import imaplib
import random
import re
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.interop.local import ACCOUNTS, LocalHouse

USER = "alice@example.test"
SENDERS = 4
MESSAGE = "From: x@elsewhere.test\r\nTo: {user}\r\nMessage-ID: <{id}>\r\nSubject: {id}\r\n\r\n{body}\r\n"
SIZES = (200, 200, 4000, 30000)
"""Octets of body: inline rows and segments alike."""

KILLED_AGAIN = 0.1
"""Chance that a start after a kill is killed too: recovery must stand what it recovers from."""

FLAG = "\\Flagged"
CONNECTION_ERRORS = (OSError, smtplib.SMTPException, imaplib.IMAP4.error, EOFError)


class Ledger:
    """What was promised (answered) and what was only asked when the power went."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.accepted: set[str] = set()
        self.asked: set[str] = set()
        self.flags: dict[int, bool] = {}
        self.flags_asked: dict[int, bool] = {}
        self.moved: set[str] = set()
        self.move_asked: set[str] = set()


class Campaign:
    """A post office that is killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.house = LocalHouse(folder)
        self.ledger = Ledger()
        self.known: dict[int, str] = {}
        """UID to Message-ID in INBOX, as last seen."""
        self.validity = ""
        self.random = random.Random(seed)
        self._stop = threading.Event()
        self._number = 0

    def prepare(self) -> None:
        """Make the accounts and open."""
        self.house.configure()
        self.house.start()

    def round(self) -> None:
        """Load the open post office, kill it, start it, verify. Raises AssertionError for a broken promise."""
        self._stop.clear()
        workers = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]
        workers += [threading.Thread(target=self._flag), threading.Thread(target=self._move)]
        for worker in workers:
            worker.start()
        time.sleep(self.random.uniform(0.02, 0.4))
        self.house.kill()
        self._stop.set()
        for worker in workers:
            worker.join()
        while self.random.random() < KILLED_AGAIN:
            self.house.launch()
            time.sleep(self.random.uniform(0.2, 0.6))
            self.house.kill()
        self.house.start()
        self.verify()

    # --- load --------------------------------------------------------------------------------------

    def _send(self, worker: int) -> None:
        chance = random.Random(self.random.random())
        try:
            with smtplib.SMTP("127.0.0.1", self.house.ports["smtp"], timeout=10) as client:
                while not self._stop.is_set():
                    with self.ledger.lock:
                        self._number += 1
                        name = f"{self._number}.{worker}@campaign.test"
                        self.ledger.asked.add(name)
                    body = "x" * chance.choice(SIZES)
                    client.sendmail("x@elsewhere.test", [USER], MESSAGE.format(user=USER, id=name, body=body))
                    with self.ledger.lock:
                        self.ledger.accepted.add(name)
        except CONNECTION_ERRORS:
            pass

    def _client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.house.ports["imap"], timeout=10)
        client.login(USER, ACCOUNTS[USER])
        return client

    def _flag(self) -> None:
        chance = random.Random(self.random.random())
        uids = sorted(self.known)
        if not uids:
            return
        try:
            client = self._client()
            client.select("INBOX")
            while not self._stop.is_set():
                uid = chance.choice(uids)
                wanted = chance.random() < 0.5
                self.ledger.flags_asked[uid] = wanted
                done = client.uid("STORE", str(uid), "+FLAGS" if wanted else "-FLAGS", f"({FLAG})")
                if done[0] == "OK":
                    self.ledger.flags[uid] = wanted
                    del self.ledger.flags_asked[uid]
        except CONNECTION_ERRORS:
            pass

    def _move(self) -> None:
        chance = random.Random(self.random.random())
        uids = sorted(self.known)[:-50]
        chance.shuffle(uids)
        try:
            client = self._client()
            client.select("INBOX")
            for uid in uids[:20]:
                if self._stop.is_set():
                    return
                name = self.known[uid]
                self.ledger.move_asked.add(name)
                if client.uid("MOVE", str(uid), "Archive")[0] == "OK":
                    self.ledger.moved.add(name)
                time.sleep(0.01)
        except CONNECTION_ERRORS:
            pass

    # --- account ---------------------------------------------------------------------------------

    def verify(self) -> None:
        """Compare the ledger with what the post office shows now."""
        client = self._client()
        inbox, flagged, validity = self._listing(client, "INBOX")
        archive, _, _ = self._listing(client, "Archive")
        client.logout()
        ledger = self.ledger
        assert self.validity in ("", validity), "UIDVALIDITY changed"
        self.validity = validity
        seen = Counter(inbox.values()) + Counter(archive.values())
        lost = [name for name in ledger.accepted if not seen[name]]
        assert not lost, f"answered 250 and lost: {lost[:5]} of {len(lost)}"
        twice = [name for name, count in seen.items() if count > 1]
        assert not twice, f"there twice: {twice[:5]}"
        assert not set(seen) - ledger.asked, "messages nobody sent"
        for uid, name in self.known.items():
            assert inbox.get(uid, name) == name, f"UID {uid} means another message now"
            assert uid in inbox or name in ledger.move_asked, f"UID {uid} is gone"
        in_archive = set(archive.values())
        undone = ledger.moved - in_archive
        assert not undone, f"moves answered OK and undone: {sorted(undone)[:5]}"
        assert in_archive <= ledger.move_asked
        for uid, wanted in ledger.flags.items():
            if uid in inbox and uid not in ledger.flags_asked:
                assert (uid in flagged) == wanted, f"flag of UID {uid} was answered OK and not kept"
        for uid in ledger.flags_asked:
            ledger.flags[uid] = uid in flagged
        ledger.flags_asked.clear()
        self.known = inbox

    def _listing(self, client: imaplib.IMAP4, mailbox: str) -> tuple[dict[int, str], set[int], str]:
        """UID to Message-ID, the flagged UIDs, UIDVALIDITY; and every message is whole."""
        count = int(client.select(mailbox, readonly=True)[1][0] or 0)
        validity = client.response("UIDVALIDITY")[1][0]
        found: dict[int, str] = {}
        flagged: set[int] = set()
        if count:
            for part in client.fetch("1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[
                1
            ]:
                if not isinstance(part, tuple):
                    continue
                facts = part[0].decode()
                uid = int(re.search(r"UID (\d+)", facts)[1])  # type: ignore[index]
                found[uid] = part[1].decode().partition("<")[2].partition(">")[0]
                if FLAG in facts:
                    flagged.add(uid)
        assert len(found) == count, f"{mailbox} says {count} and shows {len(found)}"
        return found, flagged, str(validity)

    def whole(self) -> None:
        """Every message that is there can be read to its end; then close."""
        client = self._client()
        for mailbox in ("INBOX", "Archive"):
            count = int(client.select(mailbox, readonly=True)[1][0] or 0)
            for first in range(1, count + 1, 500):
                last = min(first + 499, count)
                for part in client.fetch(f"{first}:{last}", "(RFC822.SIZE BODY.PEEK[])")[1]:
                    if isinstance(part, tuple):
                        size = int(re.search(rb"RFC822.SIZE (\d+)", part[0])[1])  # type: ignore[index]
                        assert len(part[1]) == size
                        assert part[1].endswith(b"x\r\n")
        client.logout()
        self.house.stop()


def run(folder: Path, rounds: int, seed: int) -> Campaign:
    """A whole campaign."""
    campaign = Campaign(folder, seed)
    campaign.prepare()
    try:
        for _ in range(rounds):
            campaign.round()
        campaign.whole()
    finally:
        campaign.house.kill()
    return campaign


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="posthouse-campaign-") as folder:
        done = run(Path(folder), rounds, seed)
    print(
        f"{rounds} kills: {len(done.ledger.accepted)} messages answered 250, {len(done.ledger.moved)} moves and "
        f"{len(done.ledger.flags)} flags answered OK; lost 0, twice 0"
    )
