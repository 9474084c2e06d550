"""What every engine must note of mailboxes that others may see: the emails that come in and go out."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import (
    DeleteMailbox,
    Expunge,
    MoveEmails,
    PlaceEmails,
    PutItem,
    RemoveAccount,
    RemoveItem,
)
from posthouse.store.model import Mailbox
from tests.kits.engine import Desk, EngineUnderTest, furnish

OTHER = 77


async def share(desk: Desk, *boxes: Mailbox) -> int:
    grant = Grant(mailboxes={box.mailbox_id: Share(rights=("mayReadItems",)) for box in boxes})
    op = PutItem(account_id=desk.id, kind=grants.KIND, item_id=OTHER, new=True, data=grants.encode(grant))
    return (await desk.store.apply(op)).modseq


async def seen(desk: Desk, since: int, *boxes: Mailbox) -> list[tuple[int, bool, int]]:
    found = await desk.store.passages(desk.id, [box.mailbox_id for box in boxes], since)
    assert found is not None
    assert [each.modseq for each in found] == sorted(each.modseq for each in found)
    return [(each.mailbox_id, each.came, each.email_id) for each in found]


def uids(*numbers: int) -> Ranges:
    return Ranges.of_sorted(sorted(numbers))


class PassageKit:
    """`passages`."""

    async def test_moves_into_and_out_of_a_shared_mailbox_are_noted(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        one, two = await desk.add(archive, "one", "two")
        since = await share(desk, inbox)
        move = {"account_id": desk.id, "source_id": archive.mailbox_id, "target_id": inbox.mailbox_id}
        await desk.store.apply(MoveEmails(**move, uids=uids(1, 2)))
        assert await seen(desk, since, inbox) == [
            (inbox.mailbox_id, True, one.email_id),
            (inbox.mailbox_id, True, two.email_id),
        ]
        middle = (await desk.store.states(desk.id)).mail
        back = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": archive.mailbox_id}
        await desk.store.apply(MoveEmails(**back, uids=uids(2)))
        assert await seen(desk, middle, inbox) == [(inbox.mailbox_id, False, two.email_id)]
        assert await seen(desk, middle, archive) == []

    async def test_new_mail_is_no_passage_and_what_is_expunged_is(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        since = await share(desk, inbox)
        (one,) = await desk.add(inbox, "one")
        assert await seen(desk, since, inbox) == []
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=uids(1), force=True)
        )
        assert await seen(desk, since, inbox) == [(inbox.mailbox_id, False, one.email_id)]

    async def test_a_second_mailbox_of_an_email_is_noted_and_so_is_its_end(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        since = await share(desk, archive)
        (one,) = await desk.add(inbox, "one")
        both = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": archive.mailbox_id}
        await desk.store.apply(PlaceEmails(**both, uids=uids(1)))
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=archive.mailbox_id, uids=uids(1), force=True)
        )
        assert await seen(desk, since, archive) == [
            (archive.mailbox_id, True, one.email_id),
            (archive.mailbox_id, False, one.email_id),
        ]

    async def test_nothing_is_noted_of_mailboxes_that_nobody_else_sees(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        await share(desk, inbox)
        await desk.store.apply(RemoveItem(account_id=desk.id, kind=grants.KIND, item_id=OTHER))
        await desk.add(inbox, "one")
        move = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": archive.mailbox_id}
        await desk.store.apply(MoveEmails(**move, uids=uids(1)))
        assert await seen(desk, 0, inbox, archive) == []

    async def test_what_is_shared_is_known_after_opening_again(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        since = await share(desk, inbox)
        (one,) = await desk.add(inbox, "one")
        await engine.reopen()
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=uids(1), force=True)
        )
        assert await seen(desk, since, inbox) == [(inbox.mailbox_id, False, one.email_id)]

    async def test_a_deleted_mailbox_leaves_every_grant(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        before = await share(desk, inbox, archive)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=archive.mailbox_id))
        (item,) = await desk.store.items(desk.id, grants.KIND, [OTHER])
        assert set(grants.decode(item.data).mailboxes) == {inbox.mailbox_id}
        assert grants.rights_since(item) == item.modseq > before
        assert (await desk.store.states(desk.id)).kinds[grants.KIND] == item.modseq

    async def test_old_passages_are_forgotten_and_that_is_told(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "HISTORY_ROWS", 2)
        monkeypatch.setattr(limits, "HISTORY_LOOK", 1)
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        since = await share(desk, inbox)
        await desk.add(inbox, *"abcd")
        move = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": archive.mailbox_id}
        for uid in (1, 2, 3, 4):
            await desk.store.apply(MoveEmails(**move, uids=uids(uid)))
        assert await desk.store.passages(desk.id, [inbox.mailbox_id], since) is None
        assert await desk.store.email_changes(desk.id, since) is None
        latest = (await desk.store.states(desk.id)).mail
        assert await desk.store.passages(desk.id, [inbox.mailbox_id], latest) == []

    async def test_an_account_takes_its_passages_along(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await share(desk, inbox)
        await desk.add(inbox, "one")
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=uids(1), force=True)
        )
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await engine.settle()
        assert await desk.store.passages(desk.id, [inbox.mailbox_id], 0) == []
