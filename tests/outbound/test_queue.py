"""The queue over a real store and real sockets: what is delivered, put off, given up, and who hears of it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.config import Outbound
from posthouse.errors import OverQuota, StoreUnavailable
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dsn import Notification
from posthouse.outbound.misplanned import wake_misplanned
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.patience import in_force
from posthouse.smtp.replies import DAMAGED
from posthouse.steady_clock import SteadyClock
from posthouse.store.interface import (
    AddAccount,
    ChangeQueued,
    Op,
    PutAlias,
    PutDomain,
    RecordOutcomes,
    RemoveAccount,
    WakeDestination,
)
from posthouse.store.model import Alias, Domain, NewRecipient, RecipientState
from tests.fakes.clock import FakeClock
from tests.fakes.mail_server import KEEP_AND_CLOSE, FakeMailServer
from tests.outbound.office import Office

ZONE = """
    far.test.      MX 10 mx1.far.test.
    mx1.far.test.  A  127.0.0.1
    other.test.    MX 10 mx1.far.test.
    null.test.     MX 0 .
    gone.test.     MX 10 mx.gone.test.
    mx.gone.test.  A  127.0.0.3
"""
HOUR = 3600

OpenOffice = Callable[..., Awaitable[Office]]


@pytest.fixture
async def far() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server


@pytest.fixture
async def open_office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[OpenOffice]:
    opened: list[Office] = []

    async def make(zone: str = ZONE, **settings: object) -> Office:
        opened.append(await Office.open(tmp_path, zone, far.port, **settings))
        return opened[-1]

    yield make
    for office in opened:
        await office.close()


def subject(raw: bytes) -> str:
    return str(email.message_from_bytes(raw, policy=email.policy.default)["Subject"])


async def test_a_message_goes_out_and_leaves_the_queue(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    await office.enqueue("b@far.test", "c@far.test", "d@other.test", trace_id="t1")
    await office.settled()
    assert sorted(tuple(got.recipients) for got in far.messages) == [
        ("b@far.test", "c@far.test"),
        ("d@other.test",),
    ]
    assert await office.store.queue() == []
    assert sorted(await office.story("t1")) == ["delivered"] * 3
    assert await office.inbox() == []


async def test_a_deferral_follows_the_schedule(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office(retry=(60, 300, 900), delay_notice=0)
    far.say("RCPT", "451 4.7.1 greylisted", times=3)
    await office.enqueue("b@far.test", trace_id="t1")
    for interval in (60, 300, 900):
        await office.settled()
        wait = (await office.waiting())["b@far.test"]
        assert interval * 0.9 <= wait <= interval * 1.1
        office.clock.advance(wait - 1)
        await office.settled()
        assert office.clock.now < (await office.only()).recipients[0].next_attempt_at
        office.clock.advance(1)
    one = (await office.only()).recipients[0]
    assert one.attempts == 3
    assert one.last_reply == "451 4.7.1 greylisted"
    assert one.last_host == f"mx1.far.test[127.0.0.1]:{far.port}"
    await office.settled()
    assert len(far.messages) == 1
    assert await office.store.queue() == []
    kinds = await office.story("t1")
    assert kinds.count("deferred") == 3
    assert kinds[-1] == "delivered"


async def test_a_failure_is_told_to_the_sender_once(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    far.say("RCPT TO:<b@", "550 5.1.1 nobody here")
    await office.enqueue("b@far.test", "c@far.test", trace_id="t1")
    await office.settled()
    await office.settled()
    (notice,) = await office.inbox()
    assert notice.startswith(b"Return-Path: <>\r\nDelivered-To: a@us.test\r\n")
    assert subject(notice) == "Could not be delivered: hello"
    assert b"Final-Recipient: rfc822; b@far.test" in notice
    assert b"c@far.test" not in notice
    assert await office.store.queue() == []
    assert sorted(await office.story("t1")) == ["delivered", "failed", "told"]


async def test_a_null_mx_bounces_at_once(open_office: OpenOffice) -> None:
    office = await open_office()
    await office.enqueue("b@null.test")
    await office.settled()
    (notice,) = await office.inbox()
    assert b"Status: 5.1.10" in notice
    assert b"Remote-MTA" not in notice


async def test_a_bounce_for_a_sender_elsewhere_is_queued(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office()
    await office.enqueue("b@null.test", reverse_path="s@far.test")
    await office.settled()
    (notice,) = far.messages
    assert notice.sender == ""
    assert notice.recipients == ["s@far.test"]
    assert await office.store.queue() == []


@pytest.mark.parametrize(
    ("reverse_path", "notify"),
    [("", ""), ("a@us.test", "NEVER"), ("a@us.test", "SUCCESS"), ("no@us.test", "")],
)
async def test_nobody_is_told_who_must_not_or_cannot_be(
    open_office: OpenOffice, reverse_path: str, notify: str
) -> None:
    office = await open_office()
    recipients = (NewRecipient(address="b@null.test", notify=notify),)
    await office.enqueue("x", recipients=recipients, reverse_path=reverse_path, trace_id="t1")
    await office.settled()
    assert await office.inbox() == []
    assert await office.store.queue() == []
    assert "failed" in await office.story("t1")


@pytest.mark.parametrize(("extensions", "told"), [(["DSN"], False), ([], True)])
async def test_success_is_told_where_the_next_server_will_not(
    open_office: OpenOffice, far: FakeMailServer, extensions: list[str], told: bool
) -> None:
    office = await open_office()
    far.extensions = extensions
    recipients = (NewRecipient(address="b@far.test", notify="SUCCESS", orcpt="rfc822;o@x"),)
    await office.enqueue("x", recipients=recipients)
    await office.settled()
    assert [b"Action: relayed" in notice for notice in await office.inbox()] == ([True] if told else [])
    assert far.count("RCPT TO:<b@far.test> NOTIFY=SUCCESS ORCPT=rfc822;o@x") == (not told)


async def test_the_sender_is_told_of_a_delay_once_and_at_last_of_the_end(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(retry=(HOUR,), delay_notice=4 * HOUR, expire=24 * HOUR)
    far.say("RCPT", "451 later")
    await office.enqueue("b@far.test")
    begun = office.clock()
    told: list[tuple[float, str]] = []
    for _ in range(60):
        await office.settled()
        notices = await office.inbox()
        if len(notices) > len(told):
            told.append(((office.clock() - begun) / HOUR, subject(notices[-1])))
        waiting = await office.waiting()
        if not waiting:
            break
        office.clock.advance(waiting["b@far.test"])
    assert [(round(hours, 2), text) for hours, text in told] == [
        (4.0, "Delayed: hello"),
        (24.0, "Could not be delivered: hello"),
    ]
    last = (await office.inbox())[-1]
    assert b"Status: 4.4.7" in last
    assert b"451 later" in last


async def test_delay_is_not_told_to_who_asked_for_failures_only(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(delay_notice=HOUR)
    far.say("RCPT", "451 later")
    recipients = (NewRecipient(address="b@far.test", notify="FAILURE"),)
    await office.enqueue("x", recipients=recipients)
    office.clock.advance(2 * HOUR)
    await office.settled()
    assert await office.inbox() == []


async def test_given_up_by_hand(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    far.say("RCPT", "451 later")
    queue_id = await office.enqueue("b@far.test")
    await office.settled()
    await office.store.apply(ChangeQueued(queue_id=queue_id, action="fail", now=office.clock()))
    await office.settled()
    assert len(await office.inbox()) == 1
    assert await office.store.queue() == []


async def test_a_break_after_the_final_dot_is_tried_again_and_says_so(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office()
    far.say("MESSAGE", KEEP_AND_CLOSE, times=1)
    await office.enqueue("b@far.test", trace_id="t1")
    await office.settled()
    events = await office.store.events(trace_id="t1")
    assert "a duplicate is possible" in events[-1].detail
    office.clock.advance(120)
    await office.settled()
    assert len(far.messages) == 2
    assert await office.store.queue() == []


def fail_to_wake(office: Office, monkeypatch: pytest.MonkeyPatch, times: int = 1000) -> None:
    """So often the store cannot make a destination's mail due."""
    apply, left = office.store.apply, [None] * times

    async def unless_waking(op: Op[Any]) -> Any:
        if isinstance(op, WakeDestination) and left:
            left.pop()
            raise StoreUnavailable("the store is away")
        return await apply(op)

    monkeypatch.setattr(office.store, "apply", unless_waking)


