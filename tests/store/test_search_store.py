"""Search through a real store: what is delivered, copied, moved and expunged is found, or not, at once."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import apsw
import pytest

from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.derive import derive
from posthouse.store.foreground import Foreground
from posthouse.store.interface import (
    AddAccount,
    AddEmail,
    CopyEmails,
    Expunge,
    MoveEmails,
    PutDomain,
    RemoveAccount,
)
from posthouse.store.model import Content, Domain
from posthouse.store.search import SearchIndex
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.searching import OpenReader, SqliteMessages, text_search
from posthouse.store.sqlite.store import SqliteStore


class House:
    """A store with an account, and its index as fast as can be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.search: SearchIndex | None = None

    async def open(self) -> SqliteStore:
        def make(open_reader: OpenReader, foreground: Foreground) -> SearchIndex:
            self.search = text_search(self.folder / "search.db")(open_reader, foreground)
            self.search._indexer.delay = 0.0
            return self.search

        return await SqliteStore.open(
            self.folder / "mail.db", self.folder / "blobs", derive=derive, search=make
        )

    async def settled(self, documents: int) -> None:
        """Wait until the index holds so many messages."""
        async with asyncio.timeout(10):
            while self.documents() != documents:
                await asyncio.sleep(0.005)

    def documents(self) -> int:
        try:
            db = apsw.Connection(str(self.folder / "search.db"), flags=apsw.SQLITE_OPEN_READONLY)
            return int(db.execute("SELECT count(*) FROM doc").fetchall()[0][0])
        except apsw.Error:
            return -1


def message(i: int) -> Content:
    text = (
        f"Subject: letter {i}\r\nFrom: a@b.test\r\n\r\nnumber{i} 我们在邮局门口见面\r\n"
        + "x " * (i % 3) * 20_000
    )
    return Content.of(text.encode())


async def test_search_follows_the_store(tmp_path: Path) -> None:
    house = House(tmp_path)
    store = await house.open()
    await store.apply(PutDomain(domain=Domain(name="b.test"), new=True))
    account = await store.apply(AddAccount(address="a@b.test", password="x", created_at=1))
    inbox, trash = (
        await store.mailbox(account.account_id, "INBOX"),
        await store.mailbox(account.account_id, "Trash"),
    )
    assert inbox is not None and trash is not None
    me = account.account_id
    added = await store.commit(
        *(
            AddEmail(account_id=me, mailbox_id=inbox.mailbox_id, content=message(i), received_at=1)
            for i in range(40)
        )
    )
    ids = [one.email_id for one in added]

    async def found(field: str, needle: str, asked: list[int]) -> frozenset[int]:
        return await store.search_text(me, asked, field, needle)

    assert await found("body", "邮局", ids) == set(ids)
    assert await found("header:subject", "letter 7", ids) == {ids[7]}
    await house.settled(40)
    assert await found("body", "邮局", ids) == set(ids)
    assert await found("body", "number7", ids) == {ids[7]}
    assert await found("body", "number3", ids) == {ids[3], *ids[30:40]}

    where = {"account_id": me, "source_id": inbox.mailbox_id, "target_id": trash.mailbox_id}
    await store.apply(CopyEmails(uids=Ranges.of([1, 2]), **where))
    await house.settled(42)
    index = await store.index(me, trash.mailbox_id)
    assert await found("body", "number1", list(index.email_ids)) == {index.email_ids[1]}
    await store.apply(MoveEmails(uids=Ranges.of([40]), **where))
    await store.apply(
        Expunge(account_id=me, mailbox_id=inbox.mailbox_id, uids=Ranges.of(range(1, 31)), force=True)
    )
    await house.settled(12)
    assert await found("body", "number3", list(index.email_ids)) == {index.email_ids[2]}

    await store.close()
    store = await house.open()
    left = [
        *(await store.index(me, inbox.mailbox_id)).email_ids,
        *(await store.index(me, trash.mailbox_id)).email_ids,
    ]
    assert len(left) == 12
    assert await store.search_text(me, left, "header:subject", "LETTER") == set(left)
    await store.apply(RemoveAccount(account_id=me))
    await house.settled(0)
    await store.close()


async def test_files_that_cannot_be_opened_are_the_stores_fault(tmp_path: Path) -> None:
    def full() -> Reader:
        raise apsw.CantOpenError("unable to open database file")

    with pytest.raises(StoreUnavailable):
        list(SqliteMessages(full).read(1, [1]))


async def test_a_damaged_message_hides_no_other_and_is_not_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path)
    store = await house.open()
    await store.apply(PutDomain(domain=Domain(name="b.test"), new=True))
    account = await store.apply(AddAccount(address="a@b.test", password="x", created_at=1))
    inbox = await store.mailbox(account.account_id, "INBOX")
    assert inbox is not None

    async def add(text: str) -> None:
        content = Content.of(f"Subject: letter\r\n\r\n{text}\r\n".encode() + random.randbytes(300_000))
        key = {"account_id": account.account_id, "mailbox_id": inbox.mailbox_id}
        await store.apply(AddEmail(**key, content=content, received_at=1))

    await add("first word")
    await house.settled(1)
    assert house.search is not None
    await house.search.close()
    await add("lost word")
    await store.close()
    (segment,) = (tmp_path / "blobs").glob("*.seg")
    os.truncate(segment, segment.stat().st_size - 100_000)
    store = await house.open()
    await add("third word")
    await house.settled(2)
    index = await store.index(account.account_id, inbox.mailbox_id)
    first, _, third = index.email_ids
    found = await store.search_text(account.account_id, list(index.email_ids), "body", "word")
    assert found == {first, third}
    await store.close()
