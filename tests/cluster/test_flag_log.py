"""Large flag changes are durable as one row first; no node, and nobody outside, can tell."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.ranges import Ranges
from posthouse.store.interface import CopyEmails, CreateMailbox, DeleteMailbox, Expunge, SetFlags
from posthouse.store.model import DELETED, FLAGGED, SEEN
from posthouse.store.settler import Settler
from posthouse.store.sqlite.archive import Archive
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.nodes import content, nodes
from tests.cluster.test_keeping import back_up, flaws
from tests.cluster.test_nodes import desks
from tests.kits.engine import Desk, furnish
from tests.waiting import until

MESSAGES = 40


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are logged from 10 on, and there is never a quiet moment."""
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 10)

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Settler, "_quiet", never)


@pytest.fixture
async def desk(engine: PostgresEngine) -> Desk:
    """INBOX with MESSAGES messages."""
    desk = await furnish(engine)
    await desk.add(await desk.box(), *map(str, range(MESSAGES)))
    return desk


class Rows:
    """What is in the database."""

    def __init__(self, server: Database, url: str) -> None:
        self._server, self._name = server, url.rpartition("/")[2]

    def __call__(self, what: str) -> list[str]:
        return self._server.sql(what, self._name).splitlines()


@pytest.fixture
def rows(server: Database, url: str) -> Rows:
    return Rows(server, url)


async def flags(desk: Desk) -> list[int]:
    """The flags that sessions see in INBOX."""
    return list((await desk.store.index(desk.id, (await desk.box()).mailbox_id)).flags)


def everything(desk: Desk, mailbox_id: int, *names: str, **more: object) -> SetFlags:
    values = {"uids": None, "action": "add", **more}
    return SetFlags(account_id=desk.id, mailbox_id=mailbox_id, flags=frozenset(names), **values)  # type: ignore[arg-type]


