"""kill -9 between a post to a mailing list and its copies: each member gets it once, or its sender still has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.list_campaign import run

KILLS = 6


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_kills_part_no_copy_of_a_post_from_another(tmp_path: Path) -> None:
    campaign = run(tmp_path, KILLS, seed=20261128)
    assert len(campaign.accepted) > KILLS, "the load was too light to prove anything"
