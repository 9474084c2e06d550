"""How worker processes are started, started again and ended: with programs that misbehave in their place."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from posthouse import workers as workers_module
from posthouse.config import Config
from posthouse.errors import StoreUnavailable
from posthouse.limits import WORKER_PAUSE, WORKER_PAUSE_MOST, WORKER_STOP
from posthouse.store.derive import derive
from posthouse.store.remote.calls import READY
from posthouse.store.remote.server import Client, StoreServer
from posthouse.store.sqlite.store import SqliteStore
from posthouse.workers import Workers

DEAF = "trap '' TERM\nwhile :; do sleep 0.05; done\n"
UNTIL_GO = "while [ ! -e {go} ]; do sleep 0.01; done\nexit 3\n"


class Stage:
    """One worker's keeper, and the program that stands for the worker."""

    def __init__(self, folder: Path, server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program = folder / "program"
        self.go = folder / "go"
        self._begun = folder / "begun"
        self._server = server
        self.workers = Workers(Config(hostname="mx.north.test", data=folder, workers=1), server)
        monkeypatch.setattr(sys, "executable", str(self.program))

    def play(self, body: str) -> None:
        """What a worker does from now on; each life begins with noting its process id."""
        beside = self.program.with_suffix(".new")
        beside.write_text(f"#!/bin/sh\necho $$ >> {self._begun}\n{body.format(go=self.go)}")
        beside.chmod(0o755)
        beside.replace(self.program)

    @property
    def lives(self) -> list[int]:
        """Process ids of all that began."""
        return list(map(int, self._begun.read_text().split())) if self._begun.exists() else []

    async def start(self) -> None:
        """Start it; it says that it is ready."""
        starting = asyncio.create_task(self.workers.start())
        await settled(lambda: bool(self.lives))
        self._server.heard(Client(self._server), READY, (0,))
        await starting


@asynccontextmanager
async def stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
    server = StoreServer(store, b"s" * 32)
    made = Stage(folder, server, monkeypatch)
    try:
        yield made
    finally:
        await made.workers.stop()
        server.close()
        await store.close()


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether no process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def pauses(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about each next start, in seconds."""
    return [
        line.rsplit(" ", 2)[1]
        for line in (record.getMessage() for record in caplog.records)
        if "started again in" in line
    ]


def test_the_pauses_are_sensible() -> None:
    assert 0 < WORKER_PAUSE < WORKER_PAUSE_MOST <= 60
    assert WORKER_STOP <= 60


async def test_who_is_not_ready_in_time_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "WORKER_START", 0.2)
    monkeypatch.setattr(workers_module, "WORKER_STOP", 0.1)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(DEAF)
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable):
                await made.workers.start()
        await settled(lambda: bool(made.lives))
        assert made.workers.running == 0


async def test_who_does_not_end_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "WORKER_STOP", 0.2)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(DEAF)
        await made.start()
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(10):
            await made.workers.stop()
        assert asyncio.get_running_loop().time() - began >= 0.2  # it had its time
        await settled(lambda: is_gone(made.lives[0]))
        assert len(made.lives) == 1


async def test_who_does_not_last_is_started_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers_module, "WORKER_PAUSE", 0.2)
    monkeypatch.setattr(workers_module, "WORKER_PAUSE_MOST", 0.6)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(UNTIL_GO)
        await made.start()
        made.go.touch()
        await settled(lambda: len(pauses(caplog)) >= 4)
    # the pause itself is no part of how long it lasted: it stays at the longest one
    assert pauses(caplog)[:4] == ["0.2", "0.4", "0.6", "0.6"]


async def test_who_has_lasted_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers_module, "WORKER_PAUSE", 0.2)
    monkeypatch.setattr(workers_module, "WORKER_PAUSE_MOST", 0.6)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(UNTIL_GO)
        await made.start()
        made.go.touch()
        await settled(lambda: len(pauses(caplog)) == 2)
        made.play("sleep 1\n")
        await settled(lambda: len(pauses(caplog)) == 3)
    assert pauses(caplog)[:3] == ["0.2", "0.4", "0.2"]


async def test_a_pause_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers_module, "WORKER_PAUSE", 60.0)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(UNTIL_GO)
        await made.start()
        made.go.touch()
        await settled(lambda: len(pauses(caplog)) == 1)
        async with asyncio.timeout(10):
            await made.workers.stop()
        assert len(made.lives) == 1


async def test_a_process_that_cannot_be_had_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers_module, "WORKER_PAUSE", 0.05)
    async with stage(tmp_path, monkeypatch) as made:
        made.play(UNTIL_GO)
        await made.start()
        made.program.unlink()
        made.go.touch()
        await settled(lambda: "could not be started" in caplog.text)
        made.play("")
        await settled(lambda: len(made.lives) > 1)
