"""What `verify` mends while the store is in use is told to everybody, as if a client had done it."""

from __future__ import annotations

import apsw

from posthouse.ranges import Ranges
from posthouse.store.interface import PlaceEmails
from posthouse.store.sqlite.verify import Flaw
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_a_message_of_which_only_its_place_is_left_is_expunged_for_everybody(
    engine: SqliteEngine,
) -> None:
    desk = await furnish(engine)
    inbox, archive = await desk.box(), await desk.box("Archive")
    first, broken, twice = await desk.add(inbox, "one", "two", "three")
    await desk.store.apply(
        PlaceEmails(
            account_id=desk.id,
            source_id=inbox.mailbox_id,
            uids=Ranges.parse("3"),
            target_id=archive.mailbox_id,
        )
    )
    await desk.flag(inbox, "2", "\\Deleted")
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    before = (await desk.store.states(desk.id)).mail
    other = apsw.Connection(str(engine.path))
    other.execute("DELETE FROM email WHERE email_id IN (?, ?)", (broken.email_id, twice.email_id))
    other.close()

    flaws = [each async for each in engine.store.verify(fix=True) if isinstance(each, Flaw)]
    mended = [flaw.kind for flaw in flaws if flaw.mended]
    assert mended == ["placement without email"] * 3, "and no count was wrong because of it"
    assert list(index.uids) == [1], "clients that have it open are told"
    for mailbox, gone in ((inbox, "2:3"), (archive, "1")):
        assert str(await desk.store.vanished_since(desk.id, mailbox.mailbox_id, before)) == gone
    changes = await desk.store.email_changes(desk.id, before)
    assert changes is not None
    assert {each.email_id for each in changes if each.gone} == {broken.email_id, twice.email_id}
    counts = {each.name: (each.total, each.deleted) for each in await desk.store.mailboxes(desk.id)}
    assert (counts["INBOX"], counts["Archive"]) == ((1, 0), (0, 0))
    await engine.settle()
    left = [each async for each in engine.store.verify(fix=False) if isinstance(each, Flaw)]
    assert {flaw.kind for flaw in left} == {"bytes that nobody has"}
    (left,) = await desk.store.stored(desk.id, [first.email_id])
    assert left is not None


async def test_a_thousand_flaws_are_told_and_the_others_counted(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    await desk.add(inbox, "one")
    other = apsw.Connection(str(engine.path))
    other.execute(
        "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1200)"
        " INSERT INTO placement SELECT account_id, mailbox_id, uid + n, email_id + 900000 + n, flags, modseq,"
        " created_modseq, size, received_at, saved_at FROM placement, s WHERE mailbox_id = ?",
        (inbox.mailbox_id,),
    )
    other.execute(
        "UPDATE mailbox SET uid_next = 2000, total = total + 1200 WHERE mailbox_id = ?", (inbox.mailbox_id,)
    )
    other.close()
    await engine.reopen()

    async def flaws(*, fix: bool) -> list[Flaw]:
        return [each async for each in engine.store.verify(fix=fix) if isinstance(each, Flaw)]

    *told, last = await flaws(fix=False)
    assert len(told) == 1000
    assert (last.kind, last.mended) == ("more", False)
    *told, last = await flaws(fix=True)
    assert [sum(flaw.mended is done for flaw in told) for done in (False, True)] == [1000, 1000]
    assert (last.kind, last.what, last.mended) == ("more", "201 more flaws", True)
    assert await flaws(fix=False) == []
