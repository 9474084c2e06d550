"""The administrator's hand on all of the queue: however long it is, and whatever is delivered meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.house import House
from posthouse.store.interface import ChangeQueued, Enqueue
from posthouse.store.model import Content, NewQueued, NewRecipient, QueuedMessage, RecipientState

MESSAGES = 7


async def fill(house: House) -> None:
    for number in range(MESSAGES):
        recipients = tuple(NewRecipient(address=f"{name}@far.test") for name in ("a", "b"))
        message = NewQueued(
            trace_id=f"t{number}", reverse_path="alice@north.test", recipients=recipients, created_at=0.0
        )
        await house.store.apply(Enqueue(message=message, content=Content.of(b"Subject: x\r\n\r\nx\r\n")))


async def change(house: House, action: str) -> list[int]:
    return [count async for count in house.administration.run("queue.change-all", {"action": action})]


def states(messages: list[QueuedMessage]) -> set[RecipientState]:
    return {one.state for message in messages for one in message.recipients}


async def test_messages_are_acted_on_all_or_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names one that is gone has mistaken something: nothing is done before that is known."""
    monkeypatch.setattr(limits, "QUEUE_PAGE", 3)
    await fill(house)
    ids = [message.queue_id for message in await house.store.queue()]
    command = house.administration.command("queue.change")
    with pytest.raises(NotFound, match=r"no message 9999 in the queue; nothing was changed"):
        await command.call({"action": "drop", "ids": [*ids[:2], 9999]}, b"")
    assert len(await house.store.queue()) == MESSAGES
    assert await command.call({"action": "hold", "ids": [*ids[:5], ids[0]]}, b"") == 10
    held = [
        message.queue_id for message in await house.store.queue() if RecipientState.HELD in states([message])
    ]
    assert held == ids[:5]


async def test_all_of_a_queue_of_several_pages_is_acted_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_PAGE", 3)
    await fill(house)
    assert (await change(house, "hold"))[-1] == 2 * MESSAGES
    assert states(await house.store.queue()) == {RecipientState.HELD}
    told = await change(house, "drop")
    assert told == [6, 12, 14, 14], "whoever waits hears of each page"
    assert await house.store.queue() == []
    assert await change(house, "retry") == [0]


async def test_what_is_delivered_meanwhile_keeps_the_others_from_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_PAGE", 3)
    await fill(house)
    real = house.store.queue

    async def queue(**asked: Any) -> list[QueuedMessage]:
        page = await real(**asked)
        if page:
            await house.store.apply(ChangeQueued(queue_id=page[0].queue_id, action="drop", now=0.0))
        return page

    monkeypatch.setattr(house.store, "queue", queue)
    assert (await change(house, "hold"))[-1] == 2 * (MESSAGES - 3)
    monkeypatch.undo()
    assert states(await house.store.queue()) == {RecipientState.HELD}


async def test_the_time_that_a_sender_has_set_is_told(house: House) -> None:
    """RFC 2852 §4: until when, and what happens then."""
    for mode in ("RT", "N", ""):
        recipients = (NewRecipient(address="a@far.test"),)
        message = NewQueued(
            trace_id=f"by-{mode}",
            reverse_path="alice@north.test",
            recipients=recipients,
            created_at=0.0,
            deliver_by=1_900_000_000.0,
            by_mode=mode,
        )
        await house.store.apply(Enqueue(message=message, content=Content.of(b"Subject: x\r\n\r\nx\r\n")))
    rows = await house.administration.command("queue.list").call({}, b"")
    told = {row["trace_id"]: (row["deliver_by"], row["by_mode"]) for row in rows}
    assert told == {"by-RT": (1_900_000_000.0, "RT"), "by-N": (1_900_000_000.0, "N"), "by-": (0.0, "")}
