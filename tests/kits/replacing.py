"""A new message for an old one (RFC 8508): `Expunge` of messages that must be there, with `AddEmail` in one commit."""

from __future__ import annotations

import asyncio

import pytest

from posthouse.errors import NotFound, OverQuota
from posthouse.ranges import Ranges
from posthouse.store.interface import Added, Expunge
from posthouse.store.model import Mailbox
from tests.kits.engine import Desk, EngineUnderTest, furnish


def exactly(desk: Desk, mailbox: Mailbox, uids: str, *, force: bool = True) -> Expunge:
    return Expunge(
        account_id=desk.id,
        mailbox_id=mailbox.mailbox_id,
        uids=Ranges.parse(uids),
        force=force,
        complete=True,
    )


class ReplaceKit:
    """All of them or none, and what comes with them too."""

    async def test_both_happen_at_once(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        old = await desk.add(inbox, *"abc")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        start = index.highest_modseq
        gone, added = await desk.store.commit(exactly(desk, inbox, "2"), desk.message(inbox, "new"))
        assert gone.uids == Ranges.parse("2")
        assert added.uid == 4
        assert added.email_id not in {each.email_id for each in old}
        assert list(index.uids) == [1, 3, 4]
        assert await desk.store.vanished_since(desk.id, inbox.mailbox_id, start) == Ranges.parse("2")
        await engine.reopen()
        box = await desk.box()
        assert (box.total, box.uid_next) == (3, 5)

    async def test_what_is_gone_cannot_be_replaced(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, sent = await desk.box(), await desk.box("Sent")
        await desk.add(inbox, *"abc")
        await desk.store.apply(exactly(desk, inbox, "2"))
        usage = await desk.store.usage(desk.id)
        for uids in ("2", "1:3", "9"):
            with pytest.raises(NotFound):
                await desk.store.commit(exactly(desk, inbox, uids), desk.message(sent, "new"))
            with pytest.raises(NotFound):
                await desk.store.commit(desk.message(sent, "new"), exactly(desk, inbox, uids))
        assert list((await desk.store.index(desk.id, inbox.mailbox_id)).uids) == [1, 3]
        assert (await desk.box("Sent")).total == 0
        assert await desk.store.usage(desk.id) == usage
        await engine.reopen()
        assert ((await desk.box()).total, (await desk.box("Sent")).total) == (2, 0)

    async def test_without_force_all_must_be_deleted(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *"abc")
        await desk.flag(inbox, "1", "\\Deleted")
        with pytest.raises(NotFound):
            await desk.store.apply(exactly(desk, inbox, "1:2", force=False))
        assert (await desk.box()).total == 3
        done = await desk.store.apply(exactly(desk, inbox, "1", force=False))
        assert done.uids == Ranges.parse("1")

    async def test_of_several_at_the_same_time_one_wins(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "draft")
        tries = [
            desk.store.commit(exactly(desk, inbox, "1"), desk.message(inbox, f"number {i}"))
            for i in range(10)
        ]
        results = await asyncio.gather(*tries, return_exceptions=True)
        won = [each for each in results if not isinstance(each, BaseException)]
        assert len(won) == 1
        assert all(isinstance(each, NotFound) for each in results if isinstance(each, BaseException))
        added = won[0][1]
        assert isinstance(added, Added)
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert list(index.uids) == [added.uid]
        assert (await desk.box()).total == 1

    async def test_the_quota_sees_what_is_freed(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine, quota=1000)
        inbox = await desk.box()
        await desk.add(inbox, "x" * 400)
        with pytest.raises(OverQuota):
            await desk.add(inbox, "y" * 400)
        _, added = await desk.store.commit(exactly(desk, inbox, "1"), desk.message(inbox, "y" * 400))
        with pytest.raises(OverQuota):
            await desk.store.commit(exactly(desk, inbox, str(added.uid)), desk.message(inbox, "z" * 600))
        box = await desk.box()
        assert box.total == 1
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert list(index.uids) == [added.uid]
