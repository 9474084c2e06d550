"""What is deleted for good can be brought back for a time, as the same email; then it is gone (`store.deleted`)."""

from __future__ import annotations

import sys

import pytest

from posthouse.errors import NotFound, OverQuota
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.deleted import DeletedEmail, ForgetDeleted, RestoreEmails
from posthouse.store.interface import (
    AddAccount,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    PlaceEmails,
    RemoveAccount,
)
from posthouse.store.judgement import REJECTS
from posthouse.store.model import FLAGGED, KEYWORD_SHIFT, SEEN, Mailbox
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish


async def expunge(desk: Desk, mailbox: Mailbox, uids: str) -> None:
    which = {"account_id": desk.id, "mailbox_id": mailbox.mailbox_id, "uids": Ranges.parse(uids)}
    await desk.store.apply(Expunge(force=True, **which))  # type: ignore[arg-type]
    await desk.engine.settle()


async def restore(desk: Desk, mailbox: Mailbox, *email_ids: int) -> Ranges:
    return await desk.store.apply(
        RestoreEmails(account_id=desk.id, mailbox_id=mailbox.mailbox_id, email_ids=email_ids)
    )


async def kept(desk: Desk) -> list[int]:
    return [each.email_id for each in await desk.store.deleted(desk.id, 100)]


async def octets_of(desk: Desk, *email_ids: int) -> list[bytes | None]:
    """As the tables have them, not what is remembered."""
    there = await desk.store.emails(desk.id, email_ids, ("size",))
    messages = await desk.store.messages(desk.id, email_ids)
    return [message if row else None for row, message in zip(there, messages, strict=True)]


