"""Real scripts on mail that comes by SMTP, over PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.config import Junk, MsgAuth, Store
from tests.house import TestHouse
from tests.inbound.office import Office
from tests.kits.sieve_walks import KEEPING, Walk


@pytest.mark.parametrize("walk", KEEPING)
async def test_a_script_does_what_it_says(url: str, tmp_path: Path, walk: Walk) -> None:
    house = await TestHouse.open(
        tmp_path, store=Store(url=url), msgauth=MsgAuth(verify="off"), junk=Junk(filter="off")
    )
    try:
        await walk(Office(house))
    finally:
        await house.close()
