"""kill -9 a hundred times under load: nothing answered is lost, nothing is there twice, nothing half-made is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.campaign import run

KILLS = 100


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    campaign = run(tmp_path, KILLS, seed=20261123)
    assert len(campaign.ledger.accepted) > KILLS, "the load was too light to prove anything"
    assert campaign.ledger.flags
    assert campaign.ledger.moved
