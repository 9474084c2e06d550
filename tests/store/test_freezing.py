"""A frozen store: nothing changes any more when `freeze` has returned, whatever was under way."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import MoveEmails
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_a_long_change_under_way_is_done_when_the_store_is_frozen(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 5)
    desk = await furnish(engine)
    inbox, archive = await desk.box(), await desk.box("Archive")
    await desk.add(inbox, *map(str, range(1000)))
    await engine.settle()
    moving = asyncio.create_task(
        desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(1, 1000)]),
                target_id=archive.mailbox_id,
            )
        )
    )
    await asyncio.sleep(0)
    await engine.store.freeze()
    assert moving.done(), "else what it still does is not moved with the site"
    assert len((await moving).target) == 1000
    with pytest.raises(StoreUnavailable):
        await desk.add(inbox, "refused")
    engine.store.thaw()
    await desk.add(inbox, "taken")


async def test_who_freezes_and_is_cut_off_leaves_the_store_as_frozen_as_it_said(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    freezing = asyncio.create_task(engine.store.freeze())
    await asyncio.sleep(0)
    freezing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await freezing
    with pytest.raises(StoreUnavailable):
        await desk.add(await desk.box(), "refused")
    engine.store.thaw()
    await desk.add(await desk.box(), "taken")
