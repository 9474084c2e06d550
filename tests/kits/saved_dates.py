"""When a message came into the mailbox that it is in (RFC 8514 §3): nothing else sets it, and nothing changes it."""

from __future__ import annotations

import sys

import pytest

from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, MoveEmails, PlaceEmails, RenameMailbox
from posthouse.store.model import Mailbox
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish


async def saved(desk: Desk, mailbox: Mailbox, *uids: int) -> list[int]:
    found = await desk.store.saved_dates(desk.id, mailbox.mailbox_id, uids)
    assert None not in found
    return [each for each in found if each is not None]


def set_clock(monkeypatch: pytest.MonkeyPatch, engine: EngineUnderTest, now: int) -> None:
    """Engines under test go by the NOW of the module that they are made in."""
    monkeypatch.setattr(sys.modules[type(engine).__module__], "NOW", now)


class SavedDateKit:
    """By placement, from the store's clock."""

    async def test_each_placement_has_its_own(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await furnish(engine)
        inbox, archive, trash, sent = [await desk.box(n) for n in ("INBOX", "Archive", "Trash", "Sent")]
        await desk.add(inbox, *"abc", received_at=1234)
        assert await saved(desk, inbox, 1, 2, 3) == [NOW] * 3
        set_clock(monkeypatch, engine, NOW + 5)
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id, source_id=inbox.mailbox_id, uids=Ranges.parse("1:2"),
                target_id=archive.mailbox_id,
            )
        )  # fmt: skip
        await desk.store.apply(
            PlaceEmails(
                account_id=desk.id, source_id=inbox.mailbox_id, uids=Ranges.parse("2"),
                target_id=sent.mailbox_id,
            )
        )  # fmt: skip
        await desk.store.apply(
            MoveEmails(
                account_id=desk.id, source_id=inbox.mailbox_id, uids=Ranges.parse("3"),
                target_id=trash.mailbox_id,
            )
        )  # fmt: skip
        set_clock(monkeypatch, engine, NOW + 9)
        for box, uids in ((archive, (1, 2)), (sent, (1,)), (trash, (1,))):
            assert await saved(desk, box, *uids) == [NOW + 5] * len(uids)
        await desk.flag(inbox, "1:2", "\\Seen")
        await desk.store.apply(
            RenameMailbox(account_id=desk.id, mailbox_id=archive.mailbox_id, name="Elsewhere")
        )
        await engine.reopen()
        assert await saved(desk, inbox, 1, 2) == [NOW] * 2
        assert await saved(desk, archive, 1, 2) == [NOW + 5] * 2

    async def test_what_is_not_there_has_none(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a")
        found = await desk.store.saved_dates(desk.id, inbox.mailbox_id, [7, 1, 2])
        assert [each is None for each in found] == [True, False, True]
        assert await desk.store.saved_dates(desk.id, inbox.mailbox_id, []) == []
