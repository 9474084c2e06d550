"""NOTIFY under load: slow readers, storms of changes, thousands of mailboxes, sessions that race; what it weighs."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.imap.filter_mailboxes import Scope
from posthouse.imap.metadata_news import MetadataNews
from posthouse.imap.noted_store import NotedStore
from posthouse.imap.notices import Notices
from posthouse.imap.notify_args import Event, Group
from posthouse.imap.notify_watch import Filter, Watch
from posthouse.imap.pusher import PacedPusher
from posthouse.imap.session import Session
from posthouse.imap.sight import Sight
from posthouse.imap.told import Heeds
from posthouse.imap.view import View
from posthouse.store.interface import (
    AddEmail,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    RenameMailbox,
    SetFlags,
    Subscribe,
)
from posthouse.store.model import Content, Mailbox
from tests.imap.conftest import Client, Post
from tests.machine import slowness

NEWS = b"Subject: news\r\n\r\n!\r\n"
EVERY = b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange)"


async def ok(client: Client, text: bytes) -> list[bytes]:
    lines = await client.command(text)
    assert lines[-1].startswith(b"t OK "), lines
    return lines[:-1]


@asynccontextmanager
async def loop_watched(most: float) -> AsyncIterator[None]:
    """The loop is never held up for longer than so many seconds of a machine of ordinary pace."""
    worst, slow = 0.0, slowness()

    async def watch() -> None:
        nonlocal worst
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - began - 0.005)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
    assert worst < most * max(slow, slowness()), worst


async def test_a_client_that_does_not_read_holds_up_nobody(post: Post) -> None:
    slow, other = await post.login(), await post.login()
    await ok(slow, b"SELECT INBOX")
    await ok(
        slow,
        b"NOTIFY SET (selected (MessageNew (uid body.peek[]) MessageExpunge FlagChange)) (personal %b)"
        % EVERY,
    )
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    big = b"Subject: big\r\n\r\n" + b"x" * 99_998 + b"\r\n"
    async with loop_watched(0.5):
        for _ in range(200):
            began = time.perf_counter()
            await ok(other, b"APPEND INBOX {%d+}\r\n%b" % (len(big), big))
            await ok(other, b"APPEND Archive {%d+}\r\n%b" % (len(NEWS), NEWS))
            assert time.perf_counter() - began < 2 * slowness()
    waiting = [task for task in asyncio.all_tasks() if "Pusher" in repr(task.get_coro())]
    assert len(waiting) <= 1, "one task waits, however much there is to tell"
    held = sum(
        connection.get_write_buffer_size()
        for connection in gc.get_objects()
        if type(connection).__name__ in ("TCPTransport", "_SelectorSocketTransport")
        and not connection.is_closing()
    )
    assert held < 2_000_000, held
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    slow.send(b"z NOOP\r\n")
    lines = await slow.until(b"z OK")
    uids = [int(line.split()[4]) for line in lines if b" FETCH (UID " in line]
    assert uids == list(range(1, 201)), "each new message once, in order"
    archive = [line for line in lines if line.startswith(b"* STATUS Archive ")]
    assert b"(MESSAGES 200 UIDNEXT 201 " in archive[-1]
    assert len(archive) < 100, "what was not told yet is told as one"


async def test_a_storm_of_flag_changes_is_a_few_lines(post: Post) -> None:
    await post.fill(*[NEWS] * 50)
    told, other = await post.login(), await post.login()
    await ok(told, b"ENABLE CONDSTORE")
    await ok(told, b"NOTIFY SET (personal %b)" % EVERY)
    await ok(other, b"SELECT INBOX")
    began = time.perf_counter()
    for number in range(300):
        sign = b"+" if number % 2 else b"-"
        await ok(other, b"STORE %d %bFLAGS.SILENT (\\Seen)" % (number % 50 + 1, sign))
    seconds = time.perf_counter() - began
    latest = (await ok(other, b"STATUS INBOX (HIGHESTMODSEQ)"))[-1]
    modseq = latest.rpartition(b" ")[2]
    lines = [await told.line()]
    while not lines[-1].endswith(b"HIGHESTMODSEQ " + modseq):
        lines.append(await told.line())
    assert len(lines) < seconds / limits.NOTIFY_PAUSE + 3


@pytest.fixture
async def crowded(post: Post) -> Post:
    """As many mailboxes as an account may have."""
    account_id = post.account.account_id
    present = len(await post.store.mailboxes(account_id))
    names = [
        f"level{n // 100}" + ("" if n % 100 == 0 else f"/box{n}") for n in range(limits.MAILBOXES - present)
    ]
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        await post.store.commit(*(CreateMailbox(account_id=account_id, name=name) for name in some))
    return post


async def test_ten_thousand_mailboxes(crowded: Post) -> None:
    told, other = await crowded.login(), await crowded.login()
    async with loop_watched(0.5):
        said = await ok(told, b"NOTIFY SET STATUS (personal %b)" % EVERY)
    assert len(said) == limits.MAILBOXES
    async with loop_watched(0.5):
        for number in range(1, 11):
            began = time.perf_counter()
            await ok(other, b"APPEND level7/box777 {%d+}\r\n%b" % (len(NEWS), NEWS))
            line = await told.line()
            assert line.startswith(b"* STATUS level7/box777 (MESSAGES %d UIDNEXT %d " % (number, number + 1))
            assert time.perf_counter() - began < slowness()
    await ok(other, b"RENAME level8 moved")
    assert await told.line() == b'* LIST (\\HasChildren) "/" moved ("OLDNAME" (level8))\r\n'
    await ok(other, b"DELETE level7/box777")
    assert await told.line() == b'* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" level7/box777\r\n'


def boxes(count: int) -> list[Mailbox]:
    return [
        Mailbox(
            account_id=1, mailbox_id=number, name=f"box{number}", role=None, uid_validity=1, uid_next=1,
            highest_modseq=1, total=0, unseen=0, deleted=0, size=0, subscribed=False,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


def test_what_a_watch_weighs() -> None:
    """It shares the mailboxes with the store's memory."""
    sight = Sight(mailboxes=boxes(limits.NOTIFY_MAILBOXES), subscribed=frozenset())
    groups = (Group(Scope.PERSONAL, (), frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})),)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    watch = Watch(Filter(groups), 1, sight)
    weight = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert weight < 100 * limits.NOTIFY_MAILBOXES
    began = time.perf_counter()
    for _ in range(10):
        watch.difference(sight)
    assert (time.perf_counter() - began) / 10 < 0.02


