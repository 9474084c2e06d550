"""kill -9 under load: what was answered is there exactly once, nothing half-made is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.kill_campaign import run

KILLS = 25


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_store_keeps_every_promise(tmp_path: Path) -> None:
    ledger = run(tmp_path, KILLS, seed=9051)
    for kind in ("added", "flagged", "moved", "removed", "replaced", "queued"):
        assert len(ledger.named(kind)) > KILLS, "the load was too light to prove anything"
