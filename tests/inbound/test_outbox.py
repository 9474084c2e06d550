"""Submissions that are held: sent once, whatever comes in between (for clients: tests/jmap/test_submission.py)."""

from __future__ import annotations

import msgspec

from posthouse.inbound.mail import Mail
from posthouse.inbound.outbox import KIND, Address, Envelope, Outbox, Submission, decode, status_of
from posthouse.inbound.sign import UNSIGNED, Signed
from posthouse.store.interface import AddUpload, PutAccount, PutItem
from posthouse.store.model import Content, Event
from tests.inbound.small_house import NOW, SMALL_QUOTA, SmallHouse

FAR = "friend@elsewhere.test"
LETTER = b"From: alice@example.test\r\nSubject: held\r\n\r\n" + b"x" * SMALL_QUOTA


async def test_what_was_refused_for_now_is_sent_later(house: SmallHouse) -> None:
    """The refusal stands in the timeline by then, and is no sign that it was taken."""
    store, alice, small = house.real_store, house.accounts["alice"], house.accounts["small"]
    upload = await store.apply(
        AddUpload(
            account_id=alice.account_id,
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
        envelope=Envelope(mail_from=Address(email=alice.address), rcpt_to=[Address(email=small.address)]),
        send_at=NOW,
        undo_status="pending",
        trace_id="t1",
        upload_id=upload.upload_id,
    )
    kept = PutItem(account_id=alice.account_id, kind=KIND, data=msgspec.json.encode(record), due_at=NOW)
    await store.apply(kept)
    now = NOW
    outbox = Outbox(store, lambda: house.pipeline, lambda: now)

    async def due() -> Submission:
        (item,) = await store.items_due(KIND, now, 10)
        await outbox._due(item)
        await house.refusals.flush()
        (item,) = await store.items(alice.account_id, KIND)
        return decode(item)

    assert (await due()).undo_status == "pending"
    assert [kind for kind, *_ in await house.story("t1")] == ["refused", "refused"]
    await store.apply(PutAccount(account=msgspec.structs.replace(small, quota=0)))
    now += 3600
    assert (await due()).undo_status == "final"
    assert len(await house.inbox("small")) == 1
    now += 3600
    await due()
    assert len(await house.inbox("small")) == 1


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
    outbox = Outbox(house.real_store, lambda: house.pipeline, lambda: NOW)
    raw = b"From: alice@example.test\nSubject: x\n\none\ntwo\r\nthree\rend\n"
    [reply] = await outbox.send(alice, record, Content.of(raw))
    assert reply.accepted
    [queued] = await house.real_store.queue()
    sent = await house.real_store.read(queued.stored)
    assert sent.endswith(b"\r\n\r\none\r\ntwo\r\nthree\r\nend\r\n")
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n")
    assert sent.endswith(signed[0])
