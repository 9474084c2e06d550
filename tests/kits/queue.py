"""What every engine must do with the outbound queue."""

from __future__ import annotations

import asyncio

import pytest

from posthouse.errors import Conflict, NotFound
from posthouse.store.interface import (
    ChangeQueued,
    Enqueue,
    Expunge,
    LeaseDue,
    RecordOutcomes,
    ReleaseLease,
    Store,
    WakeDestination,
)
from posthouse.store.model import Content, Lease, NewQueued, NewRecipient, Outcome, RecipientState
from tests.kits.engine import EngineUnderTest, furnish


async def enqueue(store: Store, *addresses: str, due: float = 0.0, held: bool = False) -> int:
    recipients = tuple(NewRecipient(address=each, next_attempt_at=due, held=held) for each in addresses)
    message = NewQueued(trace_id="t", reverse_path="me@example.test", recipients=recipients, created_at=1.0)
    return await store.apply(Enqueue(message=message, content=Content.of(b"the message"), prefix=b"R: 1\r\n"))


async def lease(store: Store, now: float = 10.0, limit: int = 100, **more: object) -> list[Lease]:
    op = LeaseDue(holder="test", now=now, until=now + 60, limit=limit, **more)  # type: ignore[arg-type]
    return await store.apply(op)


async def record(
    store: Store, taken: Lease, state: RecipientState, next_attempt_at: float = 0.0, at: float = 11.0
) -> None:
    outcomes = tuple(
        Outcome(
            recipient_id=each.recipient_id, state=state, at=at, next_attempt_at=next_attempt_at, reply="r"
        )
        for each in taken.message.recipients
    )
    await store.apply(RecordOutcomes(queue_id=taken.message.queue_id, token=taken.token, outcomes=outcomes))


def names(leases: list[Lease]) -> list[tuple[int, list[str]]]:
    return [(each.message.queue_id, [r.address for r in each.message.recipients]) for each in leases]


