"""Both event loops: uvloop, which serves, and the stock one, which must work too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from posthouse.net.certificates import Pair, make_pair
from posthouse.net.connection import Connection
from posthouse.net.listener import ConnectionGate, Listener

Serve = Callable[[Connection], Awaitable[None]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class House:
    """Listeners that the test opens, and connections to them."""

    def __init__(self) -> None:
        self.gate = ConnectionGate(100, 100)
        self.listeners: list[Listener] = []
        self.clients: list[Connection] = []
        self.sessions: list[Connection] = []
        self.faults: list[BaseException] = []
        self.ended = asyncio.Event()

    async def listen(self, serve: Serve, address: str = "127.0.0.1:0", **options: object) -> Listener:
        async def noted(connection: Connection) -> None:
            self.sessions.append(connection)
            try:
                await serve(connection)
            except BaseException as fault:
                self.faults.append(fault)
                raise
            finally:
                self.ended.set()

        options.setdefault("gate", self.gate)
        listener = Listener([address], noted, **options)  # type: ignore[arg-type]
        await listener.start()
        self.listeners.append(listener)
        return listener

    async def connect(self, listener: Listener) -> Connection:
        host, _, port = listener.bound[0].rpartition(":")
        client = await Connection.connect(host.strip("[]"), int(port), timeout=5, session_id="client")
        self.clients.append(client)
        return client

    async def pair(self, serve: Serve, **options: object) -> Connection:
        return await self.connect(await self.listen(serve, **options))

    async def until_ended(self) -> None:
        """Until a session has ended."""
        await asyncio.wait_for(self.ended.wait(), 5)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    for client in house.clients:
        client.close()
    for listener in house.listeners:
        await listener.stop(grace=0.1)
    assert house.gate.open == 0


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Pair]:
    pair = make_pair("mx.test", datetime.now(UTC), authority=True)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(pair.certificate)
    (folder / "key.pem").write_bytes(pair.key)
    (folder / "authority.pem").write_bytes(pair.authority)
    return folder / "cert.pem", folder / "key.pem", pair
