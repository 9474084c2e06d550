"""Nodes over one database see the same; what is lost on the way costs time only."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.errors import NotFound, StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.interface import (
    AddAccount,
    AddAppPassword,
    AddEmail,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    RemoveAppPassword,
    RenameMailbox,
    SetFlags,
)
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.memory.missed import Missed
from posthouse.store.model import RECEIVED_MAX, SEEN, Content
from posthouse.store.postgres import Place, PostgresStore
from posthouse.store.postgres.connection import Connection, Server
from tests.cluster.nodes import content, nodes
from tests.kits.engine import NOW, Desk, furnish
from tests.store.conftest import derive
from tests.waiting import until


class Node:
    """See `tests.kits.engine.EngineUnderTest`, as far as a desk needs it."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    async def reopen(self) -> PostgresStore:
        raise NotImplementedError

    async def settle(self) -> None:
        await self.store.settle()


async def desks(stores: list[PostgresStore]) -> list[Desk]:
    """The same account, seen by each node."""
    first = await furnish(Node(stores[0]))
    return [Desk(Node(store), first.account) for store in stores]


async def test_what_one_node_commits_the_others_see(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 3) as stores:
        a, b, c = await desks(stores)
        inbox = await a.box()
        there = [await desk.store.index(desk.id, inbox.mailbox_id) for desk in (b, c)]
        told = [0, 0]
        for number, index in enumerate(there):
            index.watch(lambda number=number: told.__setitem__(number, told[number] + 1))
        await a.add(inbox, "one", "two", "three")
        await until(lambda: all(len(index) == 3 for index in there))
        assert all(told)
        await b.flag(inbox, "2", "\\Seen", "$Mine")
        own = await a.store.index(a.id, inbox.mailbox_id)
        await until(lambda: own.flags[1] & SEEN and there[1].flags[1] & SEEN)
        assert await c.store.keywords(c.id) == ("$Mine",)
        await c.store.apply(
            Expunge(account_id=c.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(1, 1)]), force=True)
        )
        await until(lambda: list(own.uids) == [2, 3] and list(there[0].uids) == [2, 3])
        assert content(own) == content(there[0]) == content(there[1])
        assert [change.vanished for change in own.log][-1] == Ranges([(1, 1)])
        assert (await b.box()).total == 2


async def test_mail_that_rests_on_what_another_node_has_changed_is_committed_anew(
    url: str, tmp_path: Path
) -> None:
    """New mail goes by memory, in one statement; here memory is always old, and full, and wrong about mailboxes."""
    async with nodes(url, tmp_path) as stores:
        for store in stores:
            store._engine.notices.deaf = True
        a, b = await desks(stores)
        inbox = await a.box()
        uids = [(await desk.add(inbox, "x"))[0].uid for _ in range(4) for desk in (a, b)]
        assert uids == [1, 2, 3, 4, 5, 6, 7, 8]
        made = await a.store.apply(CreateMailbox(account_id=a.id, name="Post", subscribed=True))
        (added,) = await b.add(made, "into a mailbox that b has not heard of")
        assert added.uid == 1
        await a.store.apply(DeleteMailbox(account_id=a.id, mailbox_id=made.mailbox_id))
        with pytest.raises(NotFound):
            await b.add(made, "into one that is gone")
        both = await asyncio.gather(*(desk.add(inbox, "y") for _ in range(20) for desk in (a, b)))
        assert sorted(added.uid for (added,) in both) == list(range(9, 49))


