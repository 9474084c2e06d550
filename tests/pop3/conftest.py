"""A real POP3 server on a free loopback port over a real store."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import argon2
import pytest

from posthouse.accounts.directory import Directory
from posthouse.accounts.passwords import make_scram
from posthouse.net.certificates import ensure_pair
from posthouse.net.connection import Connection
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.net.tls import server_context
from posthouse.pop3.locks import LocalLocks
from posthouse.pop3.server import Pop3Server
from posthouse.ranges import Ranges
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, Expunge, PutDomain
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import Account, Content, Domain
from posthouse.store.sqlite.store import SqliteStore

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ALICE, PASSWORD = "alice@example.test", "wonderland"
Rig = Callable[..., Awaitable["Post"]]


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    ensure_pair(folder / "cert.pem", folder / "key.pem", "localhost", datetime.now(UTC))
    return server_context(folder / "cert.pem", folder / "key.pem")


class Post:
    """The server, its store and alice's account."""

    def __init__(self, store: SqliteStore, directory: Directory, account: Account) -> None:
        self.store = store
        self.directory = directory
        self.account = account
        self.locks = LocalLocks()
        self.listeners: list[Listener] = []
        self.clients: list[Connection] = []

    async def open(self, **options: object) -> int:
        """One more server with these options, on the same locks; its port."""
        server = Pop3Server(
            store=self.store,
            directory=self.directory,
            hostname="mx.example.test",
            locks=self.locks,
            **options,  # type: ignore[arg-type]
        )
        listener = Listener(["127.0.0.1:0"], server.serve, gate=ConnectionGate(100, 100))
        await listener.start()
        self.listeners.append(listener)
        return int(listener.bound[0].rpartition(":")[2])

    async def connect(self, port: int) -> Connection:
        """A stranger who has been greeted."""
        client = await Connection.connect("127.0.0.1", port, timeout=5, session_id="client")
        self.clients.append(client)
        assert (await client.read_line(512)).startswith(b"+OK ")
        return client

    async def ask(self, client: Connection, line: bytes) -> bytes:
        """Send a line; the first line of the answer."""
        client.write(line + b"\r\n")
        return await asyncio.wait_for(client.read_line(100_000), 5)

    async def login(self, port: int) -> Connection:
        client = await self.connect(port)
        assert (await self.ask(client, b"USER " + ALICE.encode())).startswith(b"+OK")
        assert (await self.ask(client, b"PASS " + PASSWORD.encode())).startswith(b"+OK")
        return client

    async def inbox(self) -> MailboxIndex:
        mailbox = await self.store.mailbox(self.account.account_id, "INBOX")
        assert mailbox is not None
        return await self.store.index(self.account.account_id, mailbox.mailbox_id)

    async def fill(self, *raws: bytes) -> None:
        inbox = await self.inbox()
        adds = [
            AddEmail(
                account_id=self.account.account_id,
                mailbox_id=inbox.mailbox_id,
                content=Content.of(raw),
                received_at=1_700_000_000,
            )
            for raw in raws
        ]
        await self.store.commit(*adds)

    async def expunge(self, uid: int) -> None:
        """Another program removes a message."""
        inbox = await self.inbox()
        op = Expunge(
            account_id=inbox.account_id,
            mailbox_id=inbox.mailbox_id,
            uids=Ranges.of([uid]),
            force=True,
        )
        await self.store.apply(op)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    await store.apply(PutDomain(domain=Domain(name="example.test")))
    account = await store.apply(
        AddAccount(address=ALICE, password=CHEAP.hash(PASSWORD), scram=make_scram(PASSWORD), created_at=0)
    )
    directory = Directory(store)
    made = Post(store, directory, account)
    yield made
    for client in made.clients:
        client.close()
    for listener in made.listeners:
        await listener.stop(0.1)
    directory.close()
    await store.close()