async def test_a_large_change_is_one_row_until_a_quiet_moment(
    desk: Desk, engine: PostgresEngine, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = await desk.box()
    await desk.store.apply(everything(desk, box.mailbox_id, "\\Seen"))
    assert await flags(desk) == [SEEN] * MESSAGES
    assert rows("SELECT first, last, keep, bits FROM flag_log") == [f"1|{MESSAGES}|-1|{SEEN}"]
    assert rows("SELECT DISTINCT flags FROM placement") == ["0"]
    monkeypatch.undo()
    await engine.reopen()
    await engine.settle()
    modseq = (await desk.box()).highest_modseq
    assert rows("SELECT * FROM flag_log") == []
    assert rows("SELECT DISTINCT flags, modseq FROM placement") == [f"{SEEN}|{modseq}"]


async def test_a_small_change_goes_straight_to_the_placements(desk: Desk, rows: Rows) -> None:
    await desk.flag(await desk.box(), "1:9", "\\Seen")
    assert rows("SELECT * FROM flag_log") == []
    assert rows("SELECT count(*) FROM placement WHERE flags = 1") == ["9"]


async def test_a_restart_before_the_quiet_moment_shows_the_new_flags(
    desk: Desk, engine: PostgresEngine
) -> None:
    box = await desk.box()
    before = box.highest_modseq
    await desk.flag(box, "11:30", "\\Seen", "\\Deleted", action="replace")
    await engine.reopen()
    assert await flags(desk) == [0] * 10 + [SEEN | DELETED] * 20 + [0] * 10
    box = await desk.box()
    assert (box.unseen, box.deleted) == (MESSAGES - 20, 20)
    changed = await desk.store.email_changes(desk.id, before)
    assert changed is not None and {each.modseq for each in changed} == {box.highest_modseq}
    assert len(changed) == 20


async def test_later_operations_find_what_was_logged(desk: Desk, engine: PostgresEngine) -> None:
    box = await desk.box()
    await desk.flag(box, "1:20", "\\Deleted")
    await desk.flag(box, "11:40", "\\Seen")
    await desk.flag(box, "15", "\\Deleted", action="remove")
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


async def test_a_conditional_change_goes_by_the_logged_mod_sequence(desk: Desk) -> None:
    """RFC 7162 §3.1.3: whatever has changed since is left alone, also when its placement does not show it yet."""
    box = await desk.box()
    before = box.highest_modseq
    await desk.flag(box, "1:20", "\\Seen")
    done = await desk.store.apply(everything(desk, box.mailbox_id, "\\Deleted", unchanged_since=before))
    assert (str(done.modified), str(done.changed)) == ("1:20", "21:40")
    assert await flags(desk) == [SEEN] * 20 + [DELETED] * 20


async def test_what_is_refused_is_not_logged_and_what_it_settled_is_settled_again(
    desk: Desk, rows: Rows
) -> None:
    box = await desk.box()
    first = await desk.flag(box, "1:20", "\\Seen")
    assert str(first) == "1:20"
    with pytest.raises(Conflict):
        await desk.store.commit(
            everything(desk, box.mailbox_id, "\\Deleted"), CreateMailbox(account_id=desk.id, name="INBOX")
        )
    assert rows("SELECT first, last FROM flag_log") == ["1|20"]
    await desk.flag(box, "5", "\\Deleted")
    assert rows("SELECT * FROM flag_log") == []
    assert await flags(desk) == [*[SEEN] * 4, SEEN | DELETED, *[SEEN] * 15, *[0] * 20]


async def test_verify_and_backups_know_the_log(
    desk: Desk, engine: PostgresEngine, rows: Rows, tmp_path: Path
) -> None:
    await desk.flag(await desk.box(), "1:20", "\\Seen", "\\Deleted")
    assert rows("SELECT count(*) FROM flag_log") == ["1"]
    assert await flaws(engine, tmp_path, fix=True) == []
    await back_up(engine, tmp_path)
    archive = Archive(tmp_path / "backup")
    (folder,) = [each for each in archive.folders(desk.id) if each.name == "INBOX"]
    messages = archive.messages(desk.id, folder.mailbox_id, 0, MESSAGES)
    assert [set(each.flags) for each in messages] == [{"\\Seen", "\\Deleted"}] * 20 + [set()] * 20


async def test_the_log_of_a_deleted_mailbox_goes_with_it(
    desk: Desk, engine: PostgresEngine, rows: Rows
) -> None:
    made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Old"))
    await desk.add(made, *map(str, range(MESSAGES)))
    await desk.store.apply(everything(desk, made.mailbox_id, "\\Seen"))
    assert rows("SELECT count(*) FROM flag_log") == ["1"]
    await desk.store.apply(DeleteMailbox(account_id=desk.id, mailbox_id=made.mailbox_id))
    await until(lambda: rows("SELECT count(*) FROM flag_log, doomed_mailbox") == ["0"])
    await until(lambda: not rows("SELECT * FROM flag_log"))


async def test_another_node_sees_it_goes_on_from_it_and_settles_it(
    url: str, tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(url, tmp_path, 3) as stores:
        a, b, c = await desks(stores)
        box = await a.box()
        await a.add(box, *map(str, range(MESSAGES)))
        there = await b.store.index(b.id, box.mailbox_id)
        await a.store.apply(everything(a, box.mailbox_id, "\\Seen"))
        await until(lambda: list(there.flags) == [SEEN] * MESSAGES)  # what it has missed
        late = await c.store.index(c.id, box.mailbox_id)  # read whole
        assert content(late) == content(there)
        assert rows("SELECT count(*) FROM flag_log") == ["1"]
        await b.flag(box, "1:20", "\\Deleted")  # settles what the other has logged, and logs
        await a.flag(box, "3", "\\Seen", action="remove")
        expected = [SEEN | DELETED] * 20 + [SEEN] * 20
        expected[2] = DELETED
        for desk in (a, b, c):
            index = await desk.store.index(desk.id, box.mailbox_id)
            await until(lambda index=index: list(index.flags) == expected)
        found = await c.box()
        assert (found.unseen, found.deleted) == (1, 20)
        await a.store.apply(everything(a, box.mailbox_id, "\\Answered"))
        assert rows("SELECT count(*) FROM flag_log") == ["1"]
    monkeypatch.undo()
    async with nodes(url, tmp_path / "later", 1) as (store,):  # the node that logged it is gone
        await store.settle()
        assert rows("SELECT * FROM flag_log") == []
        index = await store.index(a.id, box.mailbox_id)
        assert rows("SELECT flags, modseq FROM placement ORDER BY uid") == [
            f"{each}|{modseq}" for each, modseq in zip(index.flags, index.modseqs, strict=True)
        ]


async def test_a_second_change_of_the_same_messages_changes_what_is_logged(
    desk: Desk, engine: PostgresEngine, rows: Rows
) -> None:
    """Nothing is settled for it, and every node sees what both changes came to."""
    box = await desk.box()
    for action, name in (("add", "\\Seen"), ("add", "\\Flagged"), ("remove", "\\Seen")):
        await desk.store.apply(everything(desk, box.mailbox_id, name, action=action))
    assert rows("SELECT first, last, keep & 9, bits FROM flag_log") == [f"1|{MESSAGES}|8|{FLAGGED}"]
    assert rows("SELECT DISTINCT flags FROM placement") == ["0"]
    assert await flags(desk) == [FLAGGED] * MESSAGES
    await engine.reopen()
    assert await flags(desk) == [FLAGGED] * MESSAGES
    box = await desk.box()
    assert box.unseen == MESSAGES
    await desk.store.apply(everything(desk, box.mailbox_id, "\\Seen", uids=Ranges.parse("1:20")))
    assert await flags(desk) == [FLAGGED | SEEN] * 20 + [FLAGGED] * 20
