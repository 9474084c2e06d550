"""A house grows up while people use it: `store move` to a cluster with mail arriving and IMAP clients connected.

    python -m tests.cluster.growing_up --messages 100000 --accounts 1000

Prints how long the move took, how long nothing could be changed, how long mail was deferred, and what was lost or
changed its numbers. Exit 0: nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import imaplib
import json
import random
import shutil
import smtplib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from posthouse.accounts.passwords import hash_password
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, PutDomain, Store
from posthouse.store.model import Content, Domain
from posthouse.store.postgres import Place, PostgresStore
from posthouse.store.sqlite import SqliteStore
from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore, program
from tests.cluster.processes import NodeProcess

SECRET = "secret-of-all"
BODY = "A line of some words that somebody wrote.\r\n" * 60
READERS = 5


class House:
    """The server that grows up, with its database beside it."""

    def __init__(self, accounts: int, messages: int, *, objects: bool, database: Database | None) -> None:
        """`database`: a server that runs; None: one of its own."""
        self.accounts = accounts
        self.messages = messages
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-growing-"))
        self.database = database or Database(sync=True)
        self._own = database is None
        self.objects = ObjectStore() if objects else None
        more = '[msgauth]\nverify = "off"\n[junk]\nfilter = "off"'
        self.node = NodeProcess(self.folder / "node", "sqlite:mail.db", "mx,imap,jobs")
        self.node.file.write_text(f"{self.node.file.read_text()}{more}\n")
        self.url = ""

    def prepare(self) -> None:
        """Accounts with mail, and an empty database."""
        if self._own:
            self.database.settings = {"max_wal_size": "4GB"}
            self.database.initialise()
            self.database.start()
        self.url = self.database.make()
        if self.objects is not None:
            self.objects.start()
        asyncio.run(self._furnish())

    async def _furnish(self) -> None:
        async with self.embedded() as store:
            await store.apply(PutDomain(domain=Domain(name="example.test"), new=True))
            password = hash_password(SECRET)
            for number in range(self.accounts):
                made = await store.apply(
                    AddAccount(address=f"u{number}@example.test", password=password, created_at=1)
                )
                inbox = await store.mailbox(made.account_id, "INBOX")
                assert inbox is not None
                await store.commit(
                    *(
                        AddEmail(
                            account_id=made.account_id,
                            mailbox_id=inbox.mailbox_id,
                            content=Content.of(f"Subject: old {number} {each}\r\n\r\n{BODY}".encode()),
                            received_at=1_700_000_000 + each,
                        )
                        for each in range(self.messages // self.accounts)
                    )
                )

    @contextlib.asynccontextmanager
    async def embedded(self) -> Any:
        """The store before."""
        data = self.node.folder / "data"
        data.mkdir(exist_ok=True)
        store = await SqliteStore.open(data / "mail.db", data / "blobs", derive=derive)
        try:
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def cluster(self) -> Any:
        """The store afterwards."""
        objects = self.objects.url if self.objects is not None else ""
        place = Place(url=self.url, objects=objects, folder=self.folder / "looking", jobs=False)
        store = await PostgresStore.open(place, derive=derive)
        try:
            yield store
        finally:
            await store.close()

    def move(self) -> dict[str, Any]:
        """The administrator's command; what it says."""
        blobs = ("--blobs", self.objects.url) if self.objects is not None else ()
        said = self.node.command("store", "move", self.url, *blobs, "--json", wait=900.0)
        found: dict[str, Any] = json.loads(said)
        return found

    def switch(self) -> None:
        """The two lines into the configuration, and a restart."""
        self.node.stop()
        lines = f'url = "{self.url}"'
        if self.objects is not None:
            lines += f'\nblobs = "{self.objects.url}"'
        text = self.node.file.read_text().replace('url = "sqlite:mail.db"', lines)
        self.node.file.write_text(text)

    def close(self) -> None:
        self.node.stop()
        if self.objects is not None:
            self.objects.stop()
        if self._own:
            self.database.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class People:
    """Who sends and who reads meanwhile. `stop` ends them; their findings are then complete."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._ended = threading.Event()
        self.kept: dict[str, int] = {}
        """Subjects that were answered 250, with their account."""
        self.deferred = 0
        self.longest = 0.0
        """Seconds between two messages that were taken."""
        self.commands = 0
        self.wrong: list[str] = []
        self._threads = [threading.Thread(target=self._send)]
        self._threads += [threading.Thread(target=self._read, args=(n,)) for n in range(READERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self) -> None:
        """Mail for everybody; what is deferred or meets nobody is sent again, as any mail server does."""
        taken, number = time.monotonic(), 0
        while not self._ended.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException), self._smtp() as smtp:
                while not self._ended.wait(0.01):
                    whom, subject = random.randrange(self._house.accounts), f"new {number}"
                    try:
                        smtp.sendmail(
                            "a@far.test", [f"u{whom}@example.test"], f"Subject: {subject}\r\n\r\n{BODY}"
                        )
                    except smtplib.SMTPResponseException as refusal:
                        self._deferred(refusal.smtp_code)
                    except smtplib.SMTPRecipientsRefused as refusal:
                        self._deferred(next(iter(refusal.recipients.values()))[0])
                    else:
                        self.kept[subject] = whom
                        self.longest = max(self.longest, time.monotonic() - taken)
                        taken = time.monotonic()
                    number += 1
            self._ended.wait(0.1)

    def _smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP(*self._house.node.address("smtp"), timeout=30)

    def _deferred(self, code: int) -> None:
        self.deferred += 1
        if code >= 500:
            self.wrong.append(f"mail was refused for good: {code}")
        self._ended.wait(0.05)

    def _read(self, number: int) -> None:
        """A mail program: looks, flags, comes again when the server went. The UIDs it knows must stay."""
        known: dict[bytes, bytes] = {}
        while not self._ended.is_set():
            with (
                contextlib.suppress(OSError, imaplib.IMAP4.error),
                imaplib.IMAP4(*self._house.node.address("imap"), timeout=30) as imap,
            ):
                imap.login(f"u{number}@example.test", SECRET)
                imap.select("INBOX")
                validity = imap.response("UIDVALIDITY")[1][0]
                if known.setdefault(b"", bytes(validity)) != validity:
                    self.wrong.append(f"u{number}: UIDVALIDITY {known[b'']!r} became {validity!r}")
                while not self._ended.wait(0.05):
                    for uid, subject in _listing(imap):
                        if known.setdefault(uid, subject) != subject:
                            self.wrong.append(f"u{number}: UID {uid!r} was {known[uid]!r}, is {subject!r}")
                    imap.store("1", random.choice("+-") + "FLAGS", "(\\Flagged)")
                    self.commands += 2
            self._ended.wait(0.1)


def _listing(imap: imaplib.IMAP4) -> Iterator[tuple[bytes, bytes]]:
    for item in imap.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(item, tuple):
            yield item[0].split()[2], item[1].strip()


async def numbers(store: Store) -> dict[str, Any]:
    """Everything that a client remembers."""
    found: dict[str, Any] = {}
    for account in await store.accounts():
        for box in await store.mailboxes(account.account_id):
            index = await store.index(account.account_id, box.mailbox_id)
            columns = (index.uids, index.email_ids, index.flags, index.modseqs, index.sizes, index.received)
            found[f"{account.address} {box.name}"] = (
                box.mailbox_id,
                box.uid_validity,
                box.uid_next,
                *(list(column) for column in columns),
            )
    return found


async def _compared(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    async with house.embedded() as store:
        before = await numbers(store)
    async with house.cluster() as store:
        return before, await numbers(store)


async def _missing(house: House, kept: dict[str, int]) -> tuple[int, int]:
    """How many answered messages are not there, and how many are there twice."""
    by_account: dict[int, list[str]] = {}
    for subject, whom in kept.items():
        by_account.setdefault(whom, []).append(subject)
    lost = doubled = 0
    async with house.cluster() as store:
        for whom, subjects in by_account.items():
            account = await store.account(f"u{whom}@example.test")
            assert account is not None
            inbox = await store.mailbox(account.account_id, "INBOX")
            assert inbox is not None
            index = await store.index(account.account_id, inbox.mailbox_id)
            ids = list(index.email_ids)
            there: dict[str, int] = {}
            for raw in await store.messages(account.account_id, ids):
                assert raw is not None
                subject = raw.decode().partition("Subject: ")[2].partition("\r\n")[0]
                there[subject] = there.get(subject, 0) + 1
            lost += sum(subject not in there for subject in subjects)
            doubled += sum(there.get(subject, 0) > 1 for subject in subjects)
    return lost, doubled


def grow_up(
    accounts: int,
    messages: int,
    say: Callable[[str], None] = print,
    *,
    objects: bool = False,
    database: Database | None = None,
) -> bool:
    """The whole story; whether every promise was kept. `database`: see `House`."""
    house = House(accounts, messages, objects=objects, database=database)
    people: People | None = None
    try:
        house.prepare()
        house.node.start()
        people = People(house)
        time.sleep(1)
        began = time.monotonic()
        said = house.move()
        say(f"moved {said['messages']} messages of {said['accounts']} accounts in {said['seconds']} s")
        say(f"nothing could be changed for {said['pause']} s of it")
        house.switch()
        before, after = asyncio.run(_compared(house))
        looked = time.monotonic()
        house.node.start()
        time.sleep(1)
        people.stop()
        house.node.stop()
        differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        lost, doubled = asyncio.run(_missing(house, people.kept))
        say(f"all of it, with the restart and a comparison of its own: {looked - began:.1f} s")
        say(f"taken meanwhile: {len(people.kept)} messages; deferred: {people.deferred};"
            f" IMAP commands: {people.commands}; longest time without mail: {people.longest:.1f} s")  # fmt: skip
        for each in [*people.wrong[:5], *differing[:5]]:
            say(f"WRONG: {each}")
        say(f"lost {lost}, doubled {doubled}, mailboxes whose numbers changed {len(differing)}")
        return not (lost or doubled or differing or people.wrong)
    finally:
        if people is not None:
            people.stop()
        house.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=100_000)
    given = parser.parse_args()
    sys.exit(0 if grow_up(given.accounts, given.messages, objects=program() is not None) else 1)


if __name__ == "__main__":
    main()
