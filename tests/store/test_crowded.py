"""Memory that others fill at the same moment: it may forget, but nothing that is there is told to be gone."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from posthouse.store.interface import PutItem
from posthouse.store.memory.cache import Recent
from posthouse.store.model import Stored
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_places_that_are_pushed_out_while_others_are_read_are_known_all_the_same(
    engine: SqliteEngine,
) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    added = await desk.add(inbox, *map(str, range(40)))
    ids = [each.email_id for each in added]
    places: Recent[tuple[int, int], Stored] = Recent(3)
    for known in ([], ids[:3], ids[-2:]):
        engine.store._live.places = places
        places.clear()
        await desk.store.stored(desk.id, known) if known else None
        found = await desk.store.stored(desk.id, ids)
        assert None not in found
        places.clear()
        await desk.store.stored(desk.id, known) if known else None
        assert await desk.store.messages(desk.id, ids) == [
            f"Subject: {number}\r\n\r\n{number}\r\n".encode() for number in range(40)
        ]


async def test_who_watches_an_account_hears_of_it_also_when_it_is_not_in_memory(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATES_CACHED", 1)
    desk, other = await furnish(engine), await furnish(engine, "bob@example.test")
    views = engine.store._live.views
    heard: list[str] = []

    async def change() -> None:
        heard.clear()
        await desk.store.apply(PutItem(account_id=desk.id, kind="Identity", data=b"{}"))
        await asyncio.sleep(0)

    end = desk.store.watch_account(desk.id, lambda: heard.append("one"))
    await change()
    assert heard == ["one"], "never looked at"
    await desk.box()
    await other.box()
    assert views.cached(desk.id) is None, "others have pushed it out"
    await change()
    assert heard == ["one"]
    end_other = desk.store.watch_account(desk.id, lambda: heard.append("two"))
    end()
    await change()
    assert heard == ["two"]
    end_other()
    end_other()
    assert views._interest.accounts == {other.id}, "nobody wants to know"
    await desk.box()
    end = desk.store.watch_account(desk.id, lambda: heard.append("three"))
    end()
    await change()
    assert (await desk.store.states(desk.id)).kinds["Identity"] == (await views.get(desk.id)).modseq
    items = await desk.store.items(desk.id, "Identity")
    assert (await views.get(desk.id)).modseq == items[-1].modseq, "in memory, so it is described still"