class QueueKit:
    """The outbound queue."""

    async def test_the_queue_is_read_page_by_page(self, engine: EngineUnderTest) -> None:
        store = engine.store
        ids = sorted([await enqueue(store, f"{name}@one.test") for name in "abc"])
        assert [each.queue_id for each in await store.queue(limit=2)] == ids[:2]
        assert [each.queue_id for each in await store.queue(after=ids[1])] == ids[2:]
        one = await store.queue(after=ids[0], destination="one.test", address="c@one.test")
        assert [each.recipients[0].address for each in one] == ["c@one.test"]

    async def test_a_time_that_the_sender_set_is_kept(self, engine: EngineUnderTest) -> None:
        """RFC 2852."""
        store = engine.store
        recipients = (NewRecipient(address="a@one.test"),)
        for by in ({"deliver_by": 1_793_613_600.5, "by_mode": "RT"}, {}):
            message = NewQueued(trace_id="t", reverse_path="", recipients=recipients, created_at=1.0, **by)  # type: ignore[arg-type]
            await store.apply(Enqueue(message=message, content=Content.of(b"x"), prefix=b""))
        first, second = await store.queue()
        assert (first.deliver_by, first.by_mode) == (1_793_613_600.5, "RT")
        assert (second.deliver_by, second.by_mode) == (0.0, "")
        assert sorted(each.message.by_mode for each in await lease(store)) == ["", "RT"]

    async def test_leases_are_by_message_and_destination_oldest_first(self, engine: EngineUnderTest) -> None:
        store = engine.store
        late = await enqueue(store, "a@two.test", due=5.0)
        first = await enqueue(store, "a@one.test", "b@ONE.test", "c@two.test", due=1.0)
        await enqueue(store, "x@three.test", due=99.0)
        taken = await lease(store)
        assert sorted(names(taken)[:2]) == [(first, ["a@one.test", "b@ONE.test"]), (first, ["c@two.test"])]
        assert names(taken)[2:] == [(late, ["a@two.test"])]
        assert {each.destination for each in taken} == {"one.test", "two.test"}
        assert len({each.token for each in taken}) == 3
        assert await lease(store) == [], "nobody gets it twice"
        message = taken[0].message
        assert await store.read(message.stored) == b"R: 1\r\nthe message"

    async def test_what_is_put_off_untried_counts_no_attempt(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await enqueue(store, "a@one.test")
        for tried, attempts in ((True, 1), (False, 1), (True, 2)):
            (taken,) = await lease(store)
            outcome = Outcome(recipient_id=1, state=RecipientState.WAITING, at=11.0, tried=tried)
            queue_id = taken.message.queue_id
            await store.apply(RecordOutcomes(queue_id=queue_id, token=taken.token, outcomes=(outcome,)))
            (message,) = await store.queue()
            assert message.recipients[0].attempts == attempts

    async def test_limits_and_exceptions_of_a_lease(self, engine: EngineUnderTest) -> None:
        store = engine.store
        for i in range(5):
            await enqueue(store, f"a{i}@one.test", f"b{i}@two.test", due=float(i))
        assert len(await lease(store, limit=3)) == 3
        rest = await lease(store, except_destinations=frozenset({"one.test"}))
        assert {each.destination for each in rest} == {"two.test"}
        assert len(await lease(store, per_destination=1)) == 1

    async def test_a_backlog_of_one_destination_hides_nothing(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await asyncio.gather(*(enqueue(store, f"u{i}@slow.test", due=1.0) for i in range(120)))
        wanted = await enqueue(store, "x@quick.test", due=2.0)
        taken = await lease(store, limit=10, except_destinations=frozenset({"slow.test"}))
        assert names(taken) == [(wanted, ["x@quick.test"])]

    async def test_final_outcomes_empty_the_queue(self, engine: EngineUnderTest) -> None:
        store = engine.store
        queue_id = await enqueue(store, "a@one.test", "b@two.test")
        first, second = await lease(store)
        await record(store, first, RecipientState.DELIVERED)
        left = await store.queued(queue_id)
        assert left is not None
        assert [each.address for each in left.recipients] == [second.message.recipients[0].address]
        await record(store, second, RecipientState.FAILED)
        assert await store.queued(queue_id) is None
        assert await store.queue() == []
        assert await store.next_due() is None

    async def test_a_retry_is_due_at_its_time_with_its_story(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await enqueue(store, "a@one.test")
        (taken,) = await lease(store)
        assert await store.next_due() == 70.0, "when the lease ends"
        await record(store, taken, RecipientState.WAITING, next_attempt_at=500.0)
        assert await store.next_due() == 500.0
        assert await lease(store, now=499.0) == []
        store = await engine.reopen()
        (again,) = await lease(store, now=500.0)
        recipient = again.message.recipients[0]
        assert (recipient.attempts, recipient.last_at, recipient.last_reply) == (1, 11.0, "r")

    async def test_a_late_holder_is_fenced_off(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await enqueue(store, "a@one.test")
        (late,) = await lease(store, now=10.0)
        assert await lease(store, now=69.0) == []
        (holder,) = await lease(store, now=71.0)
        assert holder.token != late.token
        with pytest.raises(Conflict):
            await record(store, late, RecipientState.DELIVERED)
        await record(store, holder, RecipientState.DELIVERED)
        with pytest.raises(Conflict):
            await record(store, holder, RecipientState.DELIVERED)

    async def test_a_lease_given_back_is_due_again(self, engine: EngineUnderTest) -> None:
        store = engine.store
        queue_id = await enqueue(store, "a@one.test", due=3.0)
        (taken,) = await lease(store)
        await store.apply(ReleaseLease(queue_id=queue_id, token=taken.token))
        assert await store.next_due() == 3.0
        (again,) = await lease(store)
        assert again.message.recipients[0].attempts == 0

    async def test_leases_of_a_dead_process_end_with_it(self, engine: EngineUnderTest) -> None:
        queue_id = await enqueue(engine.store, "a@one.test")
        assert len(await lease(engine.store)) == 1
        store = await engine.reopen()
        assert names(await lease(store)) == [(queue_id, ["a@one.test"])]

    async def test_held_recipients_wait_for_a_hand(self, engine: EngineUnderTest) -> None:
        store = engine.store
        queue_id = await enqueue(store, "a@one.test", "b@one.test", held=True)
        assert await lease(store) == []
        assert await store.next_due() is None
        assert (
            await store.apply(ChangeQueued(queue_id=queue_id, action="release", now=5.0, recipient_id=1)) == 1
        )
        assert names(await lease(store)) == [(queue_id, ["a@one.test"])]
        assert await store.apply(ChangeQueued(queue_id=queue_id, action="drop", now=5.0)) == 1
        left = await store.queued(queue_id)
        assert left is not None
        assert [each.state for each in left.recipients] == [RecipientState.LEASED]

    async def test_an_administrators_hand(self, engine: EngineUnderTest) -> None:
        store = engine.store
        queue_id = await enqueue(store, "a@one.test", due=900.0)

        async def change(action: str) -> int:
            return await store.apply(ChangeQueued(queue_id=queue_id, action=action, now=20.0))

        assert await change("hold") == 1
        assert await store.next_due() is None
        assert await change("retry") == 1
        assert await store.next_due() == 20.0
        assert await change("fail") == 1
        (taken,) = await lease(store, now=21.0)
        assert taken.message.recipients[0].last_attempt
        await store.apply(ReleaseLease(queue_id=queue_id, token=taken.token))
        assert await change("drop") == 1
        assert await store.queue() == []
        with pytest.raises(NotFound):
            await change("drop")

    async def test_waking_a_destination(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await enqueue(store, "a@one.test", "b@two.test", due=900.0)
        assert await store.apply(WakeDestination(destination="ONE.test", now=5.0)) == 1
        assert [each.destination for each in await lease(store)] == ["one.test"]
        assert await store.apply(WakeDestination(destination="", now=6.0)) == 1
        assert [each.destination for each in await lease(store)] == ["two.test"]

    async def test_waking_what_waits_too_long(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await enqueue(store, "a@one.test", due=900.0)
        await enqueue(store, "b@one.test", due=9_000.0)
        await enqueue(store, "c@two.test", due=90_000.0)
        assert await store.apply(WakeDestination(destination="", now=5.0, later_than=1_000.0)) == 2
        assert await store.next_due() == pytest.approx(5.0)
        woken = [one.address for each in await lease(store, now=6.0) for one in each.message.recipients]
        assert sorted(woken) == ["b@one.test", "c@two.test"]
        assert await store.next_due() != 5.0

    async def test_watchers_hear_what_may_be_due(self, engine: EngineUnderTest) -> None:
        store = engine.store
        heard: list[bool] = []
        end = store.watch_queue(lambda: heard.append(True))
        await enqueue(store, "a@one.test")
        assert heard
        end()
        before = len(heard)
        await enqueue(store, "b@one.test")
        assert len(heard) == before

    async def test_the_queue_is_listed_by_what_one_looks_for(self, engine: EngineUnderTest) -> None:
        store = engine.store
        first = await enqueue(store, "a@one.test", "c@two.test")
        second = await enqueue(store, "b@two.test")

        async def ids(**wanted: object) -> list[int]:
            return [each.queue_id for each in await store.queue(**wanted)]  # type: ignore[arg-type]

        assert await ids() == [first, second]
        assert await ids(destination="TWO.test") == [first, second]
        assert await ids(address="b@two.test") == [second]
        assert await ids(address="me@example.test", limit=1) == [first]

    async def test_a_stored_message_can_be_sent_on(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        inbox = await desk.box()
        (added,) = await desk.add(inbox, "forward me", prefix=b"Delivered-To: ann\r\n")
        (stored,) = await desk.store.stored(desk.id, [added.email_id])
        assert stored is not None
        message = NewQueued(
            trace_id="t", reverse_path="", recipients=(NewRecipient(address="x@y.test"),), created_at=1.0
        )
        queue_id = await desk.store.apply(Enqueue(message=message, content=stored, prefix=b"Resent: 1\r\n"))
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=inbox.mailbox_id, force=True))
        await engine.settle()
        await engine.reopen()
        queued = await desk.store.queued(queue_id)
        assert queued is not None
        whole = await desk.store.read(queued.stored)
        assert whole.startswith(b"Resent: 1\r\nDelivered-To: ann\r\nSubject: forward me")
        assert len(whole) == queued.stored.size
        (taken,) = await lease(desk.store)
        await record(desk.store, taken, RecipientState.DELIVERED)
        await engine.reopen()
        with pytest.raises(NotFound):
            await desk.store.read(queued.stored)