async def test_mailboxes_made_renamed_and_deleted_elsewhere(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        assert len(await b.store.mailboxes(b.id)) == 6
        made = await a.store.apply(CreateMailbox(account_id=a.id, name="Post", subscribed=True))
        await _agree(a, b)
        index = await b.store.index(b.id, made.mailbox_id)
        await a.store.apply(RenameMailbox(account_id=a.id, mailbox_id=made.mailbox_id, name="Mail"))
        await _agree(a, b)
        await a.store.apply(DeleteMailbox(account_id=a.id, mailbox_id=made.mailbox_id))
        await until(lambda: index.removed)
        await _agree(a, b)
        with pytest.raises(NotFound):
            await b.store.index(b.id, made.mailbox_id)


async def _agree(a: Desk, b: Desk) -> None:
    async with asyncio.timeout(30):
        while await a.store.mailboxes(a.id) != await b.store.mailboxes(b.id):
            await asyncio.sleep(0.005)


async def test_writers_of_one_mailbox_on_all_nodes_agree(url: str, tmp_path: Path) -> None:
    """Hundreds of changes of all kinds at once, from three nodes: afterwards all have the same as the database."""
    chance = random.Random(7)
    async with nodes(url, tmp_path, 3) as stores:
        all_desks = await desks(stores)
        inbox, trash = await all_desks[0].box(), await all_desks[0].box("Trash")
        await all_desks[0].add(inbox, *"abcdefgh")
        for desk in all_desks:
            await desk.store.index(desk.id, inbox.mailbox_id)

        async def busy(desk: Desk) -> None:
            for _ in range(60):
                uids = Ranges([(uid := chance.randint(1, 60), uid + chance.randint(0, 5))])
                match chance.randint(0, 3):
                    case 0 | 1:
                        await desk.add(chance.choice([inbox, trash]), "new")
                    case 2:
                        action = chance.choice(["add", "remove"])
                        await desk.store.apply(
                            SetFlags(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=uids,
                                     action=action, flags=frozenset({chance.choice(["\\Seen", "$A", "$B"])}))
                        )  # fmt: skip
                    case 3:
                        await desk.store.apply(
                            Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, uids=uids, force=True)
                        )

        await asyncio.gather(*(busy(desk) for desk in all_desks for _ in range(2)))
        async with nodes(url, tmp_path / "fresh", 1) as (fresh,):
            for box in (inbox, trash):
                truth = await fresh.index(all_desks[0].id, box.mailbox_id)
                for desk in all_desks:
                    index = await desk.store.index(desk.id, box.mailbox_id)
                    await until(lambda index=index, truth=truth: content(index) == content(truth))
                    assert index.uid_next == truth.uid_next
            counts = await fresh.mailboxes(all_desks[0].id)
            for desk in all_desks:
                async with asyncio.timeout(30):
                    while await desk.store.mailboxes(desk.id) != counts:
                        await asyncio.sleep(0.005)
        for box in counts:
            index = await all_desks[0].store.index(all_desks[0].id, box.mailbox_id)
            assert (box.total, box.size) == (len(index), sum(index.sizes))
            assert box.unseen == sum(not flags & SEEN for flags in index.flags)


async def test_an_answer_comes_after_what_it_tells_can_be_seen(url: str, tmp_path: Path) -> None:
    """Also when another node's change, unheard of yet, came before one's own."""
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        index = await b.store.index(b.id, inbox.mailbox_id)
        stores[1]._engine.notices.deaf = True
        for number in range(10):
            await a.add(inbox, f"theirs {number}")
            (added,) = await b.add(inbox, f"ours {number}")
            assert index.position(added.uid) is not None
            assert len(index) == 2 * (number + 1)
            assert (await b.box()).total == 2 * (number + 1)


@pytest.mark.parametrize("news", ["heard", "not heard yet"])
async def test_who_knows_a_state_gets_indexes_that_are_as_new(url: str, tmp_path: Path, news: str) -> None:
    """Else a client that is told of the state would take what is missing for nothing, until something else happens."""
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        await b.store.index(b.id, inbox.mailbox_id)
        before = (await b.store.states(b.id)).mail
        indexes = b.store._live.indexes
        catch_up = indexes._catch_up
        assert catch_up is not None

        async def slowly(index: MailboxIndex) -> Missed:
            await asyncio.sleep(0.2)
            return await catch_up(index)

        indexes._catch_up = slowly
        if news == "not heard yet":
            stores[1]._engine.notices.deaf = True
        await a.add(inbox, "theirs")
        while (await b.store.states(b.id)).mail == before:
            await asyncio.sleep(0.001)
            if news == "not heard yet":
                b.store._live.views.drop(
                    b.id
                )  # it is read anew, because it was not used for long, or too many were
        assert len(await b.store.index(b.id, inbox.mailbox_id)) == 1