async def test_a_session_that_did_not_ask_has_nothing_of_it(post: Post) -> None:
    kinds = (Notices, Watch, Heeds, NotedStore, PacedPusher, MetadataNews)
    gc.collect()
    before = [each for each in gc.get_objects() if isinstance(each, kinds)]
    client = await post.login()
    await ok(client, b"SELECT INBOX")
    client.send(b"i IDLE\r\n")
    await client.until(b"+ idling")
    assert len([each for each in gc.get_objects() if isinstance(each, kinds)]) <= len(before)
    client.send(b"DONE\r\n")
    await client.until(b"i OK")


async def test_nothing_stays_when_a_session_ends(post: Post) -> None:
    for end in (b"LOGOUT", b""):
        client = await post.login()
        await ok(client, b"SELECT INBOX")
        await ok(client, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge)) (personal %b)" % EVERY)
        if end:
            client.send(b"t LOGOUT\r\n")
            await client.until(b"t OK")
        else:
            client.writer.close()
        async with asyncio.timeout(5):
            while [each for each in gc.get_objects() if type(each).__name__ in {"Watching", "Watch"}]:
                await asyncio.sleep(0.05)
                gc.collect()
        await post.fill(NEWS)


# --- races -------------------------------------------------------------------------------------------------


class Replica:
    """What a client knows that believes every line it is told, and asks nothing."""

    def __init__(self, client: Client, names: list[str]) -> None:
        self.client = client
        self.counts: dict[str, dict[str, int]] = {}
        self.names = set(names)
        self.subscribed: set[str] = set()

    def take(self, line: bytes) -> None:
        words = line.decode().split()
        if line.startswith(b"* STATUS "):
            name, items = words[2], line.decode().partition("(")[2].rstrip(")\r\n").split()
            self.counts.setdefault(name, {}).update(zip(items[::2], map(int, items[1::2]), strict=True))
        elif line.startswith(b"* LIST "):
            attributes, name = line.decode().partition(")")[0], line.decode().partition('"/" ')[2].split()[0]
            if '("OLDNAME"' in line.decode():
                self._rename(line.decode().partition('("OLDNAME" (')[2].partition(")")[0], name)
            (self.names.discard if "NonExistent" in attributes else self.names.add)(name)
            (self.subscribed.add if "Subscribed" in attributes else self.subscribed.discard)(name)
            if "NonExistent" in attributes:
                self.counts.pop(name, None)

    def _rename(self, old: str, new: str) -> None:
        moving = [name for name in self.names if name == old or name.startswith(old + "/")]
        self.names = (self.names - set(moving)) | {new + name[len(old) :] for name in moving}
        counts = {new + name[len(old) :]: self.counts.pop(name) for name in moving if name in self.counts}
        self.counts |= counts


