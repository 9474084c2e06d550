"""What every engine must do for imports and exports."""

from __future__ import annotations

import pytest

from posthouse.errors import NotFound
from posthouse.ranges import Ranges
from posthouse.store.care import KeepUids, NoteTransferred
from posthouse.store.interface import CreateMailbox, DeleteMailbox, RemoveAccount
from tests.kits.engine import EngineUnderTest, furnish


class TransferKit:
    """UIDs that messages bring along; what was done already."""

    async def test_a_fresh_mailbox_takes_uids_and_validity(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        watched = await desk.store.index(desk.id, inbox.mailbox_id)
        keep = KeepUids(account_id=desk.id, mailbox_id=inbox.mailbox_id, uid_validity=77, uid_next=5)
        kept, *_ = await desk.store.commit(keep, desk.message(inbox, "five"))
        assert kept is True
        assert watched.removed, "whoever had it open looks anew"
        for uid in (6, 20):
            await desk.store.commit(
                KeepUids(account_id=desk.id, mailbox_id=inbox.mailbox_id, uid_validity=77, uid_next=uid),
                desk.message(inbox, str(uid)),
            )
        for again in (False, True):
            store = await engine.reopen() if again else desk.store
            (now,) = [box for box in await store.mailboxes(desk.id) if box.name == "INBOX"]
            assert (now.uid_validity, now.uid_next, now.total) == (77, 21, 3)
            index = await store.index(desk.id, inbox.mailbox_id)
            assert (list(index.uids), index.uid_validity) == ([5, 6, 20], 77)

    async def test_what_is_open_sees_the_gaps(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "one")
        index = await desk.store.index(desk.id, inbox.mailbox_id)
        ops: list[object] = []
        for uid in (4, 5, 9):
            ops.append(
                KeepUids(
                    account_id=desk.id,
                    mailbox_id=inbox.mailbox_id,
                    uid_validity=inbox.uid_validity,
                    uid_next=uid,
                )
            )
            ops.append(desk.message(inbox, str(uid)))
        await desk.store.commit(*ops)  # type: ignore[arg-type]
        assert list(index.uids) == [1, 4, 5, 9]
        added = [change.added for change in index.log if change.added]
        assert [uid for each in added for uid in each][-3:] == [4, 5, 9], "no UID is told that is not there"
        assert Ranges([(4, 5)]) in added

    async def test_a_used_mailbox_stays_as_it_is(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        await desk.add(inbox, "one")
        keep = KeepUids(account_id=desk.id, mailbox_id=inbox.mailbox_id, uid_validity=77, uid_next=50)
        assert await desk.store.apply(keep) is False
        now = await desk.box()
        assert (now.uid_validity, now.uid_next) == (inbox.uid_validity, 2)
        with pytest.raises(NotFound):
            await desk.store.apply(KeepUids(account_id=desk.id, mailbox_id=999, uid_validity=1))

    async def test_a_taken_validity_is_not_given_again(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Old"))
        far = box.uid_validity + 1000
        await desk.store.apply(KeepUids(account_id=desk.id, mailbox_id=box.mailbox_id, uid_validity=far))
        await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
        assert (await desk.store.apply(CreateMailbox(account_id=desk.id, name="Old"))).uid_validity > far

    async def test_marks_are_remembered_by_account(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        other = await furnish(engine, "zoe@other.test")
        marks = tuple(bytes([n]) * 16 for n in range(3))
        await desk.store.apply(NoteTransferred(account_id=desk.id, marks=marks[:2]))
        await desk.store.apply(NoteTransferred(account_id=desk.id, marks=marks[1:2]))
        store = await engine.reopen()
        assert await store.transferred(desk.id, marks) == frozenset(marks[:2])
        assert await store.transferred(desk.id, ()) == frozenset()
        assert await store.transferred(other.id, marks) == frozenset()
        await store.apply(RemoveAccount(account_id=desk.id))
        await engine.settle()
        assert await store.transferred(desk.id, marks) == frozenset()
