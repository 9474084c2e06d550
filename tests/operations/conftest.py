"""A house without doors, over a real store, with cheap hashes and DNS by zone text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.config import Config
from posthouse.house import House
from tests.operations.shell import Shell

ZONE = """
north.test.     MX   10 mx.north.test.
north.test.     TXT  "v=spf1 mx -all"
mx.north.test.  A    192.0.2.1
"""


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is not the hashing."""
    monkeypatch.setattr(limits, "ARGON2_MEMORY", 8)
    monkeypatch.setattr(limits, "ARGON2_PASSES", 1)
    monkeypatch.setattr(limits, "SCRAM_ITERATIONS", 4096)


@pytest.fixture
async def house(tmp_path: Path, cheap_hashes: None) -> AsyncIterator[House]:
    house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data"))
    yield house
    await house.close()


@pytest.fixture
def shell(tmp_path: Path, cheap_hashes: None) -> Shell:
    return Shell(tmp_path)
