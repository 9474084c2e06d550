"""A real IMAP server on a free loopback port over a real store, for tests that need sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argon2
import pytest

from posthouse.accounts.directory import Directory
from posthouse.accounts.passwords import make_scram
from posthouse.config import Auth
from posthouse.imap.server import ImapServer
from posthouse.net.certificates import ensure_pair
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.net.tls import server_context
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, PutDomain, Store
from posthouse.store.model import Account, Content, Domain
from posthouse.store.sqlite.searching import text_search
from posthouse.store.sqlite.store import SqliteStore
from tests.house import TestHouse

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "wonderland"
MESSAGE_SIZE = 2**22


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """The server's side of TLS."""
    folder = tmp_path_factory.mktemp("tls")
    ensure_pair(folder / "cert.pem", folder / "key.pem", "localhost", datetime.now(UTC))
    return server_context(folder / "cert.pem", folder / "key.pem")


class Client:
    """A raw client: what it sends and hears is octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        """The next line, or b"" when the server has closed."""
        return await asyncio.wait_for(self.reader.readline(), 10)

    async def until(self, start: bytes) -> list[bytes]:
        """Lines up to the first that begins so."""
        lines = [await self.line()]
        while not lines[-1].startswith(start):
            assert lines[-1], f"closed before {start!r}: {lines}"
            lines.append(await self.line())
        return lines

    async def command(self, text: bytes) -> list[bytes]:
        """Send a command; its answer."""
        self.send(b"t " + text + b"\r\n")
        return await self.until(b"t ")


class Post:
    """The server, its store and alice's account."""

    def __init__(self, store: Store, directory: Directory, listener: Listener, account: Account) -> None:
        self.store = store
        self.directory = directory
        self.listener = listener
        self.account = account
        self.clients: list[Client] = []

    @property
    def port(self) -> int:
        return int(self.listener.bound[0].rpartition(":")[2])

    async def connect(self) -> Client:
        """A stranger who has been greeted."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**24))
        self.clients.append(client)
        assert (await client.line()).startswith(b"* OK ")
        return client

    async def login(self) -> Client:
        """Alice."""
        client = await self.connect()
        answer = await client.command(b"LOGIN alice@example.test wonderland")
        assert answer[-1].startswith(b"t OK "), answer
        return client

    async def fill(self, *raws: bytes) -> None:
        """Put messages into INBOX."""
        inbox = await self.store.mailbox(self.account.account_id, "INBOX")
        assert inbox is not None
        await self.store.commit(
            *(
                AddEmail(
                    account_id=self.account.account_id,
                    mailbox_id=inbox.mailbox_id,
                    content=Content.of(raw),
                    received_at=1_700_000_000,
                )
                for raw in raws
            )
        )


@pytest.fixture
async def post(tmp_path: Path, tls: ssl.SSLContext) -> AsyncIterator[Post]:
    """A post with alice and nobody else."""
    store = await SqliteStore.open(
        tmp_path / "mail.db", tmp_path / "blobs", derive=derive, search=text_search(tmp_path / "search.db")
    )
    await store.apply(PutDomain(domain=Domain(name="example.test")))
    account = await store.apply(
        AddAccount(
            address="alice@example.test",
            password=CHEAP.hash(PASSWORD),
            scram=make_scram(PASSWORD),
            created_at=0,
        )
    )
    directory = Directory(store)
    server = ImapServer(
        store=store,
        directory=directory,
        hostname="mx.example.test",
        message_size=MESSAGE_SIZE,
        auth=Auth(unauthenticate=True),
        tls=tls,
    )
    listener = Listener(["127.0.0.1:0"], server.serve, gate=ConnectionGate(100, 100))
    await listener.start()
    made = Post(store, directory, listener, account)
    yield made
    for client in made.clients:
        client.writer.close()
    await listener.stop(0.1)
    directory.close()
    await store.close()


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[Any]:
    """A whole house for people who share with one another."""
    from tests.imap.shared import Neighbours  # it needs Client from here

    house = await TestHouse.open(tmp_path)
    made = Neighbours(house)
    yield made
    made.close()
    await house.close()
