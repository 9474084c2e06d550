"""The store as a worker process sees it, over a real socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import Conflict, LocalProtocolError, NotFound, StoreUnavailable
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, CreateMailbox, Op, PutDomain
from posthouse.store.model import Account, Content, Domain
from posthouse.store.remote.calls import Fault
from posthouse.store.remote.client import RemoteStore
from posthouse.store.remote.server import StoreServer
from posthouse.store.sqlite.store import SqliteStore

RAW = b"From: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n"


class Far:
    """A store, and a worker's view of it."""

    def __init__(
        self, store: SqliteStore, server: StoreServer, remote: RemoteStore, lost: list[bool]
    ) -> None:
        self.store = store
        self.server = server
        self.remote = remote
        self.lost = lost


@asynccontextmanager
async def far_store(folder: Path) -> AsyncIterator[Far]:
    store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
    server = StoreServer(store, b"s" * 32)
    ours, theirs = socket.socketpair()
    lost: list[bool] = []
    await server.attach(ours)
    remote = await RemoteStore.open(theirs, lambda: lost.append(True))
    try:
        yield Far(store, server, remote, lost)
    finally:
        await remote.close()
        server.close()
        await store.close()


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def gone(path: Path) -> bool:
    """Whether a file is no longer there."""
    return not path.exists()


async def alice(far: Far) -> Account:
    await far.remote.apply(PutDomain(domain=Domain(name="n.test"), new=True))
    return await far.remote.apply(AddAccount(address="alice@n.test", password="", created_at=1))


def test_what_is_committed_far_away_is_there(tmp_path: Path) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            inbox = await far.remote.mailbox(account.account_id, "INBOX")
            added = await far.remote.apply(
                AddEmail(
                    account_id=account.account_id,
                    mailbox_id=inbox.mailbox_id,
                    content=Content.of(RAW),
                    received_at=1,
                )
            )
            (stored,) = await far.store.stored(account.account_id, [added.email_id])
            assert stored is not None
            assert await far.store.read(stored) == RAW
            assert await far.remote.ask("secret") == b"s" * 32

    asyncio.run(scene())


def test_errors_come_back_as_what_they_were(tmp_path: Path) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            with pytest.raises(Conflict):
                await far.remote.apply(PutDomain(domain=Domain(name="n.test"), new=True))
            with pytest.raises(NotFound):
                await far.remote.apply(CreateMailbox(account_id=999, name="x"))
            assert await far.remote.mailbox(account.account_id, "x") is None
            await far.remote.apply(CreateMailbox(account_id=account.account_id, name="x"))
            assert await far.remote.mailbox(account.account_id, "x") is not None, (
                "one's own work is seen at once"
            )
            with pytest.raises(AttributeError):
                far.remote.__getattr__("watch_queue")

    asyncio.run(scene())
    cause = StoreUnavailable("no")
    cause.__cause__ = OSError("disk full")
    back = Fault.of(cause).error()
    assert type(back) is StoreUnavailable
    assert str(back.__cause__) == "disk full"


