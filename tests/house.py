"""A whole post office in process on free loopback ports, furnished as tests/scripts/README.md says.

Real sockets, real files, a real store; only the passwords are hashed cheaply, because a hundred logins of 60 ms
prove nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import argon2

from posthouse.app import App
from posthouse.config import Auth, Config, Listen
from posthouse.store.interface import AddAccount, AddEmail, PutAlias, PutDomain
from posthouse.store.model import Account, Alias, Content, Domain, DomainKind

GIGABYTE = 2**30
PASSWORDS = {
    "alice@example.test": "wonderland",
    "bob@example.test": "builder",
    "admin@example.test": "steward",
}
LISTENERS = (
    "smtp",
    "submission",
    "lmtp",
    "imap",
    "imaps",
    "pop3",
    "pop3s",
    "sieve",
    "submissions",
    "http",
    "https",
)
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def configuration(folder: Path, **changes: object) -> Config:
    """A configuration with every listener on a free loopback port."""
    free = dict.fromkeys(LISTENERS, ("127.0.0.1:0",))
    values: dict[str, object] = {
        "hostname": "mx.example.test",
        "data": folder / "data",
        "listen": Listen(**free),
        "auth": Auth(unauthenticate=True),
    }
    return Config(**(values | changes))  # type: ignore[arg-type]


def message(number: int) -> bytes:
    """The n-th message of a furnished INBOX."""
    return (
        f"Date: Mon, 2 Nov 2026 10:00:{number % 60:02d} +0000\r\n"
        f"From: Some Body <sender{number}@elsewhere.test>\r\n"
        f"To: alice@example.test\r\n"
        f"Subject: Message {number}\r\n"
        f"Message-ID: <{number}@elsewhere.test>\r\n"
        "\r\n"
        f"Body of message {number}\r\n"
    ).encode()


class TestHouse:
    """One running App."""

    __test__ = False

    def __init__(self, app: App) -> None:
        self.app = app
        self.accounts: dict[str, Account] = {}

    @classmethod
    async def open(cls, folder: Path, **changes: object) -> TestHouse:
        """Start it and make domains, accounts and aliases."""
        app = App(configuration(folder, **changes))
        await app.start()
        made = cls(app)
        await made._furnish()
        return made

    async def beside(self, folder: Path, **changes: object) -> TestHouse:
        """Another node of the same house: its store has everything already."""
        app = App(configuration(folder, **changes))
        await app.start()
        made = type(self)(app)
        made.accounts = dict(self.accounts)
        return made

    async def _furnish(self) -> None:
        store = self.app.store
        now = int(time.time())
        await store.apply(PutDomain(domain=Domain(name="example.test", created_at=now), new=True))
        backup = Domain(name="backup.test", kind=DomainKind.BACKUP, recipients="list", created_at=now)
        await store.apply(PutDomain(domain=backup, new=True))
        for address, password in PASSWORDS.items():
            self.accounts[address] = await store.apply(
                AddAccount(
                    address=address,
                    password=CHEAP.hash(password),
                    admin=address.startswith("admin"),
                    quota=GIGABYTE if address.startswith("bob") else 0,
                    created_at=now,
                )
            )
        team = Alias(address="team@example.test", targets=("alice@example.test", "bob@example.test"))
        await store.apply(PutAlias(alias=team, new=True))

    async def fill(self, address: str, count: int, *, mailbox: str = "INBOX") -> None:
        """Put `count` messages into a mailbox."""
        account = self.accounts[address]
        found = await self.app.store.mailbox(account.account_id, mailbox)
        assert found is not None
        operations = [
            AddEmail(
                account_id=account.account_id,
                mailbox_id=found.mailbox_id,
                content=Content.of(message(number)),
                received_at=1793613600 + number,
            )
            for number in range(1, count + 1)
        ]
        if operations:
            await self.app.store.commit(*operations)

    def port(self, listener: str) -> int:
        """The port of a listener."""
        return int(self.app.addresses[listener][0].rpartition(":")[2])

    async def total(self, address: str, mailbox: str = "INBOX") -> int:
        """How many messages a mailbox holds."""
        found = await self.app.store.mailbox(self.accounts[address].account_id, mailbox)
        assert found is not None
        return found.total

    async def waiting(self) -> int:
        """How many recipients wait in the outbound queue."""
        return sum(len(entry.recipients) for entry in await self.app.store.queue())

    async def expect(self, wanted: Sequence[str]) -> None:
        """Check the lines of a `.want` file."""
        for line in wanted:
            if not line.strip() or line.startswith("#"):
                continue
            what, *rest = line.split()
            if what == "queue":
                assert await self.waiting() == int(rest[0]), line
            else:
                assert await self.total(what, rest[0]) == int(rest[1]), line

    async def restart(self) -> None:
        """Stop it, and open another one over the same files (on other ports)."""
        await self.app.stop()
        self.app = App(self.app.config)
        await self.app.start()

    async def close(self) -> None:
        """Stop it."""
        await self.app.stop()