# --- destinations that are away ---------------------------------------------------------------------------


async def test_a_destination_that_is_away_waits_as_a_whole(open_office: OpenOffice) -> None:
    office = await open_office(retry=(60, 60))
    for number in range(5):
        await office.enqueue(f"r{number}@gone.test")
    await office.settled()
    tried = office.resolver.asked.count(("MX", "gone.test"))
    assert tried == 5, "a new message tries at least once"
    office.clock.advance(30)
    away = office.runner._destinations.away("gone.test")
    assert away is not None
    # All are due before the destination may be tried again: they are put off without a try.
    await office.store.apply(WakeDestination(destination="", now=office.clock()))
    await office.settled()
    assert office.resolver.asked.count(("MX", "gone.test")) == tried
    assert all(wait > 0 for wait in (await office.waiting()).values())
    assert all(one.attempts == 1 for m in await office.store.queue() for one in m.recipients)
    office.clock.now = away.until
    await office.store.apply(WakeDestination(destination="", now=office.clock()))
    await office.settled()
    assert office.resolver.asked.count(("MX", "gone.test")) > tried


async def test_a_flush_tries_also_what_is_away(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    await far.stop()
    await office.enqueue("b@far.test")
    await office.settled()
    await far.start()
    assert await office.runner.flush("far.test") == 1
    await office.settled()
    assert len(far.messages) == 1


async def test_what_a_clock_that_was_ahead_planned_does_not_rest_for_ever(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(retry=(3600,), delay_notice=0)
    right = office.clock.now
    office.clock.advance(40 * 86400)
    await office.enqueue("c@gone.test", trace_id="t1")
    far.say("RCPT", "451 4.7.1 greylisted", times=1)
    await office.enqueue("b@far.test", trace_id="t2")
    await office.settled()
    assert await wake_misplanned(office.store, office.settings, office.clock()) == 0, "all is as planned"
    office.clock.now = right
    assert {address for address, wait in (await office.waiting()).items() if wait > 30 * 86400}
    assert await wake_misplanned(office.store, office.settings, office.clock()) == 2
    await office.settled()
    assert len(far.messages) == 1
    assert all(wait < 2 * 3600 for wait in (await office.waiting()).values())


async def test_after_a_reload_the_new_courier_is_used(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    await office.enqueue("b@far.test")
    await office.settled()
    async with FakeMailServer(address="127.0.0.2") as relay:
        settings = Outbound(relay=f"smtp://127.0.0.2:{relay.port}")
        ourselves = Ourselves([])
        office.runner.refit(
            Courier(settings, hostname="mx.us.test", resolver=office.resolver, ourselves=ourselves)
        )
        await office.enqueue("c@far.test")
        await office.settled()
        await far.heard("QUIT")
        assert [got.recipients for got in relay.messages] == [["c@far.test"]]
    assert len(far.messages) == 1


async def test_after_a_reload_destinations_that_are_away_are_tried_by_the_new_schedule(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(retry=(600,))
    await far.stop()
    settings = msgspec.structs.replace(office.settings, retry=(20,))
    office.runner.refit(
        Courier(settings, hostname="mx.us.test", resolver=office.resolver, ourselves=Ourselves([]))
    )
    await office.enqueue("b@far.test")
    await office.settled()
    away = office.runner._destinations.away("far.test")
    assert away is not None
    assert 18 <= away.until - office.clock() <= 22


async def test_when_it_is_back_everything_for_it_goes_at_once(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(retry=(60, 4 * HOUR))
    await far.stop()
    for number in range(5):
        await office.enqueue(f"r{number}@far.test")
    await office.settled()
    for _ in range(2):
        office.clock.advance(70)
        await office.settled()
    assert max((await office.waiting()).values()) > 100
    await far.start()
    await office.enqueue("new@far.test")
    await office.settled()
    assert len(far.messages) == 6
    assert await office.store.queue() == []


async def test_what_was_delivered_is_recorded_though_the_others_cannot_be_woken(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be sent once more."""
    office = await open_office()
    await far.stop()
    await office.enqueue("b@far.test")
    await office.settled()
    await far.start()
    await office.enqueue("new@far.test")
    fail_to_wake(office, monkeypatch)
    await office.settled()
    assert [got.recipients for got in far.messages] == [["new@far.test"]]
    assert list(await office.waiting()) == ["b@far.test"]


async def test_messages_to_a_destination_that_is_away_end_in_time(open_office: OpenOffice) -> None:
    office = await open_office(retry=(300,), expire=HOUR, delay_notice=600)
    for number in range(3):
        await office.enqueue(f"r{number}@gone.test")
    for _ in range(200):
        await office.settled()
        waiting = await office.waiting()
        if not waiting:
            break
        office.clock.advance(max(1, min(waiting.values())))
    notices = [subject(raw).split(":")[0] for raw in await office.inbox()]
    assert sorted(notices) == ["Could not be delivered"] * 3 + ["Delayed"] * 3


# --- a domain that has moved here ---------------------------------------------------------------------------


async def test_mail_for_a_domain_that_has_moved_here_is_delivered_here(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office()
    far.say("RCPT", "450 later")
    named = NewRecipient(address="b@far.test", notify="SUCCESS", orcpt="rfc822;team@us.test")
    recipients = (named, NewRecipient(address="no@far.test"))
    await office.enqueue("x", recipients=recipients, trace_id="t1")
    await office.settled()
    await office.store.apply(PutDomain(domain=Domain(name="far.test"), new=True))
    await office.store.apply(AddAccount(address="b@far.test", password="", created_at=0))
    office.clock.advance(120)
    asked = len(office.resolver.asked)
    await office.settled()
    (arrived,) = await office.inbox("b@far.test")
    top = b"Return-Path: <a@us.test>\r\nDelivered-To: b@far.test\r\nOriginal-Recipient: rfc822; team@us.test\r\n"
    assert arrived.startswith(top)
    assert [b"Action: delivered" in notice for notice in await office.inbox()] == [True]
    assert list(await office.waiting()) == ["no@far.test"]
    assert len(office.resolver.asked) == asked


async def test_recipients_who_are_the_same_here_get_one_copy(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    """Elsewhere local parts that differ in case are two; and an alias may lead to an account that is named too."""
    office = await open_office()
    far.say("RCPT", "450 later")
    await office.enqueue("b@far.test", "B@far.test", "us@far.test", trace_id="t1")
    await office.settled()
    await office.store.apply(PutDomain(domain=Domain(name="far.test"), new=True))
    for name in ("b", "c"):
        await office.store.apply(AddAccount(address=f"{name}@far.test", password="", created_at=0))
    alias = Alias(address="us@far.test", targets=("b@far.test", "c@far.test"))
    await office.store.apply(PutAlias(alias=alias, new=True))
    office.clock.advance(120)
    await office.settled()
    assert [len(await office.inbox(f"{name}@far.test")) for name in ("b", "c")] == [1, 1]
    assert await office.waiting() == {}


# --- damage ---------------------------------------------------------------------------------------------------

BIG = b"From: <a@us.test>\r\nSubject: large\r\n\r\n" + b"all work and no play\r\n" * 20_000


def damage(office: Office) -> None:
    (segment,) = (office.folder / "blobs").glob("*.seg")
    os.truncate(segment, 1000)


async def test_a_damaged_message_has_an_end_and_its_sender_hears_of_it(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(expire=5 * HOUR, delay_notice=HOUR)
    await office.enqueue("b@far.test", content=BIG)
    damage(office)
    await office.settled()
    waits = await office.only()
    assert waits.recipients[0].last_reply == str(DAMAGED)
    office.clock.advance(HOUR)
    await office.settled()
    assert [b"Action: delayed" in notice for notice in await office.inbox()] == [True]
    office.clock.advance(4 * HOUR)
    await office.settled()
    assert await office.waiting() == {}
    last = (await office.inbox())[-1]
    assert b"Action: failed" in last
    assert b"The message is damaged in the store here" in last
    assert far.messages == []


async def test_what_is_not_damaged_any_more_goes_out(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    await office.enqueue("b@far.test", content=BIG)
    (segment,) = (office.folder / "blobs").glob("*.seg")
    aside = segment.read_bytes()
    damage(office)
    await office.settled()
    segment.write_bytes(aside)
    office.clock.advance(HOUR)
    await office.settled()
    assert len(far.messages) == 1
    assert await office.waiting() == {}


async def test_a_damaged_message_for_a_domain_that_is_here_ends_too(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(expire=HOUR, delay_notice=0)
    await office.store.apply(PutDomain(domain=Domain(name="far.test"), new=True))
    await office.store.apply(AddAccount(address="b@far.test", password="", created_at=0))
    await office.enqueue("b@far.test", content=BIG)
    damage(office)
    await office.settled()
    assert "damaged" in (await office.only()).recipients[0].last_reply
    office.clock.advance(HOUR)
    await office.settled()
    assert await office.waiting() == {}
    assert [b"Action: failed" in notice for notice in await office.inbox()] == [True]


async def test_a_store_that_is_away_is_no_damage(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its failure notice waits too, so that it can bring the message back whole."""
    office = await open_office(expire=HOUR, delay_notice=0)
    await office.enqueue("b@far.test", content=BIG)

    async def away(*_: object) -> bytes:
        raise StoreUnavailable("the objects are away")

    async def chunks(*_: object) -> AsyncIterator[bytes]:
        raise StoreUnavailable("the objects are away")
        yield b""

    with monkeypatch.context() as patched:
        for name, stand_in in (("read", away), ("whole", away), ("chunks", chunks)):
            patched.setattr(office.store, name, stand_in)
        await office.settled()
        assert "cannot give the message now" in (await office.only()).recipients[0].last_reply
        office.clock.advance(HOUR)
        await office.settled()
        assert list(await office.waiting()) == ["b@far.test"]
    office.clock.advance(HOUR)
    await office.settled()
    assert len(far.messages) == 1 or b"Subject: large" in (await office.inbox())[-1]


# --- limits, stopping, faults ---------------------------------------------------------------------------------


async def test_concurrency_is_bounded_in_all_and_per_destination(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(concurrency=5, per_destination=2)
    far.pause = asyncio.Event()
    for number in range(8):
        await office.enqueue(f"r{number}@far.test")
        await office.enqueue(f"r{number}@other.test")
    await office.runner.start()
    for _ in range(4):
        await far.heard("DATA")
        await asyncio.sleep(0.01)
        counts = list(office.runner._running.values())
        assert len(counts) <= 5
        assert max(counts.count("far.test"), counts.count("other.test")) <= 2
    far.pause.set()
    async with asyncio.timeout(5):
        while await office.store.queue():
            await asyncio.sleep(0.01)
    assert far.most_open <= 5
    assert len(far.messages) == 16


async def test_new_mail_is_delivered_without_being_asked(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office()
    await office.runner.start()
    await office.enqueue("b@far.test")
    await far.heard("DATA")


async def test_stopping_lets_a_delivery_end(open_office: OpenOffice, far: FakeMailServer) -> None:
    office = await open_office()
    far.pause = asyncio.Event()
    await office.enqueue("b@far.test")
    await office.runner.start()
    await far.heard("DATA")
    stopping = asyncio.ensure_future(office.runner.stop())
    await asyncio.sleep(0)
    await office.enqueue("late@far.test")
    far.pause.set()
    await stopping
    assert [got.recipients for got in far.messages] == [["b@far.test"]]
    assert list(await office.waiting()) == ["late@far.test"]


async def test_stopping_does_not_wait_for_ever(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTBOUND_DRAIN", 0.02)
    office = await open_office()
    far.say("MAIL", None)
    await office.enqueue("b@far.test")
    await office.runner.start()
    await far.heard("MAIL")
    await office.runner.stop()
    one = (await office.only()).recipients[0]
    assert one.state.value == "waiting"
    assert "4.3.2" in one.last_reply


async def test_a_full_disk_holds_the_bounce_but_not_the_outcome_of_others(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await open_office()
    far.say("RCPT TO:<b@", "550 5.1.1 nobody here")
    await office.enqueue("b@far.test", "c@far.test")
    commit = office.store.commit

    async def full(*ops: object) -> list[object]:
        if any(not isinstance(op, RecordOutcomes) and type(op).__name__ == "AddEmail" for op in ops):
            raise StoreUnavailable("disk full")
        return await commit(*ops)  # type: ignore[arg-type]

    monkeypatch.setattr(office.store, "commit", full)
    await office.settled()
    assert list(await office.waiting()) == ["b@far.test"]
    monkeypatch.setattr(office.store, "commit", commit)
    office.clock.advance(60)
    await office.settled()
    assert len(await office.inbox()) == 1
    assert len(far.messages) == 1


async def test_a_fault_in_a_notice_sends_nothing_twice(open_office: OpenOffice, far: FakeMailServer) -> None:
    far.say("RCPT TO:<no@", "550 5.1.1 unknown")
    office = await open_office()

    async def broken(notice: Notification) -> Sequence[Op[Any]]:
        raise RuntimeError("a notice that nobody thought of")

    office.runner._carry = broken
    await office.enqueue("b@far.test", "no@far.test")
    await office.settled()
    assert await office.waiting() == {"no@far.test": limits.OUTBOUND_AWAY_MOST}
    office.runner._carry = office.carry
    office.clock.advance(limits.OUTBOUND_LEASE)
    await office.settled()
    assert [got.recipients for got in far.messages] == [["b@far.test"]]
    (notice,) = await office.inbox()
    assert b"Final-Recipient: rfc822; no@far.test" in notice


async def test_a_notice_that_cannot_be_kept_does_not_hold_the_queue(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await open_office()
    await office.enqueue("b@null.test")
    commit = office.store.commit
    refused = 0

    async def over(*ops: object) -> list[object]:
        nonlocal refused
        if len(ops) > 2:
            refused += 1
            raise OverQuota("full")
        return await commit(*ops)  # type: ignore[arg-type]

    monkeypatch.setattr(office.store, "commit", over)
    await office.settled()
    assert refused == limits.DSN_TRIES
    assert await office.store.queue() == []


async def test_a_sender_who_is_gone_is_not_told(open_office: OpenOffice) -> None:
    office = await open_office()
    account = await office.store.account("a@us.test")
    assert account is not None
    await office.store.apply(RemoveAccount(account_id=account.account_id))
    await office.enqueue("b@null.test", trace_id="t1")
    await office.settled()
    assert await office.store.queue() == []
    told = [event.detail for event in await office.store.events(trace_id="t1") if event.kind == "told"]
    assert told == ["the sender cannot be told: its address leads nowhere"]


# --- backup MX -------------------------------------------------------------------------------------------------

BACKUP = """
    theirs.test.    MX 10 mx1.far.test.
    theirs.test.    MX 20 mx.us.test.
    mx1.far.test.   A  127.0.0.1
    mx.us.test.     A  127.0.0.9
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKUP_PROBE", 0.01)
    monkeypatch.setattr(limits, "BACKUP_PROBE_MOST", 0.02)


@pytest.mark.usefixtures("quick")
async def test_a_backup_hands_on_as_soon_as_the_primary_answers(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    office = await open_office(BACKUP)
    await office.backup_for("theirs.test")
    await far.stop()
    await office.runner.start()
    for number in range(3):
        await office.enqueue(f"r{number}@theirs.test")
    async with asyncio.timeout(5):
        while len(await _tried(office)) < 3:
            await asyncio.sleep(0.005)
    assert all(wait > 30 for wait in (await office.waiting()).values())
    await far.start()
    async with asyncio.timeout(5):
        while await office.store.queue():
            await asyncio.sleep(0.005)
    assert sorted(got.recipients[0] for got in far.messages) == [f"r{n}@theirs.test" for n in range(3)]


@pytest.mark.usefixtures("quick")
async def test_a_host_that_swallows_everything_does_not_hide_the_one_that_is_back(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    zone = BACKUP + "theirs.test. MX 5 silent.test.\nsilent.test. A 127.0.0.2"
    office = await open_office(zone)
    await office.backup_for("theirs.test")
    await far.stop()
    await office.enqueue("b@theirs.test")
    await office.settled()
    silent = FakeMailServer(address="127.0.0.2", port=far.port)
    silent.say("CONNECT", None)
    await silent.start()
    await far.start()
    route = await office.courier.route("theirs.test", backup=True)
    office.runner.backups.reached("theirs.test")
    office.runner.backups.unreached("theirs.test", route)
    async with asyncio.timeout(3):
        while (await office.waiting())["b@theirs.test"] > 0:
            await asyncio.sleep(0.005)
    await silent.stop()


@pytest.mark.usefixtures("quick")
async def test_the_primary_is_looked_for_again_when_its_mail_could_not_be_woken(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await open_office(BACKUP)
    await office.backup_for("theirs.test")
    await far.stop()
    await office.runner.start()
    await office.enqueue("b@theirs.test")
    async with asyncio.timeout(5):
        while not await _tried(office):
            await asyncio.sleep(0.005)
    fail_to_wake(office, monkeypatch, times=1)
    await far.start()
    async with asyncio.timeout(5):
        while await office.store.queue():
            await asyncio.sleep(0.005)
    assert len(far.messages) == 1


async def _tried(office: Office) -> list[str]:
    return [one.address for m in await office.store.queue() for one in m.recipients if one.attempts]


@pytest.mark.usefixtures("quick")
async def test_a_backup_remembers_over_a_restart(
    open_office: OpenOffice, far: FakeMailServer, tmp_path: Path
) -> None:
    office = await open_office(BACKUP)
    await office.backup_for("theirs.test")
    await far.stop()
    await office.enqueue("b@theirs.test")
    await office.settled()
    await office.close()
    await far.start()
    again = await open_office(BACKUP, clock=office.clock)
    await again.runner.start()
    async with asyncio.timeout(5):
        while await again.store.queue():
            await asyncio.sleep(0.005)
    assert len(far.messages) == 1


async def test_the_primarys_own_connection_is_a_sign(
    open_office: OpenOffice, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACKUP_PROBE", 1000.0)
    office = await open_office(BACKUP)
    await office.backup_for("theirs.test")
    await far.stop()
    await office.enqueue("b@theirs.test")
    await office.settled()
    await office.runner.start()
    await far.start()
    office.runner.backups.peer_seen("192.0.2.1")
    assert not any(watched.seen.is_set() for watched, _ in office.runner.backups._watched.values())
    office.runner.backups.peer_seen("127.0.0.1")
    await far.heard("DATA")


async def test_a_backup_that_is_best_in_the_list_waits(open_office: OpenOffice) -> None:
    office = await open_office("theirs.test. MX 10 mx.us.test.\nmx.us.test. A 127.0.0.9")
    await office.backup_for("theirs.test")
    await office.enqueue("b@theirs.test")
    await office.settled()
    assert list(await office.waiting()) == ["b@theirs.test"]


async def test_what_is_no_backup_domain_any_more_bounces_as_a_loop(open_office: OpenOffice) -> None:
    office = await open_office("theirs.test. MX 10 mx.us.test.\nmx.us.test. A 127.0.0.9")
    await office.enqueue("b@theirs.test")
    await office.settled()
    (notice,) = await office.inbox()
    assert b"Status: 5.4.6" in notice


async def test_backup_domains_watched_are_bounded(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACKUP_PROBES", 1)
    office = await open_office()
    await office.store.apply(PutDomain(domain=Domain(name="x.test"), new=True))
    office.runner.backups.unreached("one.test")
    office.runner.backups.unreached("two.test")
    assert list(office.runner.backups._watched) == ["one.test"]


async def test_nothing_is_given_up_while_the_clock_cannot_be_trusted(
    open_office: OpenOffice, far: FakeMailServer
) -> None:
    """It leaps a year ahead for a minute: what waits is due at once, and what fails then waits on."""
    office = await open_office(retry=(HOUR,), expire=5 * 24 * HOUR, delay_notice=0)
    counted = FakeClock(1000.0)
    steady = SteadyClock(office.clock, counted, watched=0.0)
    office.runner._in_force = in_force(lambda: office.settings, steady)
    far.say("RCPT", "451 later")
    await office.enqueue("x@far.test")
    await office.settled()
    leap = 365 * 24 * HOUR
    office.clock.now += leap
    await office.settled()
    (waiting,) = (await office.only()).recipients
    assert (waiting.state, waiting.attempts) == (RecipientState.WAITING, 2)
    office.clock.now -= leap
    await wake_misplanned(office.store, office.settings, office.clock())
    await office.settled()
    assert (await office.only()).recipients[0].state is RecipientState.WAITING
    for clock in (office.clock, counted):
        clock.advance(6 * 24 * HOUR)
    await office.settled()
    assert len(await office.inbox()) == 1  # the time is over now: its sender hears of it
