"""Large flag changes are durable as one row first, and nobody can tell from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, CreateMailbox, Expunge, SetFlags
from posthouse.store.model import DELETED, FLAGGED, SEEN
from posthouse.store.settler import Settler
from posthouse.store.sqlite.archive import Archive
from posthouse.store.sqlite.verify import Flaw
from tests.kits.engine import Desk, furnish
from tests.store.conftest import SqliteEngine

MESSAGES = 40


@pytest.fixture
async def desk(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """INBOX with MESSAGES messages, in a store that logs from 10 on and never finds a quiet moment."""
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 10)

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Settler, "_quiet", never)
    desk = await furnish(engine)
    await desk.add(await desk.box(), *map(str, range(MESSAGES)))
    return desk


def stored(engine: SqliteEngine, what: str) -> list[tuple[Any, ...]]:
    """Rows as they are on disk."""
    reader = engine.store._engine.open_reader()
    try:
        return reader.db.rows(what)
    finally:
        reader.close()


async def flags(desk: Desk) -> list[int]:
    """The flags that sessions see in INBOX."""
    return list((await desk.store.index(desk.id, (await desk.box()).mailbox_id)).flags)


async def change(desk: Desk, action: str, *names: str, uids: str = f"1:{MESSAGES}") -> None:
    box = await desk.box()
    await desk.store.apply(
        SetFlags(
            account_id=desk.id,
            mailbox_id=box.mailbox_id,
            uids=Ranges.parse(uids),
            action=action,
            flags=frozenset(names),
        )
    )


async def test_a_large_change_is_one_row_until_a_quiet_moment(
    desk: Desk, engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change(desk, "add", "\\Seen")
    assert await flags(desk) == [SEEN] * MESSAGES
    assert stored(engine, "SELECT first, last, keep, bits FROM flag_log") == [(1, MESSAGES, -1, SEEN)]
    assert stored(engine, "SELECT DISTINCT flags FROM placement") == [(0,)]
    monkeypatch.undo()
    await engine.reopen()
    await engine.settle()
    modseq = (await desk.box()).highest_modseq
    assert stored(engine, "SELECT * FROM flag_log") == []
    assert stored(engine, "SELECT DISTINCT flags, modseq FROM placement") == [(SEEN, modseq)]


async def test_a_small_change_goes_straight_to_the_placements(desk: Desk, engine: SqliteEngine) -> None:
    await change(desk, "add", "\\Seen", uids="1:9")
    assert stored(engine, "SELECT count(*) FROM flag_log") == [(0,)]
    assert stored(engine, "SELECT count(*) FROM placement WHERE flags = 1") == [(9,)]


async def test_a_restart_before_the_quiet_moment_shows_the_new_flags(
    desk: Desk, engine: SqliteEngine
) -> None:
    before = (await desk.box()).highest_modseq
    await change(desk, "replace", "\\Seen", "\\Deleted", uids="11:30")
    await engine.reopen()
    assert await flags(desk) == [0] * 10 + [SEEN | DELETED] * 20 + [0] * 10
    box = await desk.box()
    assert (box.unseen, box.deleted) == (MESSAGES - 20, 20)
    changed = await desk.store.email_changes(desk.id, before)
    assert changed is not None and len(changed) == 20
    assert {each.modseq for each in changed} == {box.highest_modseq}


async def test_later_operations_find_what_was_logged(desk: Desk, engine: SqliteEngine) -> None:
    await change(desk, "add", "\\Deleted", uids="1:20")
    await change(desk, "add", "\\Seen", uids="11:40")
    await change(desk, "remove", "\\Deleted", uids="15:15")
    box = await desk.box()
    archive = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Copies"))
    await desk.store.apply(
        CopyEmails(
            account_id=desk.id,
            source_id=box.mailbox_id,
            target_id=archive.mailbox_id,
            uids=Ranges.parse("1,15,20,40"),
        )
    )
    copies = await desk.store.index(desk.id, archive.mailbox_id)
    assert list(copies.flags) == [DELETED, SEEN, SEEN | DELETED, SEEN]
    gone = await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=box.mailbox_id, uids=None))
    assert str(gone.uids) == "1:14,16:20"
    await engine.reopen()
    assert await flags(desk) == [SEEN] * 21


async def test_what_is_refused_is_not_logged(desk: Desk, engine: SqliteEngine) -> None:
    box = await desk.box()
    everything = SetFlags(
        account_id=desk.id,
        mailbox_id=box.mailbox_id,
        uids=Ranges.between(1, MESSAGES),
        action="add",
        flags=frozenset({"\\Seen"}),
    )
    with pytest.raises(Conflict):
        await desk.store.commit(everything, CreateMailbox(account_id=desk.id, name="INBOX"))
    assert stored(engine, "SELECT count(*) FROM flag_log") == [(0,)]
    await change(desk, "add", "\\Deleted")
    assert await flags(desk) == [DELETED] * MESSAGES


async def test_verify_and_backups_know_the_log(desk: Desk, engine: SqliteEngine, tmp_path: Path) -> None:
    await change(desk, "add", "\\Seen", "\\Deleted", uids="1:20")
    found = [each async for each in engine.store.verify(fix=True)]
    assert [each for each in found if isinstance(each, Flaw)] == []
    async for _ in engine.store.backup(tmp_path / "backup"):
        pass
    archive = Archive(tmp_path / "backup")
    (folder,) = [each for each in archive.folders(desk.id) if each.name == "INBOX"]
    messages = archive.messages(desk.id, folder.mailbox_id, 0, MESSAGES)
    assert [set(each.flags) for each in messages] == [{"\\Seen", "\\Deleted"}] * 20 + [set()] * 20


async def test_mending_counts_what_is_logged(desk: Desk, engine: SqliteEngine) -> None:
    await change(desk, "add", "\\Seen", uids="1:30")
    await engine.store._engine.background(lambda tx: tx.execute("UPDATE mailbox SET unseen = 7"))
    found = [each async for each in engine.store.verify(fix=True)]
    assert {each.kind for each in found if isinstance(each, Flaw)} == {"wrong counts"}
    assert (await desk.box()).unseen == MESSAGES - 30


LOG = "SELECT first, last, keep, bits FROM flag_log ORDER BY first"


async def test_a_second_change_of_the_same_messages_changes_what_is_logged(
    desk: Desk, engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The placements of a mailbox whose flags are changed again and again are not rewritten each time."""
    everything = f"1:{MESSAGES}"
    await change(desk, "add", "\\Seen", "\\Flagged")
    await change(desk, "remove", "\\Seen", uids=everything)
    assert stored(engine, LOG) == [(1, MESSAGES, ~SEEN, FLAGGED)]
    assert stored(engine, "SELECT DISTINCT flags FROM placement") == [(0,)]
    assert await flags(desk) == [FLAGGED] * MESSAGES
    await change(desk, "replace", "\\Deleted", "\\Seen")
    box = await desk.box()
    assert (box.unseen, box.deleted, box.total) == (0, MESSAGES, MESSAGES)
    await change(desk, "remove", "\\Deleted")
    box = await desk.box()
    assert (box.unseen, box.deleted) == (0, 0)
    since = box.highest_modseq
    monkeypatch.undo()
    await engine.reopen()
    assert await flags(desk) == [SEEN] * MESSAGES
    await engine.settle()
    assert stored(engine, LOG) == []
    assert stored(engine, "SELECT DISTINCT flags, modseq FROM placement") == [(SEEN, since)]