async def test_an_index_is_given_out_while_more_and_more_is_heard_of(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a mailbox that always gets mail the reading of what others did never ends."""
    monkeypatch.setattr(limits, "DATABASE_TIMEOUT", 10.0)
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        index = await b.store.index(b.id, inbox.mailbox_id)
        indexes = b.store._live.indexes
        catch_up, over = indexes._catch_up, False
        assert catch_up is not None

        async def hearing_more(index: MailboxIndex) -> Missed:
            missed = await catch_up(index)
            if not over:
                await a.add(inbox, "more")
                indexes.behind(b.id, inbox.mailbox_id, missed.modseq + 1)
            return missed

        indexes._catch_up = hearing_more
        await a.add(inbox, "theirs")
        await until(lambda: indexes.coming_up(b.id, inbox.mailbox_id) is not None)
        heard = indexes._behind[b.id, inbox.mailbox_id]
        assert (await b.store.index(b.id, inbox.mailbox_id)).highest_modseq >= heard
        over = True
        await until(lambda: indexes.coming_up(b.id, inbox.mailbox_id) is None)
        assert not index.watched


async def test_an_index_that_cannot_come_up_is_not_given_out(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        index = await b.store.index(b.id, inbox.mailbox_id)
        indexes = b.store._live.indexes
        catch_up, ended = indexes._catch_up, asyncio.Event()
        assert catch_up is not None

        async def stuck(index: MailboxIndex) -> Missed:
            await ended.wait()
            return await catch_up(index)

        indexes._catch_up = stuck
        indexes.behind(b.id, inbox.mailbox_id, index.highest_modseq + 1)
        with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
            patch.setattr(limits, "DATABASE_TIMEOUT", 0.05)
            await b.store.index(b.id, inbox.mailbox_id)
        await a.add(inbox, "theirs")
        ended.set()
        await until(lambda: len(index) == 1)
        assert len(await b.store.index(b.id, inbox.mailbox_id)) == 1


async def test_dates_that_earlier_programs_kept_do_not_break_an_index(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 1) as stores:
        (a,) = await desks(stores)
        inbox = await a.box()
        await a.add(inbox, "one")

    def as_it_was() -> None:
        db = Connection(Server(url))
        db.fetch("UPDATE placement SET received_at = $1", 2**40)
        db.close()

    await asyncio.to_thread(as_it_was)
    async with nodes(url, tmp_path, 1) as stores:
        index = await stores[0].index(a.id, inbox.mailbox_id)
        assert list(index.received) == [RECEIVED_MAX]


async def test_a_lost_notice_costs_time_only(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NOTICE_CHECK", 0.05)
    monkeypatch.setattr(limits, "NOTICE_CHECK_MAIL", 0.2)
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        index = await b.store.index(b.id, inbox.mailbox_id)
        await b.store.mailboxes(b.id)
        stores[1]._engine.notices.deaf = True
        await a.add(inbox, "unheard")
        await until(lambda: len(index) == 1)
        await _agree(a, b)


async def test_a_revoked_password_ends_everywhere_within_a_second(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        made = await a.store.apply(AddAppPassword(account_id=a.id, name="p", password="h", created_at=NOW))
        for deaf in (False, True):
            stores[1]._engine.notices.deaf = deaf
            heard: list[float] = []
            loop = asyncio.get_running_loop()
            end = b.store.watch_people(lambda heard=heard, loop=loop: heard.append(loop.time()))
            began = loop.time()
            if deaf:
                await a.store.apply(AddAccount(address="new@example.test", password="", created_at=NOW))
            else:
                await a.store.apply(RemoveAppPassword(account_id=a.id, app_password_id=made.app_password_id))
            await until(lambda heard=heard: heard)
            assert heard[0] - began < 1.0
            end()
        assert await b.store.app_passwords(b.id) == ()
        assert await b.store.account("new@example.test") is not None


async def test_hosts_are_remembered_beyond_their_end(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the world is told of a host must not change whenever it is away."""
    monkeypatch.setattr(limits, "NODE_BEAT", 0.1)
    places = {
        "mx1.north.test": {"roles": ("mx",), "ports": {"smtp": 25}},
        "in1.north.test": {"roles": ("imap", "jobs"), "ports": {"imaps": 993}},
        "command": {},
    }
    stores = {}
    for name, place in places.items():
        where = Place(url=url, folder=tmp_path / name, name=name, check_clock=False, **place)
        stores[name] = await PostgresStore.open(where, derive=derive, now=lambda: NOW)
    looking = stores["command"]

    def seen() -> dict[str, tuple[tuple[str, ...], dict[str, int], bool]]:
        return {host.name: (host.roles, dict(host.ports), host.ended) for host in looking.hosts()}

    mx, reading = (("mx",), {"smtp": 25}), (("imap", "jobs"), {"imaps": 993})
    try:
        assert seen() == {"mx1.north.test": (*mx, False), "in1.north.test": (*reading, False)}
        assert stores["mx1.north.test"].hosts()[0].silent < 5
        await stores["mx1.north.test"].close()
        await until(lambda: seen()["mx1.north.test"] == (*mx, True))
        assert seen()["in1.north.test"] == (*reading, False)
        monkeypatch.setattr(limits, "HOST_REMEMBERED", 0.5)
        await until(lambda: list(seen()) == ["in1.north.test"])
    finally:
        await asyncio.gather(*(store.close() for store in stores.values()))


async def test_large_mail_for_many_accounts_on_all_nodes(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path) as stores:
        a, b = await desks(stores)
        other = await furnish(Node(stores[1]), "bob@example.test")
        body = Content.of(b"Subject: big\r\n\r\n" + b"z" * 300_000)
        inboxes = [(a.id, await a.box()), (other.id, await other.box())]
        added = await b.store.commit(
            *(
                AddEmail(account_id=number, mailbox_id=box.mailbox_id, content=body, received_at=NOW)
                for number, box in inboxes
            )
        )
        for (number, _), one in zip(inboxes, added, strict=True):
            assert await a.store.messages(number, [one.email_id]) == [body.beginning()]
