"""A real ManageSieve server on a free loopback port over a real store, with the real compiler of scripts."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argon2
import pytest

from posthouse.accounts.directory import Directory
from posthouse.accounts.passwords import make_scram
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.managesieve.server import SieveServer
from posthouse.net.certificates import ensure_pair
from posthouse.net.connection import Connection
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.net.tls import server_context
from posthouse.sieve.validate import compile_script
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, PutDomain
from posthouse.store.model import Account, Domain
from posthouse.store.sqlite.store import SqliteStore

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ALICE, PASSWORD = "alice@example.test", "wonderland"
EXTENSIONS = ("enotify", "fileinto")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    ensure_pair(folder / "cert.pem", folder / "key.pem", "localhost", datetime.now(UTC))
    return server_context(folder / "cert.pem", folder / "key.pem")


def plain(password: str = PASSWORD, name: str = ALICE) -> bytes:
    """The initial response of PLAIN."""
    return base64.b64encode(f"\0{name}\0{password}".encode())


class Desk:
    """The server, its store and alice's account."""

    def __init__(self, store: SqliteStore, directory: Directory, account: Account) -> None:
        self.store = store
        self.directory = directory
        self.account = account
        self.scripts: SieveScripts[Any] = SieveScripts(store, compile_script)
        self.listeners: list[Listener] = []
        self.clients: list[Connection] = []

    async def open(self, **options: Any) -> int:
        """One more server with these options; its port."""
        values = {"hostname": "mx.example.test", "extensions": EXTENSIONS, **options}
        server = SieveServer(scripts=self.scripts, directory=self.directory, **values)
        listener = Listener(["127.0.0.1:0"], server.serve, gate=ConnectionGate(100, 100))
        await listener.start()
        self.listeners.append(listener)
        return int(listener.bound[0].rpartition(":")[2])

    async def connect(self, port: int) -> Connection:
        """A stranger who has been greeted."""
        client = await Connection.connect("127.0.0.1", port, timeout=5, session_id="client")
        self.clients.append(client)
        await until(client, b"OK")
        return client

    async def login(self, port: int) -> Connection:
        """Alice."""
        client = await self.connect(port)
        assert (await ask(client, b'AUTHENTICATE "PLAIN" "' + plain() + b'"')).startswith(b"OK")
        return client


async def ask(client: Connection, line: bytes) -> bytes:
    """Send a line; the first line of the answer."""
    client.write(line + b"\r\n")
    return await asyncio.wait_for(client.read_line(100_000), 5)


async def until(client: Connection, word: bytes) -> list[bytes]:
    """All lines up to one that begins so."""
    lines = [await asyncio.wait_for(client.read_line(100_000), 5)]
    while not lines[-1].startswith(word):
        lines.append(await asyncio.wait_for(client.read_line(100_000), 5))
    return lines


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    await store.apply(PutDomain(domain=Domain(name="example.test")))
    account = await store.apply(
        AddAccount(address=ALICE, password=CHEAP.hash(PASSWORD), scram=make_scram(PASSWORD), created_at=0)
    )
    directory = Directory(store)
    made = Desk(store, directory, account)
    yield made
    for client in made.clients:
        client.close()
    for listener in made.listeners:
        await listener.stop(0.1)
    directory.close()
    await store.close()
