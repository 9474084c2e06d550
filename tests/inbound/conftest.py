"""The small house and the office as fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from posthouse.config import Junk, MsgAuth
from tests.house import TestHouse
from tests.inbound.office import Office
from tests.inbound.small_house import SmallHouse


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """An empty small house."""
    made = await SmallHouse.open(tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Without DNS: who sends is not asked."""
    house = await TestHouse.open(tmp_path, msgauth=MsgAuth(verify="off"), junk=Junk(filter="off"))
    yield Office(house)
    await house.close()
