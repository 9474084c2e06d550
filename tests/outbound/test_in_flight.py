"""What is being tried is not begun a second time, whatever leases come of it."""

from __future__ import annotations

import msgspec

from posthouse.outbound.in_flight import InFlight
from posthouse.store.interface import RecordOutcomes
from posthouse.store.model import Lease, Outcome, RecipientState
from tests.outbound.office import Office
from tests.outbound.test_queue import OpenOffice, far, open_office

__all__ = ["far", "open_office"]


def outcomes(lease: Lease) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(recipient_id=each.recipient_id, state=RecipientState.DELIVERED, at=1.0)
        for each in lease.message.recipients
    )


async def lease_of(office: Office) -> Lease:
    await office.enqueue("x@far.test", "y@far.test")
    (lease,) = await office.runner._lease(office.clock(), 1)
    return lease


async def test_the_newer_lease_records(open_office: OpenOffice) -> None:
    flight, first = InFlight(), await lease_of(await open_office())
    newer = msgspec.structs.replace(first, token=first.token + 1, until=first.until + 1)
    assert flight.begin(first) is first
    assert (flight.begin(newer), flight.until(first)) == (None, newer.until)
    wanted = RecordOutcomes(queue_id=first.message.queue_id, token=newer.token, outcomes=outcomes(first))
    assert flight.record(first, outcomes(first)) == [wanted]
    assert flight.end(first) == []
    assert flight.begin(newer) is newer


async def test_a_lease_that_comes_after_that_is_given_back(open_office: OpenOffice) -> None:
    """An administrator wants it tried at once, in the moment in which the attempt ends."""
    flight, first = InFlight(), await lease_of(await open_office())
    newer = msgspec.structs.replace(first, token=first.token + 1)
    flight.begin(first)
    flight.record(first, outcomes(first))
    assert flight.begin(newer) is None
    assert flight.end(first) == [newer]


async def test_only_what_is_not_under_way_is_begun(open_office: OpenOffice) -> None:
    flight, both = InFlight(), await lease_of(await open_office())
    x, y = both.message.recipients

    def only(*some: object, token: int) -> Lease:
        message = msgspec.structs.replace(both.message, recipients=some)
        return msgspec.structs.replace(both, message=message, token=token)

    first = only(x, token=1)
    assert flight.begin(first) == first
    newer = msgspec.structs.replace(both, token=2)
    assert flight.begin(newer) == only(y, token=2)
    assert [op.token for op in flight.record(first, outcomes(first))] == [2]
    assert flight.end(first) == []
