"""Submissions that are held: sent once, whatever comes in between (for clients: tests/jmap/test_submission.py)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from posthouse.errors import Damaged
from posthouse.inbound.mail import Mail
from posthouse.inbound.outbox import KIND, Address, Envelope, Outbox, Submission, decode, status_of
from posthouse.inbound.sign import UNSIGNED, Signed
from posthouse.limits import OUTBOX_GIVE_UP
from posthouse.smtp.replies import DAMAGED
from posthouse.store.account_model import Item
from posthouse.store.interface import AddUpload, PutAccount, PutItem
from posthouse.store.model import Content, Event
from tests.inbound.small_house import NOW, SMALL_QUOTA, SmallHouse

FAR = "friend@elsewhere.test"
LETTER = b"From: alice@example.test\r\nSubject: held\r\n\r\n" + b"x" * SMALL_QUOTA


class Held:
    """A message of alice's that is held until NOW."""

    def __init__(self, house: SmallHouse) -> None:
        self.house = house
        self.now = NOW
        self.outbox = Outbox(
            house.real_store, lambda: house.pipeline, house.deliverer._notify, lambda: self.now
        )

    async def hold(self, to: str, sender: str = "alice@example.test") -> None:
        store, account_id = self.house.real_store, self.house.accounts["alice"].account_id
        upload = await store.apply(
            AddUpload(
                account_id=account_id,
                content=Content.of(LETTER),
                media_type="message/rfc822",
                created_at=int(NOW),
                kept=True,
            )
        )
        record = Submission(
            identity_id="I0",
            email_id="E1",
            thread_id="T1",
            envelope=Envelope(mail_from=Address(email=sender), rcpt_to=[Address(email=to)]),
            send_at=NOW,
            undo_status="pending",
            trace_id="t1",
            upload_id=upload.upload_id,
        )
        data = msgspec.json.encode(record)
        await store.apply(PutItem(account_id=account_id, kind=KIND, data=data, due_at=NOW))

    async def due(self, later: float = 0.0) -> Submission:
        """What has become of it, so many seconds later."""
        self.now += later
        store = self.house.real_store
        (item,) = await store.items_due(KIND, self.now, 10)
        await self.outbox._due(item)
        await self.house.refusals.flush()
        (item,) = await store.items(item.account_id, KIND)
        return decode(item)

    @property
    def told(self) -> list[str]:
        """Which failures the sender was told of."""
        return [f"{one.address} {one.reply.code}" for _, notices in self.house.notices for one in notices]


async def test_what_was_refused_for_now_is_sent_later(house: SmallHouse) -> None:
    """The refusal stands in the timeline by then, and is no sign that it was taken."""
    held, small = Held(house), house.accounts["small"]
    await house.fill_up("small")
    await held.hold(small.address)
    assert (await held.due()).undo_status == "pending"
    assert [kind for kind, *_ in await house.story("t1")] == ["refused", "refused"]
    await house.real_store.apply(PutAccount(account=msgspec.structs.replace(small, quota=0)))
    assert (await held.due(3600)).undo_status == "final"
    assert len(await house.inbox("small")) == 2
    await held.due(3600)
    assert len(await house.inbox("small")) == 2
    assert held.told == []


async def test_of_what_is_refused_at_its_time_the_sender_is_told_once(house: SmallHouse) -> None:
    """Nobody waits for the answer any more; so it is with every message of the webmail, which can be taken back."""
    held = Held(house)
    await held.hold("nobody@example.test")
    record = await held.due()
    assert record.undo_status == "final"
    assert [one.delivered for one in (record.delivery_status or {}).values()] == ["no"]
    assert held.told == ["nobody@example.test 550"]
    await held.due(3600)
    assert held.told == ["nobody@example.test 550"]


async def test_what_cannot_be_sent_for_days_is_given_up(house: SmallHouse) -> None:
    held = Held(house)
    await house.fill_up("small")
    await held.hold("small@example.test")
    assert (await held.due(OUTBOX_GIVE_UP - 1)).undo_status == "pending"
    assert held.told == []
    assert (await held.due(3600)).undo_status == "final"
    assert held.told == ["small@example.test 452"]


