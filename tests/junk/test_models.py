"""The filters in memory: how many, and of how many accounts it is known that they have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.junk.models import Models
from posthouse.store.derive import derive
from posthouse.store.sqlite.store import SqliteStore


async def test_filters_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.junk.models.MODELS_CACHED", 2)
    monkeypatch.setattr("posthouse.junk.models.MODELS_ABSENT", 3)
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    models = Models(store)
    for account_id in range(1, 6):
        assert await models.of(account_id) is None
    assert list(models._absent) == [3, 4, 5]
    for account_id in range(1, 6):
        await models.to_teach(account_id)
    assert list(models._models) == [4, 5]
    await store.close()