def test_staged_octets_are_kept_only_when_committed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            inbox = await far.remote.mailbox(account.account_id, "INBOX")
            chunk = b"x" * 70 + b"\r\n"
            before = set((tmp_path / "blobs").iterdir())
            for wanted in (True, False):
                staging = far.remote.stage()
                await staging.write(RAW)
                for _ in range(2 * limits.STAGE_MEMORY // (1000 * len(chunk)) + 1):
                    await staging.write(chunk * 1000)
                content = await staging.finish()
                assert content.path is not None
                if wanted:
                    add = AddEmail(
                        account_id=account.account_id,
                        mailbox_id=inbox.mailbox_id,
                        content=content,
                        received_at=1,
                    )
                    await far.remote.apply(add)
                    del add
                path = content.path
                del content
                if not wanted:
                    await settled(partial(gone, path))
            unfinished = far.remote.stage()
            await unfinished.write(b"y" * 2 * limits.STAGE_MEMORY)
            assert len(set((tmp_path / "blobs").iterdir()) - before) == 2
            await far.remote.close()
            await settled(lambda: len(set((tmp_path / "blobs").iterdir()) - before) == 1)

    asyncio.run(scene())


def test_news_about_people_and_gossip(tmp_path: Path) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            ours, theirs = socket.socketpair()
            await far.server.attach(ours)
            other = await RemoteStore.open(theirs, lambda: None)
            heard: list[object] = []
            far.remote.watch_people(lambda: heard.append("people"))
            other.hear("login", heard.append)
            far.server.hear("login", heard.append)
            far.remote.hear("login", heard.append)
            await alice(far)
            await settled(lambda: "people" in heard)
            heard.clear()
            far.remote.tell("login", ("failed", "1.2.3.4"))
            await settled(lambda: len(heard) >= 2)
            assert heard == [("failed", "1.2.3.4")] * 2, "all hear of it but the one who told"
            await other.close()

    asyncio.run(scene())


def test_without_the_store_nothing_is_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            asked = asyncio.ensure_future(far.remote.mailboxes(account.account_id))
            await asyncio.sleep(0)
            far.server.close()
            with pytest.raises(StoreUnavailable):
                await asked
            assert far.lost == [True]
            assert not far.remote.healthy()
            with pytest.raises(StoreUnavailable):
                await far.remote.mailboxes(account.account_id)

    asyncio.run(scene())


def test_a_value_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            monkeypatch.setattr("posthouse.store.remote.link.LINK_FRAME", 1000)
            with pytest.raises(LocalProtocolError):
                await far.remote.apply(CreateMailbox(account_id=account.account_id, name="x" * 2000))
            assert await far.remote.mailbox(account.account_id, "INBOX") is not None

    asyncio.run(scene())


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            monkeypatch.setattr("posthouse.store.remote.client.LINK_CACHED", 10)
            for number in range(50):
                await far.remote.mailbox(account.account_id, str(number))
            assert len(far.remote._lately) <= 10

    asyncio.run(scene())


def test_what_another_changes_is_seen_when_the_answer_has_grown_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            assert await far.remote.mailbox(account.account_id, "x") is None
            await far.store.apply(CreateMailbox(account_id=account.account_id, name="x"))
            assert await far.remote.mailbox(account.account_id, "x") is None, (
                "it is believed for LINK_CACHE seconds"
            )
            monkeypatch.setattr("posthouse.store.remote.client.LINK_CACHE", 0.0)
            async with asyncio.timeout(limits.LINK_CACHE + 10):
                while await far.remote.mailbox(account.account_id, "x") is None:
                    await asyncio.sleep(0.01)

    asyncio.run(scene())


def test_an_answer_beyond_the_limit_is_told_and_hangs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            for number in range(30):
                await far.store.apply(
                    CreateMailbox(account_id=account.account_id, name=f"{number:02} {'x' * 100}")
                )
            monkeypatch.setattr("posthouse.store.remote.link.LINK_FRAME", 2000)
            async with asyncio.timeout(5):
                with pytest.raises(StoreUnavailable):
                    await far.remote.mailboxes(account.account_id)
                assert await far.remote.mailbox(account.account_id, "INBOX") is not None

    asyncio.run(scene())


def test_who_could_not_ask_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            monkeypatch.setattr("posthouse.store.remote.link.LINK_FRAME", 1000)
            with pytest.raises(LocalProtocolError):
                await far.remote.ask("mailbox", 1, "x" * 2000)
            assert not far.remote._waiting

    asyncio.run(scene())


def test_what_was_asked_during_a_change_is_not_remembered_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with far_store(tmp_path) as far:
            account = await alice(far)
            real, begun, go_on = far.store.commit, asyncio.Event(), asyncio.Event()

            async def slow(*ops: Op[Any]) -> list[Any]:
                begun.set()
                await go_on.wait()
                return await real(*ops)

            monkeypatch.setattr(far.store, "commit", slow)
            making = asyncio.create_task(
                far.remote.apply(CreateMailbox(account_id=account.account_id, name="x"))
            )
            await begun.wait()
            assert await far.remote.mailbox(account.account_id, "x") is None
            go_on.set()
            await making
            assert await far.remote.mailbox(account.account_id, "x") is not None, "one's own work"

    asyncio.run(scene())


@pytest.mark.parametrize("how", ["cancelled", "gone"])
def test_a_staged_message_stays_while_its_commit_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Who asked is cut off, and knows it no more: what is committed must have its octets all the same."""

    async def scene() -> None:
        async with far_store(tmp_path) as far:
            monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
            account = await alice(far)
            inbox = await far.remote.mailbox(account.account_id, "INBOX")
            staging = far.remote.stage()
            await staging.write(RAW * 100)
            content = await staging.finish()
            assert content.path is not None
            real, begun, go_on = far.store.commit, asyncio.Event(), asyncio.Event()
            done: list[Any] = []

            async def slow(*ops: Op[Any]) -> list[Any]:
                begun.set()
                await go_on.wait()
                done.extend(await real(*ops))
                return done

            monkeypatch.setattr(far.store, "commit", slow)
            add = AddEmail(
                account_id=account.account_id, mailbox_id=inbox.mailbox_id, content=content, received_at=1
            )
            adding = asyncio.create_task(far.remote.apply(add))
            await begun.wait()
            if how == "cancelled":
                adding.cancel()
                await asyncio.wait([adding])
                del add, adding, content
                await far.remote.ask("secret")  # behind the word that nobody knows the octets any more
                await far.remote.ask("secret")
            else:
                await far.remote.close()
                await settled(lambda: not far.server._clients)
            go_on.set()
            await settled(lambda: bool(done))
            assert await far.store.messages(account.account_id, [done[0].email_id]) == [RAW * 100]

    asyncio.run(scene())
