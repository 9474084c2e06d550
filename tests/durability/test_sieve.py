"""kill -9 while a script files, answers and remembers: what it did and what it remembers agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.sieve_campaign import HANDLES, run

KILLS = 20


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_twenty_kills_part_no_message_from_what_its_script_did(tmp_path: Path) -> None:
    campaign = run(tmp_path, KILLS, seed=20261128)
    assert len(campaign.accepted) > 5 * KILLS, "the load was too light to prove anything"
    assert campaign.answers > HANDLES // 2
