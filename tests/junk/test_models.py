"""The filters in memory: how many, and of how many accounts it is known that they have none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from posthouse.junk.models import Models
from posthouse.store.derive import derive
from posthouse.store.judgement import HOUSE
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
        async with models.lesson(account_id) as school:
            models.taught(school)
    assert list(models._models) == [4, 5]
    await store.close()


async def test_who_teaches_at_the_same_time_undoes_nobody(tmp_path: Path) -> None:
    """The trainer and `spam train` may meet, and another process may have told that a filter is to be read anew."""
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    models = Models(store)

    async def teach() -> None:
        async with models.lesson(HOUSE, 1) as school:
            for owner, model in school.items():
                model.learn(["word"], junk=True)
                await asyncio.sleep(0)
                models.forget(owner)
                await store.apply(await models.packed(owner, model))
            models.taught(school)

    await asyncio.gather(*(teach() for _ in range(5)))
    own = await models.of(1)
    assert own is not None
    assert own.junk == (await models.house()).junk == 5
    anew = Models(store)
    assert (await anew.house()).junk == 5
    await store.close()


async def test_what_is_not_kept_is_not_in_use(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "mail.db", tmp_path / "blobs", derive=derive)
    models = Models(store)
    with pytest.raises(ZeroDivisionError):
        async with models.lesson(1) as school:
            school[1].learn(["word"], junk=True)
            raise ZeroDivisionError
    assert await models.of(1) is None
    await store.close()
