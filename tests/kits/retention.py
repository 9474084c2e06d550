"""Mail leaves a mailbox some days after it came into it, as its owner or the house says (`store.retention`)."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.ranges import Ranges
from posthouse.store.interface import (
    AddAccount,
    CreateMailbox,
    DeleteMailbox,
    MoveEmails,
    PlaceEmails,
    RemoveAccount,
    SetRole,
)
from posthouse.store.model import Mailbox, Role
from posthouse.store.retention import DAY, Aging, Defaults, OldRemoved, RemoveOld, SetRetention
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish

NOTHING = OldRemoved(messages=0, done_to=0)


class Clock:
    """What the engine goes by."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now

    def to(self, days: float) -> None:
        """So many days after the beginning."""
        self.now = int(NOW + days * DAY)


@pytest.fixture
async def clock(engine: EngineUnderTest) -> Clock:
    clock = Clock()
    engine.settings |= {"now": clock, "keep_deleted": True}
    await engine.reopen()
    return clock


async def keep(desk: Desk, mailbox: Mailbox, days: int | None) -> None:
    await desk.store.apply(SetRetention(account_id=desk.id, mailbox_id=mailbox.mailbox_id, days=days))


async def remove(desk: Desk, mailbox: Mailbox, after: int = 0, **defaults: int) -> OldRemoved:
    return await desk.store.apply(
        RemoveOld(
            account_id=desk.id,
            mailbox_id=mailbox.mailbox_id,
            defaults=Defaults(**defaults),
            after=after,
        )
    )


async def uids(desk: Desk, mailbox: Mailbox) -> list[int]:
    return list((await desk.store.index(desk.id, mailbox.mailbox_id)).uids)


async def made(desk: Desk, name: str = "News") -> Mailbox:
    return await desk.store.apply(CreateMailbox(account_id=desk.id, name=name))


