"""What every engine must do with verdicts, lessons and memos."""

from __future__ import annotations

import pytest

from posthouse.ranges import Ranges
from posthouse.store.interface import (
    CopyEmails,
    CreateMailbox,
    Expunge,
    MoveEmails,
    PlaceEmails,
    RemoveAccount,
)
from posthouse.store.judgement import REJECTS, EndLesson, LessonKind, Memo, PruneMemos, PutMemo, RemoveMemo
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish

ALL = Ranges([(1, 100)])


def memo(desk: Desk, key: str, data: bytes = b"x", until: float | None = None) -> PutMemo:
    return PutMemo(memo=Memo(account_id=desk.id, kind="test", key=key, data=data, until=until))


async def lessons(desk: Desk) -> list[tuple[int, str, str]]:
    return [(one.email_id, one.kind.value, one.learnt) for one in await desk.store.lessons(100)]


class JudgementKit:
    """Verdicts, lessons, memos."""

    async def test_a_verdict_stays_with_its_email_and_its_copies(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox, archive = await desk.box(), await desk.box("Archive")
        one, two = await desk.add(inbox, "one", verdict=b'{"a":1}'), await desk.add(inbox, "two")
        ids = [one[0].email_id, two[0].email_id, 999_999]
        assert await desk.store.verdict(desk.id, ids) == [b'{"a":1}', None, None]
        copy = CopyEmails(
            account_id=desk.id, source_id=inbox.mailbox_id, uids=ALL, target_id=archive.mailbox_id
        )
        await desk.store.apply(copy)
        index = await desk.store.index(desk.id, archive.mailbox_id)
        assert await desk.store.verdict(desk.id, list(index.email_ids)) == [b'{"a":1}', None]
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=ALL, force=True))
        await desk.engine.settle()
        assert await desk.store.verdict(desk.id, ids[:1]) == [None]
        assert await desk.store.verdict(desk.id, list(index.email_ids)) == [b'{"a":1}', None]
        await desk.engine.reopen()
        assert await desk.store.verdict(desk.id, list(index.email_ids)) == [b'{"a":1}', None]

    @pytest.mark.parametrize(
        ("source", "target", "kind"),
        [
            ("INBOX", "Junk", "junk"),
            ("Trash", "Junk", "junk"),
            ("INBOX", REJECTS, "junk"),
            ("Junk", "INBOX", "good"),
            ("Junk", "Archive", "good"),
            (REJECTS, "INBOX", "good"),
            ("Junk", "Trash", None),
            ("Junk", REJECTS, None),
            ("INBOX", "Archive", None),
            ("INBOX", "Sent", "sent"),
        ],
    )
    @pytest.mark.parametrize("operation", [MoveEmails, CopyEmails])
    async def test_a_move_teaches(
        self, engine: EngineUnderTest, operation: type[MoveEmails], source: str, target: str, kind: str | None
    ) -> None:
        desk = await furnish(engine)
        await desk.store.apply(CreateMailbox(account_id=desk.id, name=REJECTS))
        heard: list[int] = []
        desk.store.watch_lessons(lambda: heard.append(1))
        start, end = await desk.box(source), await desk.box(target)
        (added,) = await desk.add(start, "hello", verdict=b"{}")
        await desk.store.apply(
            operation(account_id=desk.id, source_id=start.mailbox_id, uids=ALL, target_id=end.mailbox_id)
        )
        index = await desk.store.index(desk.id, end.mailbox_id)
        assert await lessons(desk) == ([(index.email_ids[0], kind, "")] if kind else [])
        assert bool(heard) is (kind is not None)
        if operation is MoveEmails:
            assert index.email_ids[0] == added.email_id

    @pytest.mark.parametrize(
        ("source", "others", "taken_out", "kind"),
        [
            ("Junk", ["INBOX"], True, "good"),
            (REJECTS, ["Archive"], True, "good"),
            ("Junk", ["Trash", "Archive"], True, "good"),
            ("Junk", ["INBOX"], False, None),
            ("Junk", ["Trash"], True, None),
            ("Junk", [REJECTS], True, None),
            ("Junk", [], True, None),
            ("INBOX", ["Archive"], True, None),
        ],
    )
    async def test_taking_out_of_junk_what_stays_elsewhere_teaches(
        self, engine: EngineUnderTest, source: str, others: list[str], taken_out: bool, kind: str | None
    ) -> None:
        desk = await furnish(engine)
        await desk.store.apply(CreateMailbox(account_id=desk.id, name=REJECTS))
        start = await desk.box(source)
        alone, both = await desk.add(start, "alone", "in both", verdict=b"{}")
        for name in others:
            target = (await desk.box(name)).mailbox_id
            uids = Ranges([(both.uid, both.uid)])
            await desk.store.apply(
                PlaceEmails(account_id=desk.id, source_id=start.mailbox_id, uids=uids, target_id=target)
            )
        for email_id, was, _ in await lessons(desk):  # of the placing itself
            end = EndLesson(account_id=desk.id, email_id=email_id, kind=LessonKind(was), learnt="junk")
            await desk.store.apply(end)
        await desk.store.apply(
            Expunge(
                account_id=desk.id, mailbox_id=start.mailbox_id, uids=ALL, force=True, taken_out=taken_out
            )
        )
        found = [one for one in await lessons(desk) if one[0] == both.email_id]
        assert [each[1] for each in found] == ([kind] if kind else [])
        assert alone.email_id not in [each[0] for each in await lessons(desk)]

    @pytest.mark.parametrize(
        ("flag", "action", "kind"),
        [
            ("$Junk", "add", "junk"),
            ("$junk", "replace", "junk"),
            ("Junk", "add", "junk"),
            ("$NotJunk", "add", "good"),
            ("NonJunk", "add", "good"),
            ("\\Answered", "add", "answered"),
            ("$Junk", "remove", None),
            ("\\Seen", "add", None),
        ],
    )
    async def test_a_flag_teaches(
        self, engine: EngineUnderTest, flag: str, action: str, kind: str | None
    ) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "hello")
        await desk.flag(inbox, "1", flag, action=action)
        assert await lessons(desk) == ([(added.email_id, kind, "")] if kind else [])
        await desk.flag(inbox, "1", flag, action=action)
        assert len(await lessons(desk)) <= 1

    async def test_what_is_flagged_and_copied_teaches_once(self, engine: EngineUnderTest) -> None:
        """As clients without MOVE do it, before the filter has learnt what the flag says."""
        desk = await furnish(engine)
        inbox, junk = await desk.box(), await desk.box("Junk")
        await desk.add(inbox, "one", "two")
        await desk.flag(inbox, "1:2", "$Junk")
        await desk.store.apply(
            CopyEmails(
                account_id=desk.id,
                source_id=inbox.mailbox_id,
                uids=Ranges([(1, 1)]),
                target_id=junk.mailbox_id,
            )
        )
        (_, other) = (await desk.store.index(desk.id, inbox.mailbox_id)).email_ids
        (copied,) = (await desk.store.index(desk.id, junk.mailbox_id)).email_ids
        assert await lessons(desk) == [(other, "junk", ""), (copied, "junk", "")]

    async def test_what_is_put_into_sent_teaches_unless_it_was_delivered(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        sent = await desk.box("Sent")
        (added,) = await desk.add(sent, "mine")
        await desk.add(sent, "delivered by a filter", verdict=b"{}")
        assert await lessons(desk) == [(added.email_id, "sent", "")]

    async def test_a_lesson_ends_and_is_remembered_and_the_latest_counts(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "hello")
        await desk.flag(inbox, "1", "$Junk")
        end = EndLesson(account_id=desk.id, email_id=added.email_id, kind=LessonKind.JUNK, learnt="junk")
        await desk.flag(inbox, "1", "$NotJunk")
        await desk.store.apply(end)
        assert await lessons(desk) == [(added.email_id, "good", "junk")], "another came meanwhile"
        await desk.engine.reopen()
        assert await lessons(desk) == [(added.email_id, "good", "junk")]
        await desk.store.apply(
            EndLesson(account_id=desk.id, email_id=added.email_id, kind=LessonKind.GOOD, learnt="good")
        )
        assert await lessons(desk) == []
        assert await desk.store.learnt(desk.id, [added.email_id, 12345]) == ["good", ""]
        await desk.store.apply(
            EndLesson(account_id=desk.id, email_id=777_777, kind=LessonKind.GOOD, learnt="good")
        )
        assert await desk.store.learnt(desk.id, [777_777]) == [""], "an email that is gone leaves nothing"

    async def test_memos_are_put_changed_forgotten_and_end(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await desk.store.commit(
            memo(desk, "b"),
            memo(desk, "a", b"1"),
            memo(desk, "late", until=NOW * 2.0),
            memo(desk, "old", until=5.0),
        )
        await desk.store.apply(memo(desk, "a", b"2"))
        found = await desk.store.memos(desk.id, "test")
        assert [(one.key, one.data) for one in found] == [("a", b"2"), ("b", b"x"), ("late", b"x")]
        assert [one.key for one in await desk.store.memos(desk.id, "test", ["b", "old", "no"])] == ["b"]
        assert await desk.store.memos(desk.id, "test", []) == []
        assert [one.key for one in await desk.store.memos(desk.id, "test", limit=1)] == ["a"]
        assert await desk.store.memos(desk.id, "other") == []
        wanted = [(desk.id, "b"), (desk.id, "old"), (desk.id + 1000, "b"), (desk.id, "no"), (desk.id, "a")]
        together = await desk.store.memos_of("test", wanted)
        assert sorted(together) == [(desk.id, "a"), (desk.id, "b")]
        assert [together[desk.id, key].data for key in "ab"] == [one.data for one in found[:2]]
        many = [(desk.id, f"k{number}") for number in range(150)] + [(desk.id, "b")]
        assert list(await desk.store.memos_of("test", many)) == [(desk.id, "b")]
        assert await desk.store.memos_of("other", wanted) == {}
        assert await desk.store.memos_of("test", []) == {}
        assert await desk.store.apply(PruneMemos(now=6.0)) == 1
        await desk.store.apply(RemoveMemo(account_id=desk.id, kind="test", key="b"))
        await desk.store.apply(RemoveMemo(account_id=desk.id, kind="test", key="b"))
        await desk.engine.reopen()
        assert [one.key for one in await desk.store.memos(desk.id, "test")] == ["a", "late"]
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        assert await desk.store.memos(desk.id, "test") == []
