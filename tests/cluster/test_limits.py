"""What a node keeps for a database that does not answer, by the very numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from posthouse.store.memory.changes import AccountGone
from posthouse.store.postgres.connection import Server
from posthouse.store.postgres.notices import Notices
from tests.cluster.conftest import PostgresEngine
from tests.store.test_backlog import check_snapshots


def notices() -> Notices:
    live: Any = SimpleNamespace(spread=None)
    return Notices(Server("postgresql://nowhere.test/none"), live, "node")


async def test_ten_thousand_notices_wait_for_the_database() -> None:
    waiting = notices()
    for number in range(10_001):
        waiting.tell("login", ("failed", str(number), ""))
    assert len(waiting._outgoing) == 10_000
    assert waiting._outgoing[-1].told == [("login", "failed", "9999", "")]


async def test_of_more_commits_than_ten_thousand_others_hear_nothing_and_look_for_themselves() -> None:
    waiting = notices()
    change = AccountGone(account_id=1)
    for _ in range(10_000):
        waiting.post([change])
    assert len(waiting._outgoing) == 10_000
    waiting.post([change])
    assert len(waiting._outgoing) == 1


async def test_a_hundred_and_twenty_eight_megabytes_of_snapshots_wait(engine: PostgresEngine) -> None:
    await check_snapshots(engine.store._engine._snapshots_waiting)
