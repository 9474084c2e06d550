"""A masked address in a house over PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from posthouse.config import Store
from tests.house import TestHouse
from tests.kits.masked_walk import walk


async def test_it_is_made_used_switched_off_and_removed(url: str, tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path, store=Store(url=url))
    try:
        await walk(house)
    finally:
        await house.close()