async def test_a_damaged_message_is_given_up_in_time(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(house)
    await held.hold("bob@example.test")

    async def damaged(*_: object) -> bytes:
        raise Damaged("the bytes are not those that were stored")

    monkeypatch.setattr(house.real_store, "whole", damaged)
    assert (await held.due(OUTBOX_GIVE_UP - 1)).undo_status == "pending"
    assert held.told == []
    record = await held.due(3600)
    assert record.undo_status == "final"
    assert record.delivery_status is not None
    assert record.delivery_status["bob@example.test"].smtp_reply == str(DAMAGED)
    assert record.delivery_status["bob@example.test"].delivered == "no"
    assert held.told == ["bob@example.test 451"]
    assert await house.inbox("bob") == []


async def test_a_receipt_that_is_refused_is_told_to_nobody(house: SmallHouse) -> None:
    """It has no sender to be told, and the house goes on."""
    held = Held(house)
    await held.hold("nobody@example.test", sender="")
    assert (await held.due()).undo_status == "final"
    assert held.told == []


def test_what_became_of_a_recipient_is_found_by_its_a_label() -> None:
    record = Submission(
        identity_id="I0",
        email_id="E1",
        thread_id="T1",
        envelope=Envelope(
            mail_from=Address(email="alice@example.test"), rcpt_to=[Address(email="Bob@bücher.test")]
        ),
        send_at=NOW,
        undo_status="final",
        trace_id="t1",
    )
    refused = Event(
        trace_id="t1", at=NOW, kind="failed", address="Bob@xn--bcher-kva.test", detail="550 5.1.1 nobody"
    )
    found = status_of(record, [refused])
    assert {name: (one.delivered, one.smtp_reply) for name, one in found.items()} == {
        "Bob@bücher.test": ("no", "550 5.1.1 nobody")
    }


async def test_lines_that_do_not_end_as_in_smtp_are_sent_as_such(house: SmallHouse) -> None:
    """An imported message, or a draft of a mail program; its signature must fit what arrives."""
    signed: list[bytes] = []

    async def sign(mail: Mail, prefix: bytes) -> Signed:
        signed.append(mail.content.beginning())
        return UNSIGNED

    house.deliverer._sign = sign
    alice = house.accounts["alice"]
    record = Submission(
        identity_id="I0",
        email_id="E1",
        thread_id="T1",
        envelope=Envelope(mail_from=Address(email=alice.address), rcpt_to=[Address(email=FAR)]),
        send_at=NOW,
        undo_status="final",
        trace_id="t1",
    )
    outbox = Outbox(house.real_store, lambda: house.pipeline, house.deliverer._notify, lambda: NOW)
    raw = b"From: alice@example.test\nSubject: x\n\none\ntwo\r\nthree\rend\n"
    [reply] = await outbox.send(alice, record, raw)
    assert reply.accepted
    [queued] = await house.real_store.queue()
    sent = await house.real_store.read(queued.stored)
    assert sent.endswith(b"\r\n\r\none\r\ntwo\r\nthree\r\nend\r\n")
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n")
    assert sent.endswith(signed[0])


# --- limits -------------------------------------------------------------------------------------------------


async def item_of(held: Held) -> Item:
    (item,) = await held.house.real_store.items(held.house.accounts["alice"].account_id, KIND)
    return item


async def test_what_could_not_be_taken_is_tried_again_in_a_minute(house: SmallHouse) -> None:
    held = Held(house)
    await house.fill_up("small")
    await held.hold("small@example.test")
    await held.due()
    assert (await item_of(held)).due_at == NOW + 60


async def test_what_was_begun_and_broke_off_is_looked_at_in_half_a_minute(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(house)
    await held.hold("bob@example.test")

    async def dies(_mail: Mail) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(house.pipeline, "accept", dies)
    with pytest.raises(asyncio.CancelledError):
        await held.due()
    assert (await item_of(held)).due_at == NOW + 30


async def test_what_became_of_it_is_looked_up_less_and_less_often(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second, two, four, …, an hour, and after 181 times not at all: that is over a week."""
    held = Held(house)
    await held.hold(FAR)
    asked: list[int] = []
    events = house.real_store.events

    async def counted(*, trace_id: str, limit: int) -> list[Event]:
        asked.append(limit)
        return await events(trace_id=trace_id, limit=limit)

    monkeypatch.setattr(house.real_store, "events", counted)
    (first,) = await house.real_store.items_due(KIND, NOW, 10)
    await held.outbox._due(first)
    waits = []
    while (item := await item_of(held)).due_at is not None:
        waits.append(round(item.due_at - held.now))
        held.now = item.due_at
        await held.outbox._due(item)
    assert waits[:13] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]
    assert set(waits[12:]) == {3600}
    assert len(waits) == 181
    assert sum(waits) > 7 * 86_400
    assert set(asked) == {10_000}


async def test_the_outbox_takes_a_hundred_at_a_time_and_looks_every_minute(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(house)
    asked: list[int] = []
    waited: list[float | None] = []
    items_due, timeout = house.real_store.items_due, asyncio.timeout

    async def counted(kind: str, before: float, limit: int) -> list[Item]:
        asked.append(limit)
        return await items_due(kind, before, limit)

    def at_once(delay: float | None) -> asyncio.Timeout:
        waited.append(delay)
        return timeout(0)

    monkeypatch.setattr(house.real_store, "items_due", counted)
    monkeypatch.setattr(asyncio, "timeout", at_once)
    await held.outbox._round()
    assert (asked, waited) == ([100], [60.0])


@pytest.mark.parametrize("fault", [Damaged("of the store"), RuntimeError("unforeseen")])
async def test_after_a_fault_the_outbox_rests_half_a_minute(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    held = Held(house)
    rested: list[float] = []

    async def broken(*_: object) -> list[Item]:
        raise fault

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        if len(rested) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(house.real_store, "items_due", broken)
    monkeypatch.setattr(asyncio, "sleep", rest)
    with pytest.raises(asyncio.CancelledError):
        await held.outbox._run()
    assert rested == [30.0] * 3
