"""Growing up: the embedded store moved to a cluster's database and back, with every number unchanged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import (
    AddAppPassword,
    CopyEmails,
    CreateMailbox,
    Expunge,
    PlaceEmails,
    PutAlias,
    PutItem,
    RecordEvents,
    Store,
)
from posthouse.store.mailing_lists import AddMembers, MailingList, PutList
from posthouse.store.masked import RemoveMasked
from posthouse.store.model import Alias, Event
from posthouse.store.moving import move, tables
from posthouse.store.moving.cluster import ClusterSource, ClusterTarget
from posthouse.store.moving.embedded import EmbeddedSource, EmbeddedTarget
from posthouse.store.moving.move import Moved, Mover
from posthouse.store.retention import SetRetention
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.growing_up import grow_up
from tests.kits.engine import NOW, Desk, furnish
from tests.kits.masked import WORDS, given
from tests.kits.queue import enqueue, lease
from tests.store.conftest import SqliteEngine

T = TypeVar("T")


async def furnished(engine: SqliteEngine) -> list[Desk]:
    """A little of everything."""
    desks = [await furnish(engine, f"u{number}@example.test") for number in range(4)]
    for number, desk in enumerate(desks):
        inbox = await desk.box()
        await desk.add(inbox, *(f"{desk.id}-{i}" for i in range(30)), prefix=b"X: 1\r\n")
        await desk.add(inbox, "large" * 30_000)
        await desk.flag(inbox, "3:9", "\\Seen", f"$Key{number}")
        await desk.store.apply(
            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(5, 6)]), force=True)
        )
        made = await desk.store.apply(CreateMailbox(account_id=desk.id, name="Post/2026", subscribed=True))
        for kind in (CopyEmails, PlaceEmails):
            await desk.store.apply(
                kind(account_id=desk.id, source_id=inbox.mailbox_id, uids=Ranges([(10, 14)]),
                     target_id=made.mailbox_id)
            )  # fmt: skip
        kept = SetRetention(account_id=desk.id, mailbox_id=made.mailbox_id, days=30 * number)
        await desk.store.apply(kept)
        await desk.store.apply(PutItem(account_id=desk.id, kind="Identity", data=b"{}"))
        await desk.store.apply(AddAppPassword(account_id=desk.id, name="p", password="h", created_at=NOW))
    masked = await given(desks[0])
    await given(desks[1], "gone.words1@example.test")
    gone = await engine.store.masked_address("gone.words1@example.test")
    assert masked.item_id and gone is not None
    await engine.store.apply(RemoveMasked(account_id=gone.account_id, item_id=gone.item_id))
    await engine.store.apply(PutAlias(alias=Alias(address="all@example.test", targets=("u1@example.test",))))
    team = MailingList(address="team@example.test", title="The team", owners=("u1@example.test",))
    await engine.store.apply(PutList(mailing_list=team, new=True))
    await engine.store.apply(AddMembers(address=team.address, members=("u1@example.test",), at=5, most=9))
    await enqueue(engine.store, "a@one.test", "b@two.test", due=1.0)
    assert len(await lease(engine.store, limit=1)) == 1
    line = Event(trace_id="t", at=1.0, kind="received", address="a@x.test", detail="-")
    await engine.store.apply(RecordEvents(events=(line,)))
    await engine.settle()
    return desks


async def everything(store: Store) -> dict[str, Any]:
    """What can be seen through the contract."""
    found: dict[str, Any] = {
        "domains": await store.domains(),
        "aliases": await store.aliases(),
        "lists": await store.mailing_lists(),
        "accounts": await store.accounts(),
        "masked": [await store.masked_address(each) for each in (WORDS, "gone.words1@example.test")],
        "events": await store.events(),
        "queue": [
            (
                m.queue_id,
                m.stored.size,
                await store.read(m.stored),
                [(r.address, r.destination) for r in m.recipients],
            )
            for m in await store.queue()
        ],
    }
    for account in await store.accounts():
        number = account.account_id
        seen: dict[str, Any] = {
            "mailboxes": await store.mailboxes(number),
            "keywords": await store.keywords(number),
            "usage": await store.usage(number),
            "items": await store.items(number, "Identity"),
            "passwords": await store.app_passwords(number),
            "states": await store.states(number),
            "changes": await store.email_changes(number, 3),
        }
        for box in await store.mailboxes(number):
            index = await store.index(number, box.mailbox_id)
            ids = list(index.email_ids)
            seen[box.name] = (
                *(list(column) for column in (index.uids, index.flags, index.modseqs, ids, index.received)),
                index.uid_validity,
                index.uid_next,
                await store.vanished_since(number, box.mailbox_id, 0),
                await store.messages(number, ids),
                await store.emails(number, ids, ["envelope", "preview", "sent_at"]) if ids else [],
                await store.threads(number, ids),
            )
        found[account.address] = seen
    return found


async def in_thread(work: Callable[[], T]) -> T:
    """Run the mover's one thread; asyncio's own would be another each time."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as fault:
            loop.call_soon_threadsafe(done.set_exception, fault)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return await done


def mover_to(engine: SqliteEngine, url: str) -> Mover:
    source = EmbeddedSource(engine.path, engine.folder / "blobs")
    return Mover(source, ClusterTarget(url, None), lambda *_: None)  # type: ignore[arg-type]


