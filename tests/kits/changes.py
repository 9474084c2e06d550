"""What every engine must tell about changes: states, threads, emails in several mailboxes, items, uploads."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound, OverQuota
from posthouse.ranges import Ranges
from posthouse.store.account_model import EmailChange
from posthouse.store.interface import (
    AddUpload,
    ArrangeMailbox,
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    MoveEmails,
    PlaceEmails,
    PruneUploads,
    PutItem,
    RemoveAccount,
    RemoveItem,
    RemoveUpload,
    RenameMailbox,
    SetRole,
    Subscribe,
)
from posthouse.store.model import DELETED, FLAGGED, SEEN, Content, Mailbox, Role
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish


async def state(desk: Desk) -> int:
    return (await desk.store.states(desk.id)).mail


async def changes(desk: Desk, since: int) -> dict[int, str]:
    """Email → "created", "updated" or "destroyed"."""
    found = await desk.store.email_changes(desk.id, since)
    assert found is not None
    assert [(each.modseq, each.email_id) for each in found] == sorted(
        (each.modseq, each.email_id) for each in found
    )
    return {each.email_id: word(each, since) for each in found}


def word(change: EmailChange, since: int) -> str:
    if change.gone:
        return "destroyed"
    return "created" if change.created_modseq > since else "updated"


async def place(desk: Desk, source: Mailbox, uids: str, target: Mailbox) -> Ranges:
    done = await desk.store.apply(
        PlaceEmails(
            account_id=desk.id,
            source_id=source.mailbox_id,
            uids=Ranges.parse(uids),
            target_id=target.mailbox_id,
        )
    )
    return done.target


async def expunge(desk: Desk, mailbox: Mailbox, uids: str) -> None:
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=mailbox.mailbox_id, uids=Ranges.parse(uids), force=True)
    )


async def flags(desk: Desk, mailbox: Mailbox) -> list[int]:
    return list((await desk.store.index(desk.id, mailbox.mailbox_id)).flags)


class EmailChangeKit:
    """`states` and `email_changes`."""

    async def test_new_changed_and_destroyed_emails_are_told_apart(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        old = await desk.add(inbox, "kept", "flagged", "expunged")
        since = await state(desk)
        (new,) = await desk.add(inbox, "new")
        await desk.flag(inbox, "2", "\\Seen")
        await expunge(desk, inbox, "3")
        assert await changes(desk, since) == {
            new.email_id: "created",
            old[1].email_id: "updated",
            old[2].email_id: "destroyed",
        }
        assert await changes(desk, await state(desk)) == {}

    async def test_what_came_and_went_since_is_left_out(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        since = await state(desk)
        (next_one,) = await desk.add(inbox, "next")
        await desk.add(inbox, "short-lived")
        await expunge(desk, inbox, "1:2")
        assert await changes(desk, since) == {next_one.email_id: "destroyed"}, (
            "a part of that commit may be known"
        )
        assert await changes(desk, since - 1) == {}

    async def test_a_move_is_a_change_and_never_a_creation(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        (old,) = await desk.add(inbox, "old")
        since = await state(desk)
        (new,) = await desk.add(inbox, "new")
        await desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1:2"),
                target_id=archive.mailbox_id,
            )
        )
        assert await changes(desk, since) == {old.email_id: "updated", new.email_id: "created"}
        await engine.reopen()
        assert await changes(desk, since) == {old.email_id: "updated", new.email_id: "created"}

    async def test_emails_of_a_deleted_mailbox_are_destroyed_before_and_after_sweeping(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        added = await desk.add(box, "one", "two")
        since = await state(desk)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        wanted = {each.email_id: "destroyed" for each in added}
        assert await changes(desk, since) == wanted
        await engine.settle()
        assert await changes(desk, since) == wanted
        await engine.reopen()
        assert await changes(desk, since) == wanted
        assert await state(desk) > since

    async def test_a_destroyed_email_tells_its_thread(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "one")
        (thread,) = await desk.store.threads(desk.id, [added.email_id])
        since = await state(desk)
        await expunge(desk, inbox, "1")
        found = await desk.store.email_changes(desk.id, since)
        assert found is not None
        assert [(each.email_id, each.thread_id) for each in found] == [(added.email_id, thread)]

    async def test_what_loses_deleted_again_is_new_to_who_was_told_that_it_is_gone(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "FLAGS_LOGGED", 3)
        desk = await furnish(engine)
        inbox = await desk.box()
        added = [each.email_id for each in await desk.add(inbox, *"abcdefgh")]
        at_first = await state(desk)
        await desk.flag(inbox, "2:8", "\\Deleted")  # so many are logged as a rule
        while_gone = await state(desk)
        await desk.flag(inbox, "2:4,6:8", "\\Deleted", action="remove")
        back = [*added[1:4], *added[5:]]
        at_last = await state(desk)
        for since in (at_first, while_gone):
            found = await changes(desk, since)
            assert {email_id: found[email_id] for email_id in back} == dict.fromkeys(back, "created")
        assert (await changes(desk, at_first))[added[4]] == "updated", "it has \\Deleted, as who asks sees"
        assert await changes(desk, at_last) == {}
        await desk.flag(inbox, "2:8", "\\Deleted")
        await desk.flag(
            inbox, "2:8", "\\Seen", action="replace"
        )  # the rule that is logged is not just changed
        assert (await changes(desk, at_last)) == dict.fromkeys(added[1:], "created")
        await engine.reopen()
        await expunge(desk, inbox, "2:8")
        for since in (at_first, while_gone, at_last):
            assert await changes(desk, since) == dict.fromkeys(added[1:], "destroyed")

    async def test_what_is_in_several_mailboxes_and_loses_deleted_again_is_new_in_all(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        (added,) = await desk.add(inbox, "a")
        await place(desk, inbox, "1", archive)
        at_first = await state(desk)
        await desk.flag(inbox, "1", "\\Deleted")
        await desk.flag(inbox, "1", "\\Deleted", action="remove")
        assert await changes(desk, at_first) == {added.email_id: "updated"}, "the other mailbox had it"
        for mailbox in (inbox, archive):
            await desk.flag(mailbox, "1", "\\Deleted")
        while_gone = await state(desk)
        await desk.flag(archive, "1", "\\Deleted", "\\Seen", action="remove")
        for since in (at_first, while_gone):
            assert await changes(desk, since) == {added.email_id: "created"}
        await desk.flag(archive, "1", "\\Flagged")
        for since in (at_first, while_gone):
            assert await changes(desk, since) == {added.email_id: "created"}
        at_last = await state(desk)
        for mailbox, word in ((inbox, ("created", "created", "updated")), (archive, ("destroyed",) * 3)):
            await expunge(desk, mailbox, "1")
            found = [await changes(desk, since) for since in (at_first, while_gone, at_last)]
            assert found == [{added.email_id: each} for each in word]

    async def test_history_that_was_given_up_is_not_pretended(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "HISTORY_ROWS", 2)
        monkeypatch.setattr(limits, "HISTORY_LOOK", 1)
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *"abcde")
        since = await state(desk)
        for uid in range(1, 6):
            await expunge(desk, inbox, str(uid))
        assert await desk.store.email_changes(desk.id, since) is None
        assert await desk.store.mailboxes_gone(desk.id, since) is None
        assert await changes(desk, await state(desk)) == {}

    async def test_states_survive_and_never_go_back(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        await desk.add(box, "one")
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        before = await desk.store.states(desk.id)
        await engine.reopen()
        assert await desk.store.states(desk.id) == before


class MailboxChangeKit:
    """What changed about mailboxes themselves."""

    async def test_properties_and_counts_have_mod_sequences_of_their_own(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        assert box.created_modseq == box.changed_modseq > 0
        await desk.add(box, "one")
        after = await desk.box("Box")
        assert after.changed_modseq == box.changed_modseq
        assert after.highest_modseq > box.highest_modseq
        key = {"account_id": desk.id, "mailbox_id": box.mailbox_id}
        latest = after.changed_modseq
        for op in (
            RenameMailbox(**key, name="Other"),
            Subscribe(account_id=desk.id, name="Other", subscribed=True),
            ArrangeMailbox(**key, sort_order=7),
        ):
            await desk.store.apply(op)
            now = await desk.box("Other")
            assert now.changed_modseq > latest
            latest = now.changed_modseq
        await engine.reopen()
        again = await desk.box("Other")
        assert (again.created_modseq, again.changed_modseq) == (box.created_modseq, latest)
        assert again.sort_order == 7

    async def test_deleted_mailboxes_are_remembered(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        since = await state(desk)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        gone = await desk.store.mailboxes_gone(desk.id, since)
        assert gone is not None
        assert [(each.mailbox_id, each.created_modseq) for each in gone] == [
            (box.mailbox_id, box.created_modseq)
        ]
        assert await desk.store.mailboxes_gone(desk.id, await state(desk)) == []

    async def test_a_role_given_is_a_change(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        junk = await desk.box("Junk")
        await desk.store.apply(SetRole(account_id=desk.id, mailbox_id=junk.mailbox_id, role=None))
        assert (await desk.box("Junk")).changed_modseq > junk.changed_modseq
        await desk.store.apply(SetRole(account_id=desk.id, mailbox_id=junk.mailbox_id, role=Role.JUNK))


class TwinKit:
    """One email in several mailboxes (RFC 8621 §4.1.1)."""

    async def pair(self, engine: EngineUnderTest) -> tuple[Desk, Mailbox, Mailbox, int]:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        (added,) = await desk.add(inbox, "both")
        await place(desk, inbox, "1", archive)
        return desk, inbox, archive, added.email_id

    async def test_it_is_the_same_email_and_placing_it_again_changes_nothing(
        self, engine: EngineUnderTest
    ) -> None:
        desk, inbox, archive, email_id = await self.pair(engine)
        assert not await place(desk, inbox, "1", archive)
        for box in (inbox, archive):
            index = await desk.store.index(desk.id, box.mailbox_id)
            assert list(index.email_ids) == [email_id]
            assert index.find(email_id) == index.uids[0]

    async def test_it_can_begin_in_several_mailboxes(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        boxes = [await desk.box(name) for name in ("INBOX", "Archive", "Sent")]
        also = tuple(box.mailbox_id for box in boxes[1:])
        await desk.add(boxes[1], "another")  # so that UIDs differ
        since = await state(desk)
        (added,) = await desk.add(boxes[0], "everywhere", also=also, flags=frozenset({"\\Flagged"}))
        assert await changes(desk, since) == {added.email_id: "created"}
        for _ in range(2):
            for box, total in zip(boxes, (1, 2, 1), strict=True):
                index = await desk.store.index(desk.id, box.mailbox_id)
                assert index.find(added.email_id) == total
                assert index.flags[-1] == FLAGGED
                assert (await desk.box(box.name)).total == total
            await engine.reopen()
        await desk.flag(boxes[2], "1", "\\Seen", action="replace")
        assert (await flags(desk, boxes[0]), (await flags(desk, boxes[1]))[1]) == ([SEEN], SEEN)
        for box, uid in zip(boxes, "121", strict=True):
            assert (await desk.store.messages(desk.id, [added.email_id]))[0] is not None
            await expunge(desk, box, uid)
        await engine.settle()
        store = await engine.reopen()
        assert await store.messages(desk.id, [added.email_id]) == [None]

    async def test_it_begins_in_all_of_them_or_in_none(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, box = await desk.box(), await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        with pytest.raises(NotFound):
            await desk.add(inbox, "both", also=(box.mailbox_id,))
        assert (await desk.box()).total == 0
        assert (await desk.store.usage(desk.id)).messages == 0

    async def test_each_of_its_places_counts_towards_the_quota(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine, quota=40)
        inbox, archive = await desk.box(), await desk.box("Archive")
        with pytest.raises(OverQuota):  # 23 octets, twice
            await desk.add(inbox, "both", also=(archive.mailbox_id,))
        await desk.add(inbox, "both")

    @pytest.mark.parametrize("first", [0, 1])
    async def test_flags_are_shared_both_ways(self, engine: EngineUnderTest, first: int) -> None:
        desk, inbox, archive, _ = await self.pair(engine)
        boxes = (inbox, archive)
        await desk.flag(boxes[first], "1", "\\Seen")
        assert await flags(desk, boxes[1 - first]) == [SEEN]
        await desk.flag(boxes[1 - first], "1", "\\Flagged", action="replace")
        assert await flags(desk, boxes[first]) == [FLAGGED]
        assert [(await desk.box(name)).unseen for name in ("INBOX", "Archive")] == [1, 1]
        await engine.reopen()
        assert await flags(desk, inbox) == await flags(desk, archive) == [FLAGGED]

    async def test_what_is_deleted_in_one_mailbox_stays_in_the_other(self, engine: EngineUnderTest) -> None:
        r"""A mail program that removes a message marks it \Deleted in one mailbox and expunges that."""
        desk, inbox, archive, _ = await self.pair(engine)
        await desk.flag(inbox, "1", "\\Deleted", "\\Seen")
        assert await flags(desk, inbox) == [SEEN | DELETED]
        assert await flags(desk, archive) == [SEEN]
        assert [(await desk.box(name)).deleted for name in ("INBOX", "Archive")] == [1, 0]
        await desk.flag(archive, "1", "\\Flagged", action="replace")
        assert await flags(desk, inbox) == [FLAGGED | DELETED]
        for box in (inbox, archive):
            await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=box.mailbox_id))
        assert (await flags(desk, inbox), await flags(desk, archive)) == ([], [FLAGGED])

    async def test_it_lives_as_long_as_one_of_its_places(self, engine: EngineUnderTest) -> None:
        desk, inbox, archive, email_id = await self.pair(engine)
        since = await state(desk)
        await expunge(desk, inbox, "1")
        assert await changes(desk, since) == {email_id: "updated"}
        await engine.settle()
        assert await desk.store.messages(desk.id, [email_id]) == [b"Subject: both\r\n\r\nboth\r\n"]
        await expunge(desk, archive, "1")
        assert await changes(desk, since) == {email_id: "destroyed"}
        await engine.settle()
        store = await engine.reopen()
        assert await store.messages(desk.id, [email_id]) == [None]

    async def test_deleting_one_mailbox_keeps_it_in_the_other(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        (added,) = await desk.add(inbox, "both")
        await place(desk, inbox, "1", box)
        since = await state(desk)
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        assert await changes(desk, since) == {added.email_id: "updated"}
        await engine.settle()
        assert await changes(desk, since) == {added.email_id: "updated"}
        assert (await desk.store.messages(desk.id, [added.email_id]))[0] is not None

    async def test_moving_one_place_onto_the_other_leaves_one(self, engine: EngineUnderTest) -> None:
        desk, inbox, archive, email_id = await self.pair(engine)
        done = await desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1"),
                target_id=archive.mailbox_id,
            )
        )
        index = await desk.store.index(desk.id, archive.mailbox_id)
        assert (list(index.uids), list(index.email_ids)) == (list(done.target), [email_id])
        assert [(await desk.box(name)).total for name in ("INBOX", "Archive")] == [0, 1]

    @pytest.mark.parametrize("how", ["expunge", "delete"])
    async def test_moved_onto_the_other_it_is_gone_with_that_one(
        self, engine: EngineUnderTest, how: str
    ) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        (added,) = await desk.add(inbox, "both")
        await place(desk, inbox, "1", box)
        await desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1"),
                target_id=box.mailbox_id,
            )
        )
        since = await state(desk)
        if how == "expunge":
            await expunge(desk, box, "2")
        else:
            await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        assert await changes(desk, since) == {added.email_id: "destroyed"}
        await engine.settle()
        assert await changes(desk, since) == {added.email_id: "destroyed"}
        store = await engine.reopen()
        assert await store.emails(desk.id, [added.email_id], ("size",)) == [None]

    async def test_a_moved_place_still_shares_flags(self, engine: EngineUnderTest) -> None:
        desk, inbox, archive, _ = await self.pair(engine)
        sent = await desk.box("Sent")
        await desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1"),
                target_id=sent.mailbox_id,
            )
        )
        await desk.flag(archive, "1", "\\Seen")
        assert await flags(desk, sent) == [SEEN]


class ThreadKit:
    """Threads (RFC 8621 §3). The engine under test derives no keys unless it was told to."""

    async def test_an_email_alone_is_the_first_of_its_thread(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        (added,) = await desk.add(await desk.box(), "alone")
        assert await desk.store.threads(desk.id, [added.email_id, added.email_id + 1]) == [
            added.email_id,
            None,
        ]
        assert await desk.store.threads(desk.id, []) == []

    async def test_emails_with_a_key_in_common_are_one_thread(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        texts = ("thread 1 2", "thread 3", "thread 2 4", "thread 4", "thread 3 2")
        ids = [each.email_id for each in await desk.add(inbox, *texts)]
        await engine.settle()
        found = await desk.store.threads(desk.id, ids)
        # the fifth knows two threads and joins the older one
        assert found == [ids[0], ids[1], ids[0], ids[0], ids[0]]
        await engine.reopen()
        assert await desk.store.threads(desk.id, ids) == found

    async def test_threads_are_an_accounts_own(self, engine: EngineUnderTest) -> None:
        ann = await furnish(engine)
        ben = await furnish(engine, "ben@example.test")
        await ann.add(await ann.box(), "thread 9")
        (added,) = await ben.add(await ben.box(), "thread 9")
        assert await ben.store.threads(ben.id, [added.email_id]) == [added.email_id]

    async def test_a_copy_is_of_the_same_thread(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        (added,) = await desk.add(inbox, "thread 5")
        await desk.store.threads(desk.id, [added.email_id])
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1"),
                target_id=archive.mailbox_id,
            )
        )
        copied = (await desk.store.index(desk.id, archive.mailbox_id)).email_ids[0]
        assert await desk.store.threads(desk.id, [copied]) == [added.email_id]
        assert await desk.store.origins(desk.id, [copied, added.email_id]) == [added.email_id] * 2
        copy = CopyEmails(
            account_id=desk.id,
            source_id=archive.mailbox_id,
            uids=Ranges.parse("1"),
            target_id=inbox.mailbox_id,
        )
        await desk.store.apply(copy)
        again = (await desk.store.index(desk.id, inbox.mailbox_id)).email_ids[-1]
        assert await desk.store.origins(desk.id, [again]) == [added.email_id]


class ItemKit:
    """Small objects by kind."""

    async def test_items_are_kept_changed_and_removed(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        key = {"account_id": desk.id, "kind": "Pet"}
        cat = await desk.store.apply(PutItem(**key, data=b"cat"))
        dog = await desk.store.apply(PutItem(**key, data=b"dog"))
        await desk.store.apply(PutItem(account_id=desk.id, kind="Tree", data=b"oak"))
        since = (await desk.store.states(desk.id)).kinds["Pet"]
        await desk.store.apply(PutItem(**key, item_id=cat.item_id, data=b"tiger"))
        await desk.store.apply(RemoveItem(**key, item_id=dog.item_id))
        emu = await desk.store.apply(PutItem(**key, data=b"emu"))
        await engine.reopen()
        assert [(each.item_id, each.data) for each in await desk.store.items(desk.id, "Pet")] == [
            (cat.item_id, b"tiger"),
            (emu.item_id, b"emu"),
        ]
        assert [each.data for each in await desk.store.items(desk.id, "Pet", [emu.item_id, 99])] == [b"emu"]
        assert await desk.store.item_count(desk.id, "Pet") == len(await desk.store.items(desk.id, "Pet"))
        assert await desk.store.item_count(desk.id, "None of these") == 0
        found = await desk.store.item_changes(desk.id, "Pet", since)
        assert found is not None
        assert [(each.item_id, each.gone, each.created_modseq > since) for each in found] == [
            (cat.item_id, False, False),
            (dog.item_id, True, False),
            (emu.item_id, False, True),
        ]
        states = (await desk.store.states(desk.id)).kinds
        assert states["Pet"] == found[-1].modseq > states["Tree"]

    async def test_a_change_may_ask_that_nobody_was_faster(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        key = {"account_id": desk.id, "kind": "Pet"}
        cat = await desk.store.apply(PutItem(**key, data=b"cat"))
        again = PutItem(**key, data=b"lion", item_id=cat.item_id, unchanged_since=cat.modseq)
        await desk.store.apply(again)
        with pytest.raises(Conflict):
            await desk.store.apply(again)
        with pytest.raises(NotFound):
            await desk.store.apply(PutItem(**key, data=b"", item_id=77))
        assert (await desk.store.apply(PutItem(**key, data=b"", item_id=77, new=True))).item_id == 77
        with pytest.raises(NotFound):
            await desk.store.apply(RemoveItem(**key, item_id=78))

    async def test_items_that_are_due_are_found_across_accounts(self, engine: EngineUnderTest) -> None:
        ann = await furnish(engine)
        ben = await furnish(engine, "ben@example.test")
        store = ann.store
        assert await store.next_item_due("Bell") is None
        for desk, due in ((ann, 30.0), (ben, 10.0), (ann, None)):
            await store.apply(PutItem(account_id=desk.id, kind="Bell", data=b"", due_at=due))
        assert await store.next_item_due("Bell") == 10.0
        assert [each.account_id for each in await store.items_due("Bell", 30.0, 10)] == [ben.id, ann.id]
        assert [each.account_id for each in await store.items_due("Bell", 29.0, 10)] == [ben.id]
        await store.apply(RemoveAccount(account_id=ben.id))
        assert await store.next_item_due("Bell") == 30.0


class UploadKit:
    """Octets that clients brought."""

    async def test_uploads_are_an_accounts_own_and_go_with_age(self, engine: EngineUnderTest) -> None:
        ann = await furnish(engine)
        ben = await furnish(engine, "ben@example.test")
        store = ann.store
        add = AddUpload(
            account_id=ann.id, content=Content.of(b"octets"), media_type="text/plain", created_at=NOW
        )
        young = await store.apply(add)
        kept = await store.apply(
            AddUpload(
                account_id=ann.id, content=Content.of(b"kept"), media_type="", created_at=NOW - 99, kept=True
            )
        )
        assert await store.read(young.stored) == b"octets"
        assert await store.uploads(ann.id, [young.upload_id, 999]) == [young, None]
        assert await store.uploads(ben.id, [young.upload_id]) == [None]
        assert await store.apply(PruneUploads(before=NOW)) == 0
        assert await store.apply(PruneUploads(before=NOW + 1)) == 1
        assert await store.uploads(ann.id, [young.upload_id, kept.upload_id]) == [None, kept]
        store = await engine.reopen()
        with pytest.raises(NotFound):
            await store.read(young.stored)
        await store.apply(RemoveUpload(account_id=ann.id, upload_id=kept.upload_id))
        assert await store.uploads(ann.id, [kept.upload_id]) == [None]

    async def test_what_is_kept_to_be_sent_later_is_bounded(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing gives way among those, so it is the new one that is refused."""
        monkeypatch.setattr(limits, "UPLOAD_OCTETS", 10)
        ann = await furnish(engine)
        ben = await furnish(engine, "ben@example.test")

        def kept(desk: Desk, octets: bytes) -> AddUpload:
            content = Content.of(octets)
            return AddUpload(account_id=desk.id, content=content, media_type="", created_at=NOW, kept=True)

        first = await ann.store.apply(kept(ann, b"123456"))
        with pytest.raises(OverQuota):
            await ann.store.apply(kept(ann, b"12345"))
        await ann.store.apply(kept(ann, b"1234"))
        await ben.store.apply(kept(ben, b"12345"))
        await ann.store.apply(RemoveUpload(account_id=ann.id, upload_id=first.upload_id))
        await ann.store.apply(kept(ann, b"12345"))

    async def test_the_oldest_give_way_to_new_ones(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "UPLOAD_OCTETS", 10)
        desk = await furnish(engine)
        made = [
            await desk.store.apply(
                AddUpload(account_id=desk.id, content=Content.of(b"1234"), media_type="", created_at=NOW + i)
            )
            for i in range(3)
        ]
        there = await desk.store.uploads(desk.id, [each.upload_id for each in made])
        assert there == [None, *made[1:]]
        with pytest.raises(OverQuota):
            await desk.store.apply(
                AddUpload(account_id=desk.id, content=Content.of(b"x" * 11), media_type="", created_at=NOW)
            )


class ItemNumberKit:
    """Numbers of items."""

    async def test_a_number_that_was_chosen_is_not_given_out_again(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        first = await desk.store.apply(PutItem(account_id=desk.id, kind="Book", data=b"a"))
        chosen = PutItem(account_id=desk.id, kind="Book", item_id=first.item_id + 1, new=True, data=b"b")
        await desk.store.apply(chosen)
        third = await desk.store.apply(PutItem(account_id=desk.id, kind="Book", data=b"c"))
        assert [item.data for item in await desk.store.items(desk.id, "Book")] == [b"a", b"b", b"c"]
        assert third.item_id > first.item_id + 1
