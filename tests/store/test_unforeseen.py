"""Jobs behind everybody's back: a fault that nobody foresaw is logged and tried again; no job ends of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from posthouse import limits
from posthouse.store import settler
from posthouse.store.foreground import Foreground
from posthouse.store.postgres import digesting, sweeping
from posthouse.store.postgres.digesting import Digester
from posthouse.store.postgres.packing import Packer
from posthouse.store.postgres.sweeping import Sweeper
from posthouse.store.sqlite import compaction, deriving
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine
from tests.waiting import until


class Once:
    """Fails the first time, then does what it stands for."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.calls = 0

    async def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError
        return await self.real(*arguments)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compaction, deriving, settler, digesting, sweeping):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)


async def test_deriving_goes_on_after_a_fault(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await engine.settle()
    deriver = engine.store._engine._deriver
    once = Once(deriver._step)
    monkeypatch.setattr(deriver, "_step", once)
    desk = await furnish(engine)
    (added,) = await desk.add(await desk.box(), "a")
    await engine.settle()
    assert once.calls > 1
    assert not engine.store._engine.foreground.urgent
    found = await engine.store._engine.readers.run(
        lambda reader: reader.db.rows("SELECT email_id FROM derived")
    )
    assert found == [(added.email_id,)]


async def test_settling_flags_goes_on_after_a_fault(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 2)
    await engine.settle()
    job = engine.store._engine._settler
    once = Once(job._settle_one)
    monkeypatch.setattr(job, "_settle_one", once)
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "a", "b", "c")
    await desk.flag(inbox, "1:3", "\\Seen")
    await engine.settle()
    assert once.calls > 1
    found = await engine.store._engine.readers.run(
        lambda reader: reader.db.rows("SELECT DISTINCT flags FROM placement")
    )
    assert found == [(1,)]


async def test_compaction_goes_on_after_a_fault(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.settle()
    compactor = engine.store._engine._compactor
    once = Once(compactor.step)
    monkeypatch.setattr(compactor, "step", once)
    compactor.wake()
    async with asyncio.timeout(10):
        while once.calls < 2:
            await asyncio.sleep(0.01)


# --- a cluster's -------------------------------------------------------------------------------------------------


async def nothing_to_do(*_: Any) -> bool:
    return False


async def goes_on(job: Any, once: Once) -> None:
    """Until it has been at work again after its fault."""
    running = asyncio.create_task(job.run())
    await until(lambda: once.calls > 1 or running.done(), 10)
    assert not running.done()
    running.cancel()


async def test_sweeping_goes_on_after_a_fault() -> None:
    once = Once(nothing_to_do)
    sweeper = Sweeper(once, None, lambda: 0.0)
    sweeper.wake()
    await goes_on(sweeper, once)


async def test_deriving_in_a_cluster_goes_on_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    unused: Any = None
    digester = Digester(unused, unused, nothing_to_do, Foreground())
    once = Once(nothing_to_do)
    monkeypatch.setattr(digester, "_step", once)
    await goes_on(digester, once)


async def test_packing_goes_on_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_LOOK", 0.01)
    unused: Any = None
    packer = Packer(unused, unused, nothing_to_do, Foreground())
    once = Once(nothing_to_do)
    monkeypatch.setattr(packer, "look", once)
    await goes_on(packer, once)
