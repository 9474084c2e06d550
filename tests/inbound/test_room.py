"""A full mailbox beside others: what may fit later waits here, what the peer can bring again is left to the peer."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import msgspec
import pytest

from posthouse.errors import OverQuota
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import MailRecipient, Via
from posthouse.inbound.notices import NoticeKind
from posthouse.inbound.rulings import Place, Ruling
from posthouse.ranges import Ranges
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Expunge, PutAccount, PutAlias
from posthouse.store.model import Alias
from tests.house import TestHouse
from tests.inbound.small_house import SmallHouse

SMALL = "small@example.test"
FITS_LATER = b"From: eve@elsewhere.test\r\nSubject: later\r\n\r\n" + b"y" * 1000
NEVER_FITS = b"From: eve@elsewhere.test\r\n\r\n" + b"z" * 100_000


async def deliver(house: SmallHouse, *recipients, **changes):
    handling = changes.pop("handling", Handling())
    mail = house.mail(*recipients, **{"raw": FITS_LATER} | changes)
    return mail, await house.deliverer.deliver(mail, b"Received: here\r\n", handling)


async def filled(house: SmallHouse) -> None:
    await house.fill_up("small")
    both = Alias(address="both@example.test", targets=("alice@example.test", SMALL))
    await house.real_store.apply(PutAlias(alias=both, new=True))


async def queued(house: SmallHouse) -> list[str]:
    return [r.address for entry in await house.real_store.queue() for r in entry.recipients]


WAYS = [
    # recipients,                     via,            replies,     queued
    (("small", "alice"), Via.MX, [250, 250], [SMALL]),
    (("small", "alice"), Via.SUBMISSION, [250, 250], [SMALL]),
    (("small+x", "alice"), Via.MX, [250, 250], ["small+x@example.test"]),
    (("both",), Via.MX, [250], [SMALL]),
    (("small", "friend@elsewhere.test"), Via.MX, [250, 250], ["friend@elsewhere.test", SMALL]),
    (("small", "off"), Via.MX, [452, 550], []),
    (("small",), Via.MX, [452], []),
    # RFC 2033 §4.2: a reply for each, so whoever hears 452 comes again; but not for one name behind an alias.
    (("small", "alice"), Via.LMTP, [452, 250], []),
    (("both",), Via.LMTP, [250], [SMALL]),
    (("both", "small"), Via.LMTP, [250, 452], []),
    (("small", "alice"), Via.LOCAL, [452, 250], []),
]


@pytest.mark.parametrize("row", WAYS, ids=lambda row: f"{'+'.join(row[0])} {row[1]}")
async def test_who_is_full_waits_where_nobody_else_would_try_again(house, row):
    recipients, via, codes, waiting = row
    await filled(house)
    mail, result = await deliver(house, *recipients, via=via)
    assert [r.code for r in result.replies] == codes
    assert await queued(house) == waiting
    assert len(await house.inbox("small")) == 1
    told = [n.address for _, notices in house.notices for n in notices if n.kind is NoticeKind.FAILED]
    assert SMALL not in told or via is Via.LMTP
    if SMALL in waiting:
        assert ("queued", SMALL, "its mailbox is full") in await house.story(mail.trace_id)


async def test_what_is_larger_than_the_whole_mailbox_does_not_wait(house):
    await filled(house)
    _, result = await deliver(house, "small", "alice", raw=NEVER_FITS)
    assert [str(r)[:9] for r in result.replies] == ["552 5.2.2", "250 2.0.0"]
    assert await queued(house) == []
    assert [n.address for _, notices in house.notices for n in notices] == [SMALL]


async def test_wishes_of_the_sender_wait_too(house):
    await filled(house)
    await deliver(house, MailRecipient(SMALL, "SUCCESS,DELAY", "rfc822;x"), "alice")
    [message] = await house.real_store.queue()
    assert [(r.notify, r.orcpt) for r in message.recipients] == [("SUCCESS,DELAY", "rfc822;x")]
    assert house.notices == [], "nothing is delivered yet"


@pytest.mark.parametrize("by", ["handling", "ruling"])
async def test_junk_does_not_wait(house, by):
    """What comes home from the queue is not judged again, and would stand in the inbox."""
    await filled(house)
    ids = [house.accounts[name].account_id for name in ("small", "alice")]

    async def rule(accounts):
        assert {one.account_id for one in accounts} == set(ids)
        return {number: Ruling(place=Place.JUNK) for number in ids}

    handling = Handling(junk=True) if by == "handling" else Handling(rule=rule)
    _, result = await deliver(house, "small", "alice", handling=handling)
    assert [r.code for r in result.replies] == [452, 250]
    assert await queued(house) == []


async def test_who_takes_a_message_later_keeps_it_from_being_refused(house):
    """One ruling refuses, the other would take it: by and by it does."""
    await filled(house)
    alice, small = (house.accounts[name].account_id for name in ("alice", "small"))
    refusal = Ruling(place=Place.JUNK, reply=Reply(550, "5.7.1", "Not wanted"))

    async def rule(_accounts):
        return {alice: refusal, small: Ruling()}

    _, result = await deliver(house, "small", "alice", handling=Handling(rule=rule))
    assert [r.code for r in result.replies] == [250, 250]
    assert await queued(house) == [SMALL]


async def test_a_mailbox_that_fills_between_question_and_commit_waits(house):
    # The directory still thinks that there is room; the store knows better.
    await house.directory.destination(SMALL)
    commit = house.real_store.commit

    async def overtaken(*_ops):
        house.real_store.commit = commit
        await filled(house)
        raise OverQuota("full")

    house.real_store.commit = overtaken
    _, result = await deliver(house, "small", "alice")
    assert len(await house.inbox("alice")) == 1
    assert [r.code for r in result.replies] == [250, 250]
    assert await queued(house) == [SMALL]


async def test_it_comes_when_there_is_room(tmp_path: Path) -> None:
    """From the wire to the queue, and home from there."""
    house = await TestHouse.open(tmp_path)
    try:
        bob = house.accounts["bob@example.test"]
        await house.app.store.apply(PutAccount(account=msgspec.structs.replace(bob, quota=2000)))
        await house.fill("bob@example.test", 8)
        text = "From: eve@elsewhere.test\r\nSubject: later\r\n\r\n" + "y" * 1000 + "\r\n"

        def send() -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
                return client.sendmail("eve@elsewhere.test", ["team@example.test"], text)

        assert await asyncio.to_thread(send) == {}
        assert (await house.total("alice@example.test"), await house.total("bob@example.test")) == (1, 8)
        [message] = await house.app.store.queue()
        [waiting] = message.recipients
        assert waiting.address == "bob@example.test"

        async def tried(times: int) -> None:
            async with asyncio.timeout(10):
                while [r.attempts for m in await house.app.store.queue() for r in m.recipients] != [times]:
                    await asyncio.sleep(0.02)

        await tried(1)
        inbox = await house.app.store.mailbox(bob.account_id, "INBOX")
        assert inbox is not None
        await house.app.store.apply(
            Expunge(
                account_id=bob.account_id,
                mailbox_id=inbox.mailbox_id,
                uids=Ranges([(1, 8)]),
                force=True,
            )
        )
        await house.app.house.runner.flush()
        async with asyncio.timeout(10):
            while await house.waiting():
                await asyncio.sleep(0.02)
        assert await house.total("bob@example.test") == 1
        kinds = [e.kind for e in await house.app.store.events(trace_id=message.trace_id)]
        assert {"queued", "deferred", "delivered"} <= set(kinds)
        assert "failed" not in kinds
    finally:
        await house.close()
