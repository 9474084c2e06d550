"""How long worker processes are waited for, with processes that do not do what they are told."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from posthouse import workers
from posthouse.config import Config
from posthouse.errors import StoreUnavailable
from posthouse.store.remote.server import StoreServer
from posthouse.workers import Workers

DEAF = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n"
LEAVING = "#!/bin/sh\nexit 7\n"


class Unchanging:
    """The part of a store that is used before a worker has said anything."""

    def watch_people(self, heard: object) -> object:
        return lambda: None


@pytest.fixture
async def one_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workers]:
    """Its program is tmp_path/program, to be written by the test."""
    monkeypatch.setattr("posthouse.workers.sys.executable", str(tmp_path / "program"))
    server = StoreServer(Unchanging(), b"")  # type: ignore[arg-type]
    made = Workers(msgspec.structs.replace(Config(hostname="mail.north.test"), workers=1), server)
    yield made
    await made.stop()
    server.close()


def program(folder: Path, text: str) -> None:
    (folder / "program").write_text(text)
    (folder / "program").chmod(0o755)


async def test_a_worker_that_never_says_it_is_ready(
    one_worker: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WORKER_START", 0.3)
    monkeypatch.setattr(workers, "WORKER_STOP", 0.1)
    program(tmp_path, DEAF)
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match="did not start"):
            await one_worker.start()


async def test_a_worker_that_does_not_hear_is_ended(
    one_worker: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WORKER_STOP", 0.3)
    program(tmp_path, DEAF)
    starting = asyncio.create_task(one_worker.start())
    async with asyncio.timeout(10):
        while not one_worker._processes:
            await asyncio.sleep(0.01)
        (process,) = one_worker._processes.values()
        await asyncio.sleep(0.2)  # until the shell has set its trap
        one_worker._is_ready((0,))
        await starting
        await one_worker.stop()
        assert await process.wait() == -9


async def test_a_worker_that_keeps_ending_is_started_ever_more_slowly(
    one_worker: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "WORKER_PAUSE", 0.1)
    monkeypatch.setattr(workers, "WORKER_PAUSE_MOST", 0.4)
    program(tmp_path, LEAVING)
    with caplog.at_level(logging.ERROR, logger="posthouse.workers"):
        one_worker._is_ready((0,))
        await one_worker.start()
        async with asyncio.timeout(10):
            while len(caplog.records) < 5:
                await asyncio.sleep(0.01)
    pauses = [re.search(r"code 7: started again in (\S+) s", one.getMessage()) for one in caplog.records]
    assert [float(one[1]) for one in pauses[:5] if one] == [0.1, 0.2, 0.4, 0.4, 0.4]
