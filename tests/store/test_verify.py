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
