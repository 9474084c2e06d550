"""Care that many rows need: everybody else's commits go on meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.account_operations import AddUpload, PutItem
from posthouse.store.care import NoteTransferred
from posthouse.store.interface import (
    CreateMailbox,
    DeleteMailbox,
    PlaceEmails,
    PruneEvents,
    RecordEvents,
    RemoveAccount,
)
from posthouse.store.model import Content, Event, Mailbox
from posthouse.store.sql import mailboxes, remains
from posthouse.store.sqlite import upkeep
from posthouse.store.sqlite.verify import Flaw
from tests.kits.engine import NOW, Desk, furnish
from tests.store.conftest import SqliteEngine


async def test_mail_does_not_wait_for_old_timelines_to_be_forgotten(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 100)
    desk = await furnish(engine)
    inbox = await desk.box()
    lines = [
        Event(trace_id=str(n), at=float(n), kind="received", address="a", detail="-") for n in range(900)
    ]
    for start in range(0, 900, 100):
        await desk.store.apply(RecordEvents(events=tuple(lines[start : start + 100])))
    answered: list[str] = []
    pruning = asyncio.create_task(desk.store.apply(PruneEvents(before=800.0)))
    adding = asyncio.create_task(desk.add(inbox, "new"))
    pruning.add_done_callback(lambda _: answered.append("pruned"))
    adding.add_done_callback(lambda _: answered.append("mail"))
    assert await pruning == 800
    await adding
    assert answered == ["mail", "pruned"]
    assert [event.at for event in await desk.store.events()] == [float(n) for n in range(800, 900)]
    assert await desk.store.apply(PruneEvents(before=800.0)) == 0
    assert await desk.store.commit(PruneEvents(before=850.0), PruneEvents(before=1000.0)) == [50, 50]
    assert await desk.store.events() == []


# --- a mailbox whose emails are in others too -----------------------------------------------------------------

TWINS = 900


async def twins(desk: Desk) -> tuple[Mailbox, Mailbox]:
    """A mailbox whose emails are all in another one too, but for one."""
    box = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Box"))
    archive = await desk.box("Archive")
    await desk.add(box, *(f"m{n}" for n in range(TWINS + 1)))
    place = PlaceEmails(
        account_id=desk.id,
        source_id=box.mailbox_id,
        uids=Ranges.between(1, TWINS),
        target_id=archive.mailbox_id,
    )
    await desk.store.apply(place)
    return box, archive


async def flaws(engine: SqliteEngine) -> list[Flaw]:
    await engine.settle()
    return [each async for each in engine.store.verify(fix=False) if isinstance(each, Flaw)]


async def test_mail_does_not_wait_for_a_mailbox_with_many_twins_to_be_deleted(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 100)
    desk = await furnish(engine)
    box, archive = await twins(desk)
    index = await desk.store.index(desk.id, archive.mailbox_id)
    since = (await desk.store.states(desk.id)).mail
    answered: list[str] = []
    deleting = asyncio.create_task(
        desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id))
    )
    adding = asyncio.create_task(desk.add(await desk.box(), "new"))
    deleting.add_done_callback(lambda _: answered.append("deleted"))
    adding.add_done_callback(lambda _: answered.append("mail"))
    await deleting
    await adding
    assert answered == ["mail", "deleted"]
    assert await desk.store.mailbox(desk.id, "Box") is None
    assert len(index) == TWINS
    assert min(index.modseqs) > since, "the emails changed: they are in one mailbox less"
    changes = await desk.store.email_changes(desk.id, since)
    assert changes is not None
    assert [each.gone for each in changes].count(True) == 1, "what was nowhere else is gone"
    assert (await desk.store.usage(desk.id)).messages == TWINS + 1
    assert await flaws(engine) == []


class Busy:
    """A writer's queue as if others always waited: each piece is a transaction of its own."""

    def __init__(self, real: Any) -> None:
        self.put, self.get = real.put, real.get

    def empty(self) -> bool:
        return False


async def test_a_deletion_that_breaks_off_leaves_a_mailbox_that_can_be_deleted(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 100)
    desk = await furnish(engine)
    box, archive = await twins(desk)
    pieces = 0
    real = mailboxes._leave_twins

    def breaks(*arguments: object) -> bool:
        nonlocal pieces
        pieces += 1
        if pieces == 4:
            raise OSError("the disk is gone")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(mailboxes, "_leave_twins", breaks)
    writer = engine.store._engine._writer
    monkeypatch.setattr(writer, "_arrived", Busy(writer._arrived))
    delete = DeleteMailbox(account_id=desk.id, mailbox_id=box.mailbox_id)
    with pytest.raises(StoreUnavailable):
        await desk.store.apply(delete)
    left = await desk.box("Box")
    assert left.total == TWINS + 1 - 300
    store = await engine.reopen()
    assert await flaws(engine) == []
    pieces = 5
    await store.apply(delete)
    assert len(await store.index(desk.id, archive.mailbox_id)) == TWINS
    assert await flaws(engine) == []


# --- an account -----------------------------------------------------------------------------------------------


async def test_however_much_an_account_has_its_removal_is_bounded(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_ROWS", 100)
    monkeypatch.setattr(limits, "SWEEP_BATCH", 50)
    desk, other = await furnish(engine), await furnish(engine, "bob@example.test")
    await other.add(await other.box(), "stays")
    await other.store.apply(NoteTransferred(account_id=other.id, marks=(b"stays",)))
    await twins(desk)
    await desk.store.apply(NoteTransferred(account_id=desk.id, marks=tuple(b"%d" % n for n in range(TWINS))))
    for n in range(120):
        await desk.store.commit(
            PutItem(account_id=desk.id, kind="ContactCard", data=b"x", item_id=n, new=True),
            PutItem(account_id=desk.id, kind="Snooze", data=b"x", item_id=n, new=True, due_at=1.0),
            AddUpload(
                account_id=desk.id, content=Content.of(b"%d" % n), media_type="text/plain", created_at=NOW
            ),
        )
    await engine.settle()
    parts = engine.store._engine
    for loop in parts._loops:
        loop.cancel()

    async def counted() -> int:
        changed: int = await parts.background(lambda tx: tx.db.total_changes())
        return changed

    before = await counted()
    await desk.store.apply(RemoveAccount(account_id=desk.id))
    assert await counted() - before < 300, "not by its mail, nor by what was imported"
    assert await desk.store.items_due("Snooze", 2.0, 10) == []
    more = True
    while more:
        before = await counted()
        more = await parts.background(upkeep.sweep)
        assert await counted() - before <= 8 * limits.PIECE_ROWS
    store = await engine.reopen()
    assert await flaws(engine) == []
    for table in (*remains.SWEPT, "doomed_mailbox", "garbage_email", "email", "placement"):
        ((rows,),) = await store._engine.background(
            lambda tx, table=table: tx.query(
                f"SELECT count(*) FROM {table}"
                + (" WHERE account_id = ?" if table != "garbage_email" else " WHERE ?"),
                (desk.id,),
            )
        )
        assert rows == 0, table
    assert await store.transferred(other.id, [b"stays"]) == {b"stays"}
    assert len(await store.index(other.id, (await other.box()).mailbox_id)) == 1
