"""A node whose clock is far from the database's removes nothing for its age."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from posthouse.app import App
from posthouse.config import Store
from posthouse.limits import CLOCK_LEAP
from posthouse.storage import open_storage
from tests.house import configuration


@pytest.mark.parametrize(("ahead", "off"), [(0.0, False), (CLOCK_LEAP - 60, False), (365 * 86_400.0, True)])
async def test_it_is_seen_at_the_start(url: str, tmp_path: Path, ahead: float, off: bool) -> None:
    config = configuration(tmp_path, store=Store(url=url))
    storage = await open_storage(config, lambda: time.time() + ahead, serving=False)
    try:
        assert storage.clock_is_off() is off
    finally:
        await storage.close()


async def test_upkeep_is_told(url: str, tmp_path: Path) -> None:
    app = App(configuration(tmp_path, store=Store(url=url)))
    await app.start()
    try:
        assert app._upkeep is not None
        assert app._upkeep._clock_is_off == app.house.storage.clock_is_off
    finally:
        await app.stop()
