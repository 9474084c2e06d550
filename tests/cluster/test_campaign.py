"""The fault campaign in its short form: each fault once, and every promise kept."""

from __future__ import annotations

from tests.cluster.absent import absent
from tests.cluster.campaign import Campaign
from tests.cluster.database import programs


async def test_every_promise_is_kept() -> None:
    if programs() is None:
        absent("PostgreSQL (scripts/install-peers.sh)")
    said: list[str] = []
    campaign = Campaign(10, seed=1, say=said.append)
    assert await campaign.run(), "\n".join(said)
    assert sum(campaign.done.values()) == 10
    assert campaign.packed or campaign.objects is None, "\n".join(said)
