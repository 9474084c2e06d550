"""The small house of tests/inbound as a fixture here too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.inbound.small_house import SmallHouse


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """An empty small house."""
    made = await SmallHouse.open(tmp_path)
    yield made
    await made.close()
