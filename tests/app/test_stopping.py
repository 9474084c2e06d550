"""What works behind everybody's back ends when it is told to, also when it is woken at the same instant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from posthouse.errors import StoreUnavailable
from posthouse.house import House
from posthouse.store.interface import PutDomain
from posthouse.store.model import Domain
from tests.house import TestHouse

PATIENCE = 5.0


@pytest.mark.parametrize(
    ("rests_on", "wake", "stop"),
    [
        (
            lambda house: house.outbox._woken,
            lambda house: house.outbox.wake(),
            lambda house: house.outbox.stop(),
        ),
        (
            lambda house: house.junk.trainer._wanted,
            lambda house: house.junk.trainer._wake(),
            lambda house: house.junk.stop(),
        ),
    ],
    ids=["outbox", "trainer"],
)
async def test_woken_and_stopped_at_once(
    rests_on: Callable[[House], asyncio.Event],
    wake: Callable[[House], None],
    stop: Callable[[House], Coroutine[None, None, None]],
    tmp_path: Path,
) -> None:
    house = await TestHouse.open(tmp_path)
    try:
        async with asyncio.timeout(PATIENCE):
            while not rests_on(house.app.house)._waiters:
                await asyncio.sleep(0.002)
        wake(house.app.house)
        stopping = asyncio.ensure_future(stop(house.app.house))
        done, _ = await asyncio.wait([stopping], timeout=PATIENCE)
        assert done, "it goes on and on"
    finally:
        await house.close()


@pytest.mark.parametrize("part", ["outbox", "junk"])
async def test_a_part_that_cannot_stop_keeps_the_store_from_nothing(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = await TestHouse.open(tmp_path)
    real = getattr(house.app.house, part).stop

    async def broken() -> None:
        await real()
        raise ZeroDivisionError

    monkeypatch.setattr(getattr(house.app.house, part), "stop", broken)
    await house.close()
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(StoreUnavailable, match="closed"):
        await house.app.store.apply(PutDomain(domain=Domain(name="late.test"), new=True))
