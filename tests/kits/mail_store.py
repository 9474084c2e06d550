"""What every engine must do with mailboxes and messages."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from posthouse.errors import Conflict, NotFound, OverQuota
from posthouse.limits import KEYWORDS
from posthouse.ranges import Ranges
from posthouse.store.interface import (
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    MoveEmails,
    PlaceEmails,
    PutAccount,
    PutDomain,
    RenameMailbox,
    SetFlags,
    SetRole,
    Subscribe,
)
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import KEYWORD_SHIFT, RECEIVED_MAX, SEEN, Content, Mailbox, Role, Usage
from tests.kits.engine import NOW, EngineUnderTest, furnish


def uids_of(index: MailboxIndex) -> list[int]:
    return list(index.uids)


class MailboxKit:
    """Mailboxes themselves."""

    async def test_a_new_account_has_its_mailboxes_inbox_first(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        boxes = await desk.store.mailboxes(desk.id)
        assert [box.name for box in boxes] == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
        assert {box.role for box in boxes} == set(Role) - {Role.SNOOZED}  # made when something is snoozed
        assert all(box.subscribed for box in boxes)

    async def test_inbox_is_found_in_any_case_others_only_exactly(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        assert (await desk.box("inBOX")).name == "INBOX"
        assert await desk.store.mailbox(desk.id, "sent") is None

    async def test_names_are_taken_once(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Post/2026", subscribed=True))
        assert made.subscribed
        with pytest.raises(Conflict):
            await desk.store.apply(CreateMailbox(account_id=desk.id, name="Post/2026"))
        with pytest.raises(Conflict):
            await desk.store.apply(CreateMailbox(account_id=desk.id, name="inbox"))
        with pytest.raises(Conflict):
            await desk.store.apply(CreateMailbox(account_id=desk.id, name="Other", role=Role.SENT))

    async def test_a_name_made_again_has_a_higher_uid_validity(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        first = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=first.mailbox_id))
        second = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
        assert second.uid_validity > first.uid_validity
        assert second.mailbox_id != first.mailbox_id

    async def test_renaming_takes_what_is_below_along_and_keeps_uids(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        top = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A"))
        below = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A/B"))
        await desk.store.apply(CreateMailbox(account_id=desk.id, name="AB"))
        await desk.add(below, "kept")
        await desk.store.apply(RenameMailbox(account_id=desk.id, mailbox_id=top.mailbox_id, name="C/D"))
        names = {box.name for box in await desk.store.mailboxes(desk.id)}
        assert {"C/D", "C/D/B", "AB"} <= names
        assert names.isdisjoint({"A", "A/B"})
        moved = await desk.box("C/D/B")
        assert (moved.uid_validity, moved.total) == (below.uid_validity, 1)

    async def test_renaming_onto_or_below_itself_is_refused(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A"))
        for target in ("Sent", "A/B"):
            with pytest.raises(Conflict):
                await desk.store.apply(
                    RenameMailbox(account_id=desk.id, mailbox_id=box.mailbox_id, name=target)
                )

    async def test_a_name_can_be_swapped_into_its_own_former_place(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        a = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A"))
        b = await desk.store.apply(CreateMailbox(account_id=desk.id, name="B"))
        for box, name in ((a, "T"), (b, "A"), (a, "B")):
            await desk.store.apply(RenameMailbox(account_id=desk.id, mailbox_id=box.mailbox_id, name=name))
        assert (await desk.box("A")).mailbox_id == b.mailbox_id
        assert (await desk.box("B")).mailbox_id == a.mailbox_id
        await engine.reopen()
        assert (await desk.box("A")).mailbox_id == b.mailbox_id

    async def test_inbox_can_be_neither_deleted_nor_renamed(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = (await desk.box()).mailbox_id
        with pytest.raises(Conflict):
            await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=inbox))
        with pytest.raises(Conflict):
            await desk.store.apply(RenameMailbox(account_id=desk.id, mailbox_id=inbox, name="X"))

    async def test_deleting_takes_the_messages_but_not_what_is_below(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        top = await desk.store.apply(CreateMailbox(account_id=desk.id, name="A"))
        await desk.store.apply(CreateMailbox(account_id=desk.id, name="A/B"))
        await desk.add(top, "one", "two")
        index = await desk.store.index(desk.id, top.mailbox_id)
        told: list[bool] = []
        index.watch(lambda: told.append(index.removed))
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=top.mailbox_id))
        assert told == [True]
        assert await desk.store.mailbox(desk.id, "A") is None
        assert await desk.store.mailbox(desk.id, "A/B") is not None
        assert await desk.store.usage(desk.id) == Usage(octets=0, messages=0)
        with pytest.raises(NotFound):
            await desk.store.index(desk.id, top.mailbox_id)

    async def test_roles_are_held_by_one_mailbox(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        archive, box = (
            await desk.box("Archive"),
            await desk.store.apply(CreateMailbox(account_id=desk.id, name="Old")),
        )
        with pytest.raises(Conflict):
            await desk.store.apply(SetRole(account_id=desk.id, mailbox_id=box.mailbox_id, role=Role.ARCHIVE))
        await desk.store.apply(SetRole(account_id=desk.id, mailbox_id=archive.mailbox_id, role=None))
        await desk.store.apply(SetRole(account_id=desk.id, mailbox_id=box.mailbox_id, role=Role.ARCHIVE))
        assert (await desk.box("Old")).role is Role.ARCHIVE
        assert (await desk.box("Archive")).role is None

    async def test_subscriptions_need_no_mailbox(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await desk.store.apply(Subscribe(account_id=desk.id, name="Nowhere", subscribed=True))
        await desk.store.apply(Subscribe(account_id=desk.id, name="Sent", subscribed=False))
        assert "Nowhere" in await desk.store.subscriptions(desk.id)
        assert not (await desk.box("Sent")).subscribed
        await engine.reopen()
        assert "Nowhere" in await desk.store.subscriptions(desk.id)
        assert not (await desk.box("Sent")).subscribed

    async def test_unknown_accounts_are_not_found(self, engine: EngineUnderTest) -> None:
        for asked in (engine.store.mailboxes(99), engine.store.usage(99), engine.store.index(99, 1)):
            with pytest.raises(NotFound):
                await asked


class MessageKit:
    """Messages in mailboxes."""

    async def test_a_message_is_where_and_what_it_was(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        prefix = b"Return-Path: <a@b.test>\r\n"
        op = desk.message(inbox, prefix=prefix, flags=frozenset({"\\Seen", "$Junk"}))
        added = await desk.store.apply(op)
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert (added.uid, added.uid_validity) == (1, inbox.uid_validity)
        assert uids_of(index) == [1]
        assert (index.sizes[0], index.received[0]) == (len(prefix) + op.content.size, NOW)
        assert index.flags[0] == SEEN | 1 << KEYWORD_SHIFT
        assert await desk.store.keywords(desk.id) == ("$Junk",)
        (stored,) = await desk.store.stored(desk.id, [added.email_id])
        assert stored is not None
        whole = prefix + op.content.beginning()
        assert await desk.store.read(stored) == whole
        assert await desk.store.read(stored, 7, 20) == whole[7:27]
        assert await desk.store.messages(desk.id, [added.email_id]) == [whole]
        box = await desk.box()
        assert (box.total, box.unseen, box.uid_next, box.size) == (1, 0, 2, len(whole))

    async def test_a_commit_is_all_or_nothing(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        missing = Mailbox(**{**_fields(inbox), "mailbox_id": 999})
        with pytest.raises(NotFound):
            await desk.store.commit(desk.message(inbox), desk.message(missing))
        assert (await desk.box()).total == 0
        assert len(await desk.store.index(desk.id, inbox.mailbox_id)) == 0

    async def test_one_refusal_harms_no_other_commit(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        missing = Mailbox(**{**_fields(inbox), "mailbox_id": 999})
        commits = [
            desk.store.commit(desk.message(inbox, f"m{i}"), desk.message(inbox if i % 3 else missing))
            for i in range(30)
        ]
        results = await asyncio.gather(*commits, return_exceptions=True)
        assert [isinstance(result, NotFound) for result in results] == [i % 3 == 0 for i in range(30)]
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        kept = sorted(each.uid for result in results if isinstance(result, list) for each in result)
        assert uids_of(index) == kept
        box = await desk.box()
        assert (box.total, box.uid_next) == (40, index.uid_next)
        assert box.uid_next > kept[-1]

    async def test_uids_only_ever_grow(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a", "b")
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
        await engine.reopen()
        (added,) = await desk.add(inbox, "c")
        assert added.uid == 3

    async def test_the_quota_is_kept(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine, quota=1000)
        inbox = await desk.box()
        await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 900)))
        with pytest.raises(OverQuota):
            await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 101)))
        await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 101), check_quota=False))
        with pytest.raises(OverQuota):
            await desk.store.apply(
                CopyEmails(
                    account_id=desk.id,
                    source_id=inbox.mailbox_id,
                    uids=Ranges([(1, 2)]),
                    target_id=inbox.mailbox_id,
                )
            )
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
        await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 900)))
        account = await desk.store.account_by_id(desk.id)
        assert account is not None
        await desk.store.apply(PutAccount(account=_with(account, quota=5000)))
        await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * 900)))

    async def test_an_email_counts_in_each_mailbox_that_it_is_in(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine, quota=1000)
        inbox, archive, trash = [await desk.box(name) for name in ("INBOX", "Archive", "Trash")]
        for octets in (300, 500):
            await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * octets)))

        async def place(uids: str, target: Mailbox) -> str:
            copied = await desk.store.apply(
                PlaceEmails(
                    account_id=desk.id,
                    source_id=inbox.mailbox_id,
                    uids=Ranges.parse(uids),
                    target_id=target.mailbox_id,
                )
            )
            return str(copied.source)

        with pytest.raises(OverQuota):
            await place("1", archive)
        assert (await desk.store.usage(desk.id)).octets == 800
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
        for octets in (200, 300):
            await desk.store.apply(desk.message(inbox, content=Content.of(b"x" * octets)))
        assert await place("3:4", archive) == "3:4"
        assert (await desk.store.usage(desk.id)).octets == 1000
        assert await place("3:4", archive) == "", "they are there already, and count no second time"
        with pytest.raises(OverQuota):
            await place("3", trash)

    async def test_the_quota_of_a_domain_is_that_of_its_accounts_without_one(
        self, engine: EngineUnderTest
    ) -> None:
        desk, other = await furnish(engine), await furnish(engine, "bob@example.test", quota=5000)
        (domain,) = await desk.store.domains()
        whole = Content.of(b"x" * 900)
        for each in (desk, other):
            await desk.store.apply(each.message(await each.box(), content=whole))
        await desk.store.apply(PutDomain(domain=msgspec.structs.replace(domain, quota=1000)))
        assert (await desk.store.domains())[0].quota == 1000
        with pytest.raises(OverQuota):
            await desk.store.apply(desk.message(await desk.box(), content=whole))
        await desk.store.apply(other.message(await other.box(), content=whole))
        store = await engine.reopen()
        with pytest.raises(OverQuota):
            await store.apply(desk.message(await desk.box(), content=whole))
        account = await store.account_by_id(desk.id)
        assert account is not None
        await store.apply(PutAccount(account=_with(account, quota=2000)))
        await store.apply(desk.message(await desk.box(), content=whole))
        await store.apply(PutAccount(account=account))
        with pytest.raises(OverQuota):
            await store.apply(desk.message(await desk.box(), content=whole))
        await store.apply(PutDomain(domain=domain))
        await store.apply(desk.message(await desk.box(), content=whole))

    async def test_columns_come_in_the_order_asked(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        other = await furnish(engine, "bob@example.test")
        added = []
        for i in range(20):
            added += await desk.add(await desk.box(), f"m{i}")
            await other.add(await other.box(), "not mine")
        ids = [each.email_id for each in reversed(added)]
        fields = ("preview", "size", "envelope", "sent_at", "received_at", "parts", "body_structure")
        for asked in (ids, ids[3:4], ids[::2], sorted(ids)):
            rows = await desk.store.emails(desk.id, asked, fields)
            numbers = [19 - ids.index(email_id) for email_id in asked]
            assert [row and row[0] for row in rows] == [f"m{i}" for i in numbers]
            assert [row and row[1] for row in rows] == [
                len(f"Subject: m{i}\r\n\r\nm{i}\r\n") for i in numbers
            ]
            assert all(row is not None and len(row) == len(fields) for row in rows)
        assert await desk.store.emails(desk.id, [10**9, *ids[:1]], ("size",)) == [
            None,
            (len("Subject: m19\r\n\r\nm19\r\n"),),
        ]
        assert await desk.store.emails(other.id, ids[:2], ("envelope",)) == [None, None]
        assert await desk.store.emails(desk.id, [], ("envelope",)) == []

    async def test_derived_columns_survive_any_octets(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        raw = bytes(range(256)) * 3
        added = await desk.store.apply(desk.message(await desk.box(), content=Content.of(raw)))
        first = await desk.store.emails(desk.id, [added.email_id], ("parts", "envelope"))
        await engine.settle()
        await engine.reopen()
        assert await desk.store.emails(desk.id, [added.email_id], ("parts", "envelope")) == first
        assert first[0] is not None

    @pytest.mark.parametrize("received_at", [-(2**40), -1, RECEIVED_MAX, RECEIVED_MAX + 1, 2**40])
    async def test_any_date_of_receipt_can_be_read_again(
        self, engine: EngineUnderTest, received_at: int
    ) -> None:
        """Mail may come with dates of any century: its mailbox is read from the database all the same."""
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        (added,) = await desk.add(inbox, "a", received_at=received_at)
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(1, 1)]),
                target_id=archive.mailbox_id,
            )
        )
        shown = min(max(received_at, 0), RECEIVED_MAX)
        for _ in range(2):
            for each in (inbox, archive):
                index = await desk.store.index(desk.id, each.mailbox_id)
                assert list(index.received) == [shown]
            assert await desk.store.emails(desk.id, [added.email_id], ("received_at",)) == [
                (min(received_at, RECEIVED_MAX),)
            ]
            await engine.reopen()


class FlagKit:
    """Flags, mod-sequences, expunge, copy and move."""

    async def test_flags_are_added_removed_replaced(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a", "b", "c")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert await desk.flag(inbox, "1:2", "\\Seen", "blue") == Ranges([(1, 2)])
        assert await desk.flag(inbox, "1:3", "\\seen") == Ranges([(3, 3)]), "only what really changes"
        assert await desk.flag(inbox, "2", "\\Seen", action="remove") == Ranges([(2, 2)])
        assert await desk.flag(inbox, "1:9", "\\Deleted", action="replace") == Ranges([(1, 3)])
        assert list(index.flags) == [8, 8, 8]
        box = await desk.box()
        assert (box.unseen, box.deleted, box.highest_modseq) == (3, 3, index.highest_modseq)

    async def test_only_changed_messages_get_the_new_modseq(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a", "b")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        before = list(index.modseqs)
        await desk.flag(inbox, "2", "\\Seen")
        assert index.modseqs[0] == before[0]
        assert index.modseqs[1] == index.highest_modseq > before[1]
        highest = index.highest_modseq
        assert not await desk.flag(inbox, "2", "\\Seen")
        assert index.highest_modseq == highest

    async def test_unchanged_since_leaves_newer_ones_alone(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a", "b", "c")
        since = (await desk.store.index(desk.id, inbox.mailbox_id)).highest_modseq
        await desk.flag(inbox, "2", "\\Flagged")
        done = await desk.store.apply(
            SetFlags(
                account_id=desk.id,
                mailbox_id=inbox.mailbox_id,
                uids=Ranges([(1, 3)]),
                action="add",
                flags=frozenset({"\\Seen"}),
                unchanged_since=since,
            )
        )
        assert (done.changed, done.modified) == (Ranges([(1, 1), (3, 3)]), Ranges([(2, 2)]))

    async def test_unchanged_since_changes_an_email_in_all_its_mailboxes(
        self, engine: EngineUnderTest
    ) -> None:
        """RFC 8621 §4.1.1: the keywords are the email's, not those of one of its places."""
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        await desk.add(inbox, "a", "b", also=(archive.mailbox_id,))
        here = await desk.store.index(desk.id, inbox.mailbox_id)
        there = await desk.store.index(desk.id, archive.mailbox_id)
        await desk.store.apply(
            SetFlags(
                account_id=desk.id,
                mailbox_id=inbox.mailbox_id,
                uids=Ranges([(1, 1)]),
                action="add",
                flags=frozenset({"\\Seen"}),
                unchanged_since=here.highest_modseq,
            )
        )
        assert list(here.flags) == list(there.flags) == [SEEN, 0]
        assert (await desk.box()).unseen == (await desk.box("Archive")).unseen == 1

    async def test_keywords_keep_their_bits_and_are_bounded(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "a")
        await desk.flag(inbox, "1", *(f"k{i:02}" for i in range(KEYWORDS)))
        assert await desk.store.keywords(desk.id) == tuple(f"k{i:02}" for i in range(KEYWORDS))
        with pytest.raises(Conflict):
            await desk.flag(inbox, "1", "one-more")
        await engine.reopen()
        assert len(await desk.store.keywords(desk.id)) == KEYWORDS
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        assert index.flags[0] == ((1 << KEYWORDS) - 1) << KEYWORD_SHIFT
        assert await desk.flag(inbox, "1", "K07", "unknown", action="remove") == Ranges([(1, 1)])
        assert index.flags[0].bit_count() == KEYWORDS - 1

    async def test_expunge_takes_the_deleted_of_the_set(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *"abcde")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        start = index.highest_modseq
        await desk.flag(inbox, "2:4", "\\Deleted")
        done = await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(3, 9)]))
        )
        assert done.uids == Ranges([(3, 4)])
        assert done.modseq == index.highest_modseq
        assert uids_of(index) == [1, 2, 5]
        assert await desk.store.vanished_since(desk.id, inbox.mailbox_id, start) == Ranges([(3, 4)])
        assert not await desk.store.vanished_since(desk.id, inbox.mailbox_id, done.modseq)
        everything = await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id))
        assert everything.uids == Ranges([(2, 2)])
        box = await desk.box()
        assert (box.total, box.deleted, box.unseen) == (2, 0, 2)

    async def test_copy_keeps_flags_and_dates_in_order(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, sent = await desk.box(), await desk.box("Sent")
        await desk.add(inbox, *"abcd", received_at=1234)
        await desk.flag(inbox, "3", "\\Answered", "blue")
        done = await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges.parse("1,3:9"),
                target_id=sent.mailbox_id,
            )
        )
        assert (done.source, done.target) == (Ranges.parse("1,3:4"), Ranges([(1, 3)]))
        target = await desk.store.index(desk.id, sent.mailbox_id)
        source = await desk.store.index(desk.id, inbox.mailbox_id)
        assert list(target.flags) == [source.flags[0], source.flags[2], source.flags[3]]
        assert list(target.received) == [1234] * 3
        assert set(target.email_ids).isdisjoint(source.email_ids)
        rows = await desk.store.emails(desk.id, list(target.email_ids), ("preview",))
        assert [row and row[0] for row in rows] == ["a", "c", "d"]
        assert (await desk.store.usage(desk.id)).messages == 7

    async def test_move_keeps_the_email_and_leaves_a_trace(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, trash = await desk.box(), await desk.box("Trash")
        added = await desk.add(inbox, *"abc")
        source = await desk.store.index(desk.id, inbox.mailbox_id)
        target = await desk.store.index(desk.id, trash.mailbox_id)
        start = source.highest_modseq
        done = await desk.store.apply(
            MoveEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(2, 3)]),
                target_id=trash.mailbox_id,
            )
        )
        assert (done.source, done.target) == (Ranges([(2, 3)]), Ranges([(1, 2)]))
        assert uids_of(source) == [1]
        assert list(target.email_ids) == [added[1].email_id, added[2].email_id]
        assert await desk.store.vanished_since(desk.id, inbox.mailbox_id, start) == Ranges([(2, 3)])
        assert (await desk.store.usage(desk.id)).messages == 3
        await engine.settle()
        assert None not in await desk.store.messages(desk.id, list(target.email_ids))

    async def test_moving_within_a_mailbox_gives_new_uids(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *"ab")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        op = MoveEmails(
            account_id=desk.id,
            source_id=inbox.mailbox_id,
            uids=Ranges([(1, 1)]),
            target_id=inbox.mailbox_id,
        )
        assert (await desk.store.apply(op)).target == Ranges([(3, 3)])
        assert uids_of(index) == [2, 3]
        assert (await desk.box()).total == 2

    async def test_absent_uids_are_passed_over(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        nothing = Ranges([(7, 9)])
        ids = {"account_id": desk.id, "source_id": inbox.mailbox_id, "target_id": inbox.mailbox_id}
        assert not (await desk.store.apply(CopyEmails(uids=nothing, **ids))).target
        assert not (await desk.store.apply(MoveEmails(uids=nothing, **ids))).target
        assert not await desk.flag(inbox, "7:9", "\\Seen")


class ChangeKit:
    """What is in memory agrees with what is on disk, and everybody hears of changes."""

    async def test_the_index_is_current_before_the_caller_goes_on(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        heard: list[int] = []
        end = index.watch(lambda: heard.append(len(index)))
        await desk.add(inbox, "a", "b")
        assert uids_of(index) == [1, 2]
        assert heard == [2], "one call for one commit"
        assert await desk.store.index(desk.id, inbox.mailbox_id) is index
        end()
        await desk.add(inbox, "c")
        assert heard == [2]

    async def test_the_log_tells_what_each_commit_did(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        await desk.add(inbox, "a", "b")
        await desk.flag(inbox, "1", "\\Deleted")
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id))
        assert [(str(c.added), str(c.flagged), str(c.vanished)) for c in index.log] == [
            ("1:2", "", ""),
            ("", "1", ""),
            ("", "", "1"),
        ]
        assert [change.modseq for change in index.log] == sorted(change.modseq for change in index.log)
        assert index.log[-1].modseq == index.highest_modseq

    async def test_an_index_loaded_amid_commits_misses_nothing(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, *map(str, range(50)))
        await engine.reopen()
        ops = [desk.add(inbox, f"new{i}") for i in range(20)]
        ops += [desk.flag(inbox, str(i), "\\Seen") for i in range(1, 20)]
        loading = asyncio.ensure_future(desk.store.index(desk.id, inbox.mailbox_id))
        await asyncio.gather(*ops)
        live = await loading
        assert uids_of(live) == list(range(1, 71))
        assert [flags & SEEN for flags in live.flags[:20]] == [1] * 19 + [0]

    async def test_counts_agree_after_reopening(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        for i in range(7):
            await desk.add(inbox, f"m{i}", flags=frozenset({"\\Seen"} if i % 2 else {"\\Deleted"}))
        before, usage = await desk.box(), await desk.store.usage(desk.id)
        assert (before.total, before.unseen, before.deleted) == (7, 4, 4)
        await engine.reopen()
        assert await desk.box() == before
        assert await desk.store.usage(desk.id) == usage

    async def test_watchers_of_an_account_hear_its_changes_only(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        other = await furnish(engine, "bob@example.test")
        heard: list[str] = []
        end = desk.store.watch_account(desk.id, lambda: heard.append("ann"))
        await other.add(await other.box(), "x")
        assert heard == []
        await desk.add(await desk.box(), "x")
        await desk.store.apply(CreateMailbox(account_id=desk.id, name="New"))
        assert heard == ["ann", "ann"]
        end()
        await desk.add(await desk.box(), "x")
        assert heard == ["ann", "ann"]

    async def test_a_watcher_that_fails_harms_nobody(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        heard: list[bool] = []

        def fail() -> None:
            raise RuntimeError

        desk.store.watch_account(desk.id, fail)
        index.watch(lambda: heard.append(True))
        await desk.add(inbox, "x")
        assert heard == [True]

    async def test_what_is_in_memory_is_answered_at_once(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "x")
        await desk.store.index(desk.id, inbox.mailbox_id)
        (stored,) = await desk.store.stored(desk.id, [added.email_id])
        assert stored is not None
        for asked in (
            desk.store.mailboxes(desk.id),
            desk.store.mailbox(desk.id, "INBOX"),
            desk.store.usage(desk.id),
            desk.store.index(desk.id, inbox.mailbox_id),
            desk.store.stored(desk.id, [added.email_id]),
            desk.store.read(stored),
        ):
            with pytest.raises(StopIteration):  # it returned without suspending
                asked.send(None)


def _fields(mailbox: Mailbox) -> dict[str, object]:
    return {name: getattr(mailbox, name) for name in mailbox.__struct_fields__}


def _with(account: object, **changes: object) -> object:
    import msgspec

    return msgspec.structs.replace(account, **changes)  # type: ignore[type-var]
