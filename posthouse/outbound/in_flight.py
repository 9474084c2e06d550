"""The recipients that are being tried here.

A clock that leaps past the end of a lease makes its recipients due again while they are being tried. They are not
tried a second time beside that, and what comes of them is recorded by the newer lease.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse.store.interface import RecordOutcomes
from posthouse.store.model import Lease, Outcome


class InFlight:
    """By message and recipient: the latest lease."""

    def __init__(self) -> None:
        self._latest: dict[tuple[int, int], Lease] = {}
        self._recorded: dict[tuple[int, int], int] = {}
        """By which token the outcome was recorded."""

    def begin(self, lease: Lease) -> Lease | None:
        """Note one; what of it is not under way already."""
        message = lease.message
        keys = [(message.queue_id, each.recipient_id) for each in message.recipients]
        others = tuple(
            each for each, key in zip(message.recipients, keys, strict=True) if key not in self._latest
        )
        self._latest.update(dict.fromkeys(keys, lease))
        if len(others) == len(keys):
            return lease
        message = msgspec.structs.replace(message, recipients=others)
        return msgspec.structs.replace(lease, message=message) if others else None

    def record(self, lease: Lease, outcomes: Sequence[Outcome]) -> list[RecordOutcomes]:
        """What records the outcomes of a lease."""
        queue_id = lease.message.queue_id
        by_token: dict[int, list[Outcome]] = {}
        for outcome in outcomes:
            key = (queue_id, outcome.recipient_id)
            token = self._recorded[key] = self._latest.get(key, lease).token
            by_token.setdefault(token, []).append(outcome)
        return [
            RecordOutcomes(queue_id=queue_id, token=token, outcomes=tuple(some))
            for token, some in by_token.items()
        ]

    def until(self, lease: Lease) -> float:
        """When others may try its recipients."""
        message = lease.message
        latest = (self._latest.get((message.queue_id, each.recipient_id)) for each in message.recipients)
        return min((each.until for each in latest if each is not None), default=lease.until)

    def end(self, lease: Lease) -> list[Lease]:
        """It is over; newer leases that came after its outcome was recorded: nobody attends to them."""
        unattended = {}
        for each in lease.message.recipients:
            key = (lease.message.queue_id, each.recipient_id)
            latest, token = self._latest.pop(key, lease), self._recorded.pop(key, None)
            if token is not None and token != latest.token:
                unattended[latest.token] = latest
        return list(unattended.values())