class RetentionKit:
    """On any engine."""

    async def test_what_came_before_the_days_leaves_as_an_expunge(
        self, engine: EngineUnderTest, clock: Clock
    ) -> None:
        desk = await furnish(engine)
        news = await made(desk)
        await keep(desk, news, 30)
        one, two = await desk.add(news, "a", "b", received_at=1234)
        clock.to(1)
        await desk.add(news, "c", received_at=1234)
        before = (await desk.store.mailbox(desk.id, "News") or news).highest_modseq
        state = (await desk.store.states(desk.id)).mail
        clock.to(30 - 1 / DAY)
        assert await remove(desk, news) == NOTHING
        clock.to(30)
        assert await remove(desk, news) == OldRemoved(messages=2, done_to=0)
        assert await uids(desk, news) == [3]
        assert await desk.store.vanished_since(desk.id, news.mailbox_id, before) == Ranges([(1, 2)])
        box = await desk.box("News")
        assert (box.total, box.unseen, box.uid_next, box.highest_modseq > before) == (1, 1, 4, True)
        assert (await desk.store.usage(desk.id)).messages == 1
        changes = await desk.store.email_changes(desk.id, state)
        assert changes is not None
        assert {(each.email_id, each.gone) for each in changes} == {
            (one.email_id, True),
            (two.email_id, True),
        }
        deleted = await desk.store.deleted(desk.id, 10)
        assert [(each.mailbox, each.deleted_at) for each in deleted] == [("News", clock.now)] * 2
        assert await remove(desk, news) == NOTHING

    async def test_it_counts_from_when_a_message_came_into_the_mailbox(
        self, engine: EngineUnderTest, clock: Clock
    ) -> None:
        desk = await furnish(engine)
        inbox, news = await desk.box(), await made(desk)
        await keep(desk, news, 10)
        await desk.add(inbox, "a")
        clock.to(9)
        ids = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": news.mailbox_id}
        await desk.store.apply(MoveEmails(**ids, uids=Ranges.parse("1")))  # type: ignore[arg-type]
        clock.to(18)
        assert await remove(desk, news) == NOTHING
        clock.to(19)
        assert (await remove(desk, news)).messages == 1

    async def test_flagged_messages_stay_until_they_are_no_longer(
        self, engine: EngineUnderTest, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "FLAGS_LOGGED", 2)  # so that it is in the log, not yet in the rows
        desk = await furnish(engine)
        news = await made(desk)
        await keep(desk, news, 1)
        await desk.add(news, *"abcd")
        await desk.flag(news, "1:3", "\\Flagged")
        clock.to(2)
        assert (await remove(desk, news)).messages == 1
        assert await uids(desk, news) == [1, 2, 3]
        await desk.flag(news, "1:3", "\\Flagged", action="remove")
        await desk.flag(news, "2", "\\Flagged", "\\Seen")
        assert (await remove(desk, news)).messages == 2
        assert await uids(desk, news) == [2]

    async def test_many_go_piece_by_piece(
        self, engine: EngineUnderTest, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "PIECE_ROWS", 3)
        desk = await furnish(engine)
        news = await made(desk)
        await keep(desk, news, 1)
        await desk.add(news, *"abcdefg")
        await desk.flag(news, "1:3", "\\Flagged")
        clock.to(2)
        assert await remove(desk, news) == OldRemoved(messages=0, done_to=3)
        assert await remove(desk, news, 3) == OldRemoved(messages=3, done_to=6)
        assert await remove(desk, news, 6) == OldRemoved(messages=1, done_to=0)
        assert await uids(desk, news) == [1, 2, 3]

    async def test_an_email_that_is_elsewhere_too_leaves_this_mailbox_only(
        self, engine: EngineUnderTest, clock: Clock
    ) -> None:
        desk = await furnish(engine)
        inbox, news = await desk.box(), await made(desk)
        await keep(desk, news, 1)
        (one,) = await desk.add(inbox, "a")
        ids = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": news.mailbox_id}
        await desk.store.apply(PlaceEmails(**ids, uids=Ranges.parse("1")))  # type: ignore[arg-type]
        clock.to(2)
        assert (await remove(desk, news)).messages == 1
        assert await uids(desk, inbox) == [1]
        assert await desk.store.messages(desk.id, [one.email_id]) != [None]
        assert await desk.store.deleted(desk.id, 10) == []

    async def test_the_house_has_defaults_for_trash_and_junk(
        self, engine: EngineUnderTest, clock: Clock
    ) -> None:
        desk = await furnish(engine)
        boxes = {name: await desk.box(name) for name in ("INBOX", "Trash", "Junk", "Archive")}
        for box in boxes.values():
            await desk.add(box, "a")
        clock.to(40)
        for box in boxes.values():
            assert await remove(desk, box) == NOTHING
        removed = {name: (await remove(desk, box, trash=30, junk=41)).messages for name, box in boxes.items()}
        assert removed == {"INBOX": 0, "Trash": 1, "Junk": 0, "Archive": 0}
        await keep(desk, boxes["Junk"], 0)  # its owner has said: never
        assert await remove(desk, boxes["Junk"], junk=1) == NOTHING
        await keep(desk, boxes["Junk"], None)
        assert (await remove(desk, boxes["Junk"], junk=1)).messages == 1

    async def test_what_was_said_is_kept_and_told(self, engine: EngineUnderTest, clock: Clock) -> None:
        desk = await furnish(engine)
        news = await made(desk)
        assert news.kept_days is None
        await keep(desk, news, 30)
        once = await desk.box("News")
        assert (once.kept_days, once.changed_modseq > news.changed_modseq) == (30, True)
        await keep(desk, news, 30)
        assert await desk.box("News") == once
        await engine.reopen()
        assert (await desk.box("News")).kept_days == 30
        await keep(desk, news, 0)
        await engine.reopen()
        assert (await desk.box("News")).kept_days == 0
        await keep(desk, news, None)
        await engine.reopen()
        assert (await desk.box("News")).kept_days is None

    async def test_some_mailboxes_keep_everything(self, engine: EngineUnderTest, clock: Clock) -> None:
        desk = await furnish(engine)
        news = await made(desk)
        for name in ("INBOX", "Drafts"):
            with pytest.raises(Conflict):
                await keep(desk, await desk.box(name), 1)
        await keep(desk, await desk.box(), 0)
        for days in (-1, limits.RETENTION_DAYS + 1):
            with pytest.raises(Conflict):
                await keep(desk, news, days)
        await keep(desk, news, limits.RETENTION_DAYS)
        role: dict[str, Any] = {"account_id": desk.id, "mailbox_id": news.mailbox_id}
        await desk.store.apply(SetRole(**role, role=Role.SNOOZED))
        assert (await desk.box("News")).kept_days is None
        await engine.reopen()
        assert (await desk.box("News")).kept_days is None

    async def test_where_there_is_something_to_do(
        self, engine: EngineUnderTest, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await furnish(engine)
        other = await furnish(engine, "bob@example.test")
        store = desk.store
        news, old, trash = await made(desk), await made(desk, "Old"), await other.box("Trash")
        assert await store.aging(clock.now, Defaults()) == []
        for box in (news, old):
            await keep(desk, box, 5)
        await desk.add(old, "a")
        await desk.add(old, "b")
        await desk.flag(old, "2", "\\Flagged")
        await other.add(trash, "c")
        clock.to(4)
        await desk.add(news, "d")
        clock.to(5)

        def found(*rows: tuple[Desk, Mailbox, bool]) -> list[Aging]:
            return [Aging(account_id=d.id, mailbox_id=m.mailbox_id, has_old=o) for d, m, o in rows]

        mine = found((desk, news, False), (desk, old, True))
        assert await store.aging(clock.now, Defaults()) == mine
        with_trash = await store.aging(clock.now, Defaults(trash=5))
        own_trash = await desk.box("Trash")
        assert {(each.mailbox_id, each.has_old) for each in with_trash} == {
            *((each.mailbox_id, each.has_old) for each in mine),
            (own_trash.mailbox_id, False),
            (trash.mailbox_id, True),
        }
        monkeypatch.setattr(limits, "RETENTION_LOOKED_AT", 1)
        assert await store.aging(clock.now, Defaults()) == mine[:1]
        after = (desk.id, news.mailbox_id)
        assert await store.aging(clock.now, Defaults(), after) == mine[1:]
        await remove(desk, old)
        monkeypatch.undo()
        assert await store.aging(clock.now, Defaults()) == found((desk, news, False), (desk, old, False))

    async def test_how_many_would_leave(self, engine: EngineUnderTest, clock: Clock) -> None:
        desk = await furnish(engine)
        news, old = await made(desk), await made(desk, "Old")
        await desk.add(old, "a")
        await desk.add(news, *"abc")
        await desk.flag(news, "2", "\\Flagged")
        clock.to(1)
        await desk.add(news, "d")
        for days, count in ((-1, 0), (0, 2), (1, 3)):
            before = int(NOW + days * DAY)
            assert await desk.store.old_messages(desk.id, news.mailbox_id, before) == count
        assert await desk.store.old_messages(desk.id, 4711, clock.now) == 0

    async def test_what_was_said_goes_with_mailbox_and_account(
        self, engine: EngineUnderTest, clock: Clock
    ) -> None:
        desk = await furnish(engine)
        news, old = await made(desk), await made(desk, "Old")
        for box in (news, old):
            await keep(desk, box, 5)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=news.mailbox_id))
        (aging,) = await desk.store.aging(clock.now, Defaults())
        assert aging.mailbox_id == old.mailbox_id
        for op in (RemoveOld(account_id=desk.id, mailbox_id=news.mailbox_id, defaults=Defaults()),):
            with pytest.raises(NotFound):
                await desk.store.apply(op)
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await engine.settle()
        again = await desk.store.apply(AddAccount(address="ann@example.test", password="", created_at=NOW))
        assert {each.kept_days for each in await desk.store.mailboxes(again.account_id)} == {None}
        assert await desk.store.aging(clock.now, Defaults()) == []