@pytest.mark.parametrize("seed", range(8))
async def test_sessions_that_race_know_the_same_in_the_end(post: Post, seed: int) -> None:
    """Mailboxes are made, renamed, deleted and filled while watched; each watcher ends with the account as it is."""
    chance = random.Random(seed)
    account_id = post.account.account_id
    store = post.store
    replicas = []
    for _ in range(3):
        client = await post.login()
        replica = Replica(client, [])
        replica.subscribed = set(await store.subscriptions(account_id))
        for line in await ok(client, b'LIST "" *'):
            replica.names.add(line.decode().split()[-1])
        for line in await ok(client, b"NOTIFY SET STATUS (personal %b)" % EVERY):
            replica.take(line)
        replicas.append(replica)
    over = asyncio.Event()

    async def listen(replica: Replica, commands: bool) -> None:
        number = 0
        while not over.is_set():
            if commands and chance.random() < 0.2:
                number += 1
                replica.client.send(b"n%d NOOP\r\n" % number)
            try:
                line = await asyncio.wait_for(replica.client.reader.readline(), chance.random() * 0.05)
            except TimeoutError:
                continue
            replica.take(line)

    listeners = [asyncio.create_task(listen(each, number > 0)) for number, each in enumerate(replicas)]
    for _ in range(250):
        await _do_something(post, chance)
    await asyncio.sleep(4 * limits.NOTIFY_PAUSE)
    over.set()
    await asyncio.gather(*listeners)
    for replica in replicas:
        replica.client.send(b"last NOOP\r\n")
        for line in await replica.client.until(b"last OK"):
            replica.take(line)
        mailboxes = await store.mailboxes(account_id)
        assert replica.names == {mailbox.name for mailbox in mailboxes}
        assert replica.subscribed == await store.subscriptions(account_id)
        for mailbox in mailboxes:
            known = replica.counts[mailbox.name]
            assert (known["MESSAGES"], known["UIDNEXT"], known["UIDVALIDITY"], known["UNSEEN"]) == (
                mailbox.total,
                mailbox.uid_next,
                mailbox.uid_validity,
                mailbox.unseen,
            ), mailbox.name


async def _do_something(post: Post, chance: random.Random) -> None:
    account_id, store = post.account.account_id, post.store
    boxes_ = [each for each in await store.mailboxes(account_id) if each.role is None]
    kind = chance.random()
    name = "/".join(chance.choices("abc", k=chance.randint(1, 3)))
    key = {"account_id": account_id}
    try:
        if kind < 0.25 or not boxes_:
            await store.apply(CreateMailbox(**key, name=name))
            return
        box = chance.choice(boxes_)
        on_box = {**key, "mailbox_id": box.mailbox_id}
        if kind < 0.35:
            await store.apply(RenameMailbox(**on_box, name=name))
        elif kind < 0.45:
            await store.apply(DeleteMailbox(**on_box))
        elif kind < 0.55:
            await store.apply(Subscribe(**key, name=box.name, subscribed=not box.subscribed))
        elif kind < 0.8:
            await store.apply(AddEmail(**on_box, content=Content.of(NEWS), received_at=0))
        else:
            index = await store.index(account_id, box.mailbox_id)
            uids = index.uid_set()
            if kind < 0.9:
                flags = frozenset({"\\Seen"})
                await store.apply(
                    SetFlags(**on_box, uids=uids, action=chance.choice(("add", "remove")), flags=flags)
                )
            else:
                await store.apply(Expunge(**on_box, uids=uids, force=True))
    except (Conflict, NotFound):
        pass
    if chance.random() < 0.3:
        await asyncio.sleep(chance.random() * 0.03)


def test_sessions_and_views_have_no_more_room_for_it_than_two_words() -> None:
    """An idle session pays for what it could ask for with a reference in the session and one in the view."""
    assert "__dict__" not in dir(Session)
    assert sys.getsizeof(View.__new__(View)) < 256
