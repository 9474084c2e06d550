"""NOTIFY and METADATA across nodes: who watches at one is told at once of what is done at another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.imap.server import ImapServer
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, PutDomain
from posthouse.store.model import Domain
from posthouse.store.postgres import Place, PostgresStore
from tests.imap.conftest import CHEAP, MESSAGE_SIZE, PASSWORD, Client, Post

NEWS = b"Subject: news\r\n\r\n!\r\n"
EVERY = b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange)"


async def serve(store: PostgresStore) -> tuple[Listener, Directory]:
    directory = Directory(store)
    server = ImapServer(
        store=store, directory=directory, hostname="mx.example.test", message_size=MESSAGE_SIZE
    )
    listener = Listener(["127.0.0.1:0"], server.serve, gate=ConnectionGate(100, 100))
    await listener.start()
    return listener, directory


@pytest.fixture
async def nodes(url: str, tmp_path: Path) -> AsyncIterator[list[Post]]:
    """Two of them, over one database."""
    posts: list[Post] = []
    ends = []
    for name in ("a", "b"):
        store = await PostgresStore.open(
            Place(url=url, folder=tmp_path / name, check_clock=False), derive=derive
        )
        if not posts:
            await store.apply(PutDomain(domain=Domain(name="example.test")))
            account = await store.apply(
                AddAccount(address="alice@example.test", password=CHEAP.hash(PASSWORD), created_at=0)
            )
        listener, directory = await serve(store)
        posts.append(Post(store, directory, listener, account))
        ends.append((store, listener, directory))
    yield posts
    for post in posts:
        for client in post.clients:
            client.writer.close()
    for store, listener, directory in ends:
        await listener.stop(0.1)
        directory.close()
        await store.close()


async def ok(client: Client, text: bytes) -> list[bytes]:
    lines = await client.command(text)
    assert lines[-1].startswith(b"t OK "), lines
    return lines[:-1]


async def test_everything_is_told_across_nodes(nodes: list[Post]) -> None:
    told, other = await nodes[0].login(), await nodes[1].login()
    await ok(told, b"SELECT INBOX")
    await ok(
        told, b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge FlagChange)) (personal %b)" % EVERY
    )
    await ok(other, b"CREATE box")
    assert await told.line() == b'* LIST (\\HasNoChildren) "/" box\r\n'
    assert (await told.line()).startswith(b"* STATUS box (MESSAGES 0 ")
    await ok(other, b"APPEND box {%d+}\r\n%b" % (len(NEWS), NEWS))
    assert (await told.line()).startswith(b"* STATUS box (MESSAGES 1 UIDNEXT 2 ")
    await ok(other, b"APPEND INBOX {%d+}\r\n%b" % (len(NEWS), NEWS))
    assert [await told.line(), await told.line()] == [b"* 1 EXISTS\r\n", b"* 1 FETCH (UID 1)\r\n"]
    await ok(other, b"SELECT INBOX")
    await ok(other, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await told.line() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n"
    await ok(other, b"EXPUNGE")
    assert await told.line() == b"* 1 EXPUNGE\r\n"
    await ok(other, b'SETMETADATA box (/private/comment "x")')
    assert await told.line() == b"* METADATA box /private/comment\r\n"
    await ok(other, b"RENAME box crate")
    assert await told.line() == b'* LIST (\\HasNoChildren) "/" crate ("OLDNAME" (box))\r\n'
    await ok(other, b"SUBSCRIBE crate")
    assert await told.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" crate\r\n'
    await ok(other, b"DELETE crate")
    assert (await told.line()).startswith(b"* LIST (\\NonExistent ")
    assert await ok(told, b"NOOP") == []


async def test_counts_agree_after_both_nodes_were_busy(
    nodes: list[Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NOTIFY_PAUSE", 0.01)
    told = await nodes[0].login()
    busy = [await post.login() for post in nodes]
    await ok(told, b"NOTIFY SET (mailboxes Archive (MessageNew MessageExpunge FlagChange))")
    for _ in range(20):
        for client in busy:
            client.send(b"t APPEND Archive {%d+}\r\n%b\r\n" % (len(NEWS), NEWS))
        for client in busy:
            await client.until(b"t OK")
    line = await told.line()
    while b" UNSEEN 40" not in line:
        line = await told.line()
    assert line.startswith(b"* STATUS Archive (MESSAGES 40 UIDNEXT 41 ")