def ended(mover: Mover) -> None:
    mover._source.close()
    mover._target.close()


async def test_there_and_back_nothing_has_changed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FLAGS_LOGGED", 5)
    engine = SqliteEngine(tmp_path / "here")
    engine.folder.mkdir()
    await engine.open()
    desks = await furnished(engine)
    going: list[asyncio.Task[None]] = []

    async def mail_goes_on() -> None:
        for number in range(400):
            await desks[number % 4].add(await desks[number % 4].box(), f"meanwhile {number}")

    going.append(asyncio.create_task(mail_goes_on()))

    def there() -> Moved:
        mover = mover_to(engine, url)
        try:
            mover.copy_while_serving()
            asyncio.run_coroutine_threadsafe(frozen(), loop).result(30)
            return mover.finish()
        finally:
            ended(mover)

    async def frozen() -> None:
        await asyncio.gather(*going)
        await engine.settle()
        boxes = [await desk.box() for desk in desks]
        changes = [desk.flag(box, "15:29", "\\Flagged") for desk, box in zip(desks, boxes, strict=True)]
        await asyncio.gather(*changes, engine.store.freeze())  # logged, and not settled any more

    loop = asyncio.get_running_loop()
    moved = await in_thread(there)
    assert (moved.accounts, moved.messages) == (4, 4 * (29 + 10) + 400)
    with pytest.raises(StoreUnavailable):
        await desks[0].add(await desks[0].box(), "refused while it moves")
    before = await everything(engine.store)
    engine.store.thaw()
    await engine.store.close()

    cluster = PostgresEngine(url, tmp_path / "node")
    await cluster.open()
    assert await everything(cluster.store) == before
    desk = Desk(cluster, desks[0].account)
    (new,) = await desk.add(await desk.box(), "after the move")
    await cluster.settle()
    assert await cluster.store.search_text(desk.id, [new.email_id], "text", "after the") == {new.email_id}
    assert {each.destination for each in await lease(cluster.store, now=99.0)} == {"one.test", "two.test"}
    after = await everything(cluster.store)
    await cluster.store.close()

    home = SqliteEngine(tmp_path / "home")

    def back() -> Moved:
        mover = Mover(
            ClusterSource(url, None), EmbeddedTarget(home.path, home.folder / "blobs"), lambda *_: None
        )
        try:
            mover.copy_while_serving()
            return mover.finish()
        finally:
            ended(mover)

    assert (await in_thread(back)).messages == moved.messages + 1
    await home.open()
    assert await everything(home.store) == after
    await home.store.close()


async def test_cut_off_it_goes_on_where_it_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "ACCOUNTS_AT_ONCE", 1)
    engine = SqliteEngine(tmp_path / "here")
    engine.folder.mkdir()
    await engine.open()
    await furnished(engine)

    class Cut(Exception):
        pass

    def cut() -> None:
        mover = mover_to(engine, url)
        put, count = mover._target.put_accounts, [0]

        def counted(*arguments: Any) -> None:
            count[0] += 1
            if count[0] == 3:
                raise Cut
            put(*arguments)

        mover._target.put_accounts = counted  # type: ignore[method-assign]
        try:
            mover.copy_while_serving()
        finally:
            ended(mover)

    with pytest.raises(Cut):
        await in_thread(cut)
    await engine.store.freeze()

    def rest() -> tuple[int, Moved]:
        mover = mover_to(engine, url)
        try:
            done = len(mover._target.moved())
            return done, mover.finish()
        finally:
            ended(mover)

    done, moved = await in_thread(rest)
    assert (done, moved.accounts) == (2, 4)
    before = await everything(engine.store)
    engine.store.thaw()
    await engine.store.close()
    cluster = PostgresEngine(url, tmp_path / "node")
    await cluster.open()
    assert await everything(cluster.store) == before
    with pytest.raises(StoreUnavailable, match="running"):
        await in_thread(lambda: ClusterTarget(url, None))
    await cluster.store.close()
    with pytest.raises(StoreUnavailable, match="in use"):
        await in_thread(lambda: ClusterTarget(url, None))


async def test_a_house_grows_up_while_it_is_used(server: Database) -> None:
    """The large form: `python -m tests.cluster.growing_up`."""
    said: list[str] = []
    assert await asyncio.to_thread(grow_up, 5, 100, said.append, database=server), "\n".join(said)
    assert "lost 0, doubled 0" in said[-1]


async def test_every_table_is_moved_or_known_to_be_an_engine_s_own(url: str, tmp_path: Path) -> None:
    def look() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        here, there = EmbeddedTarget(tmp_path / "mail.db", tmp_path / "blobs"), ClusterTarget(url, None)
        try:
            return here.columns(), there.columns()
        finally:
            here.close()
            there.close()

    here, there = await in_thread(look)
    own = set().union(*tables.LEFT.values()) | tables.MADE | {"schema_version"}
    assert {name for name in here.keys() ^ there.keys() if name not in own} == set()
    for name in (here.keys() & there.keys()) - own:
        extra = {("queued", "blob_account"), ("queued_recipient", "holder")}
        differing = {(name, column) for column in set(here[name]) ^ set(there[name])}
        assert differing <= extra, name
    assert set(tables.OF_MAIL) <= here.keys() & there.keys()