@pytest.mark.parametrize(
    ("uids", "action", "names"),
    [
        ("11:40", "remove", ["\\Seen"]),  # a part of the run
        ("1:40", "add", ["\\Seen"]),  # what makes no difference
        ("1:40", "replace", ["\\Deleted"]),
    ],
)
async def test_what_is_not_the_whole_run_is_settled_first(
    desk: Desk, engine: SqliteEngine, uids: str, action: str, names: list[str]
) -> None:
    """Half of the run differs from the other half, so one rule cannot say it."""
    await change(desk, "add", "\\Seen")
    await change(desk, "remove", "\\Seen", uids="1:5")
    before = await flags(desk)
    await change(desk, action, *names, uids=uids)
    wanted = list(before)
    first, _, last = uids.partition(":")
    for place in range(int(first) - 1, int(last)):
        bits = {"\\Seen": SEEN, "\\Deleted": DELETED}[names[0]]
        wanted[place] = {
            "add": wanted[place] | bits,
            "remove": wanted[place] & ~bits,
            "replace": bits,
        }[action]
    assert await flags(desk) == wanted
    box = await desk.box()
    assert box.unseen == sum(not each & SEEN for each in wanted)
    await engine.reopen()
    assert await flags(desk) == wanted


async def test_a_change_with_unchanged_since_sees_the_logged_mod_sequence(desk: Desk) -> None:
    """RFC 7162 §3.1.3."""
    before = (await desk.box()).highest_modseq
    await change(desk, "add", "\\Seen")
    box = await desk.box()
    found = await desk.store.apply(
        SetFlags(
            account_id=desk.id,
            mailbox_id=box.mailbox_id,
            uids=None,
            action="remove",
            flags=frozenset({"\\Seen"}),
            unchanged_since=before,
        )
    )
    assert (str(found.modified), len(found.changed)) == (f"1:{MESSAGES}", 0)
