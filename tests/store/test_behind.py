"""An index that other nodes change comes up to everything it hears of, whatever it is just reading."""

from __future__ import annotations

import asyncio

from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.memory.indexes import MailboxIndexes
from posthouse.store.memory.missed import Missed


async def test_what_is_heard_of_while_reading_is_read_too() -> None:
    asked = asyncio.Queue[asyncio.Future[Missed]]()

    async def load(account_id: int, mailbox_id: int) -> MailboxIndex:
        return MailboxIndex(account_id, mailbox_id, 1)

    async def catch_up(_index: MailboxIndex) -> Missed:
        answer: asyncio.Future[Missed] = asyncio.get_running_loop().create_future()
        await asked.put(answer)
        return await answer

    indexes = MailboxIndexes(load, lambda _: None, catch_up=catch_up)
    index = await indexes.get(1, 2)
    indexes.behind(1, 2, 5)
    first = await asked.get()
    indexes.behind(1, 2, 7)  # heard of after the database was asked
    first.set_result(Missed(modseq=5))
    async with asyncio.timeout(5):
        (await asked.get()).set_result(Missed(modseq=7))
    coming = indexes.coming_up(1, 2)
    assert coming is not None
    await coming
    assert index.highest_modseq == 7


async def test_a_number_that_the_mailbox_never_reaches_is_not_waited_for() -> None:
    async def load(account_id: int, mailbox_id: int) -> MailboxIndex:
        return MailboxIndex(account_id, mailbox_id, 1)

    async def catch_up(_index: MailboxIndex) -> Missed:
        return Missed(modseq=5)

    indexes = MailboxIndexes(load, lambda _: None, catch_up=catch_up)
    index = await indexes.get(1, 2)
    indexes.behind(1, 2, 9)
    coming = indexes.coming_up(1, 2)
    assert coming is not None
    async with asyncio.timeout(5):
        await coming
    assert index.highest_modseq == 5
    assert indexes.coming_up(1, 2) is None