class DeletedKit:
    """On an engine that keeps it."""

    @pytest.fixture(autouse=True)
    async def _keeping(self, engine: EngineUnderTest) -> None:
        engine.settings["keep_deleted"] = True
        await engine.reopen()

    async def test_it_comes_back_as_the_same_email_with_its_flags(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        added = await desk.add(inbox, *"abc", received_at=1234)
        one, two, three = (each.email_id for each in added)
        await desk.flag(inbox, "2", "\\Flagged", "\\Seen", "\\Deleted", "$Mine")
        (thread,) = await desk.store.threads(desk.id, [two])
        await expunge(desk, inbox, "1:2")
        size = len((await octets_of(desk, three))[0] or b"")
        assert await desk.store.deleted(desk.id, 10) == [
            DeletedEmail(email_id=each, deleted_at=NOW, received_at=1234, mailbox="INBOX", size=size)
            for each in (two, one)
        ]
        assert (await desk.store.usage(desk.id)).messages == 1
        assert await restore(desk, archive, two, 999_999) == Ranges([(1, 1)])
        index = await desk.store.index(desk.id, archive.mailbox_id)
        assert (list(index.email_ids), list(index.received)) == ([two], [1234])
        mine = (await desk.store.keywords(desk.id)).index("$Mine")
        assert list(index.flags) == [SEEN | FLAGGED | 1 << KEYWORD_SHIFT + mine]
        assert await desk.store.threads(desk.id, [two]) == [thread]
        assert await octets_of(desk, two) == [b"Subject: b\r\n\r\nb\r\n"]
        assert await kept(desk) == [one]
        box = await desk.box("Archive")
        assert (box.total, box.unseen, box.size, box.deleted) == (1, 0, size, 0)
        await engine.reopen()
        assert await kept(desk) == [one]
        assert await restore(desk, archive, one) == Ranges([(2, 2)])
        await engine.settle()
        assert await octets_of(desk, one) == [b"Subject: a\r\n\r\na\r\n"]
        assert (await desk.box("Archive")).unseen == 1

    async def test_clients_that_return_hear_that_it_went_and_came(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "a")
        before = (await desk.store.states(desk.id)).mail
        await expunge(desk, inbox, "1")
        between = (await desk.store.states(desk.id)).mail
        changes = await desk.store.email_changes(desk.id, before)
        assert changes is not None
        assert [(each.email_id, each.gone) for each in changes] == [(added.email_id, True)]
        await restore(desk, inbox, added.email_id)
        changes = await desk.store.email_changes(desk.id, between)
        assert changes is not None
        assert [(each.email_id, each.gone, each.created_modseq > between) for each in changes] == [
            (added.email_id, False, True)
        ]
        assert list((await desk.store.index(desk.id, inbox.mailbox_id)).uids) == [2]
        assert await desk.store.vanished_since(desk.id, inbox.mailbox_id, before) == Ranges([(1, 1)])

    async def test_the_mail_of_a_deleted_mailbox_too(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Plans/2026"))
        added = await desk.add(box, *"abc")
        await desk.flag(box, "1", "\\Seen")
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        await engine.settle()
        found = await desk.store.deleted(desk.id, 10)
        assert {each.email_id for each in found} == {each.email_id for each in added}
        assert {each.mailbox for each in found} == {"Plans/2026"}
        inbox = await desk.box()
        await restore(desk, inbox, *(each.email_id for each in added))
        assert (await desk.box()).unseen == 2
        assert None not in await octets_of(desk, *(each.email_id for each in added))

    async def test_an_email_that_is_elsewhere_is_not_deleted(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        one, two = await desk.add(inbox, "a", "b")
        await desk.store.apply(
            PlaceEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                target_id=archive.mailbox_id,
                uids=Ranges.parse("1"),
            )
        )
        await expunge(desk, inbox, "1:2")
        assert await kept(desk) == [two.email_id]
        await expunge(desk, archive, "1")
        assert await kept(desk) == [two.email_id, one.email_id]

    @pytest.mark.parametrize("name", ["Drafts", "Junk", REJECTS])
    async def test_drafts_and_junk_are_not_kept(self, engine: EngineUnderTest, name: str) -> None:
        desk = await furnish(engine)
        if name == REJECTS:
            await desk.store.apply(CreateMailbox(account_id=desk.id, name=name))
        box = await desk.box(name)
        (added,) = await desk.add(box, "a")
        await expunge(desk, box, "1")
        assert await kept(desk) == []
        assert await restore(desk, await desk.box(), added.email_id) == EMPTY
        assert await octets_of(desk, added.email_id) == [None]

    async def test_nothing_is_kept_where_that_is_not_wished(self, engine: EngineUnderTest) -> None:
        engine.settings["keep_deleted"] = False
        await engine.reopen()
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "a")
        await expunge(desk, inbox, "1")
        assert await kept(desk) == []
        assert await octets_of(desk, added.email_id) == [None]

    async def test_it_is_gone_after_its_time_or_when_somebody_says_so(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        one, two, three = (each.email_id for each in await desk.add(inbox, *"abc"))
        await expunge(desk, inbox, "1")
        monkeypatch.setattr(sys.modules[type(engine).__module__], "NOW", NOW + 10)
        await expunge(desk, inbox, "2:3")
        assert await desk.store.accounts_with_deleted(NOW) == []
        assert await desk.store.accounts_with_deleted(NOW + 1) == [desk.id]
        assert await desk.store.apply(ForgetDeleted(account_id=desk.id, before=NOW + 10)) == 1
        assert await desk.store.apply(ForgetDeleted(account_id=desk.id, email_ids=(three, one))) == 1
        await engine.settle()
        assert await kept(desk) == [two]
        assert await octets_of(desk, one, two, three) == [None, b"Subject: b\r\n\r\nb\r\n", None]
        assert [each.email_id for each in await desk.store.deleted_emails(desk.id, [one, two])] == [two]
        assert await desk.store.deleted(desk.id, 10, since=NOW + 11) == []

    async def test_there_must_be_room_and_a_mailbox(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine, quota=60)
        inbox = await desk.box()
        one, two = (each.email_id for each in await desk.add(inbox, "a", "b" * 10))
        await expunge(desk, inbox, "1:2")
        await desk.add(inbox, "c" * 10)
        with pytest.raises(OverQuota):
            await restore(desk, inbox, one, two)
        with pytest.raises(NotFound):
            await desk.store.apply(RestoreEmails(account_id=desk.id, mailbox_id=99, email_ids=(one,)))
        assert await restore(desk, inbox, one) == Ranges([(4, 4)])
        assert await kept(desk) == [two]

    async def test_others_and_removed_accounts(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        account = await engine.store.apply(
            AddAccount(address="bob@example.test", password="", created_at=NOW)
        )
        bob = Desk(engine, account)
        (added,) = await desk.add(await desk.box(), "a")
        await expunge(desk, await desk.box(), "1")
        assert await kept(bob) == []
        assert await restore(bob, await bob.box(), added.email_id) == EMPTY
        assert await bob.store.apply(ForgetDeleted(account_id=bob.id, email_ids=(added.email_id,))) == 0
        assert await kept(desk) == [added.email_id]
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await engine.settle()
        assert await desk.store.accounts_with_deleted(NOW + 1) == []
        assert await octets_of(desk, added.email_id) == [None]
