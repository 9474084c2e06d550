"""An index that other nodes change comes up to everything it hears of, whatever it is just reading."""

from __future__ import annotations

import asyncio
from array import array

from posthouse.store.mailbox_index import MailboxIndex, NewRows
from posthouse.store.memory.indexes import MailboxIndexes
from posthouse.store.memory.missed import Missed, take_over


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


async def test_an_index_that_is_taken_over_whole_finds_its_emails() -> None:
    def rows(*email_ids: int) -> NewRows:
        count = len(email_ids)
        numbers = range(1, count + 1)
        return NewRows(
            uids=array("I", numbers),
            flags=array("Q", [0] * count),
            modseqs=array("Q", numbers),
            email_ids=array("Q", email_ids),
            sizes=array("I", [1] * count),
            received=array("I", [1] * count),
        )

    index, present = MailboxIndex(1, 2, 1), MailboxIndex(1, 2, 1)
    index.append(rows(10, 11))
    assert index.find(11) == 2
    present.append(rows(10, 12, 11))
    take_over(index, Missed(modseq=3, whole=present))
    assert [index.find(number) for number in (10, 11, 12, 13)] == [1, 3, 2, None]
