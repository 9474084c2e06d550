"""Mail in the queue for a domain whose mailboxes are here: no other host is needed.

So it is when a domain moves to this server while mail for it still waits to be sent to the old one. Its MX records
lead to us now, and by RFC 5321 §5.1 that would be a loop. And so it is with the copy for a mailbox that was full when
the message came (`inbound.room`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from posthouse.outbound.attempt import Report
from posthouse.outbound.content import Unreadable, whole_of
from posthouse.outbound.dsn import Notification
from posthouse.outbound.parcel import Delivery, Disposition
from posthouse.smtp.replies import Reply
from posthouse.store.interface import AddEmail, Op, Store
from posthouse.store.model import Lease

Carry = Callable[[Notification], Awaitable[Sequence[Op[Any]]]]
"""The operations that deliver a message here or queue it, to be part of a commit; none: it has no way to go."""

_HERE: Final = Reply(250, "2.1.5", "Delivered to a mailbox of this server")
_NOT_NOW: Final = Reply(
    451, "4.2.0", "The domain is on this server, but no mailbox takes it: unknown, or full"
)


async def bring_home(lease: Lease, store: Store, carry: Carry, now: float) -> tuple[Report, list[Op[Any]]]:
    """What delivers a lease's recipients here, and what that comes to once it is committed."""
    message = lease.message
    try:
        raw = await whole_of(store, message.stored, message.trace_id)
    except Unreadable as fault:
        deferred = [
            Delivery(recipient=one, disposition=Disposition.DEFERRED, reply=fault.reply, here=True)
            for one in message.recipients
        ]
        return Report(deliveries=tuple(deferred), route=None, reached=True), []
    operations: list[Op[Any]] = []
    reached = set[int]()
    deliveries = []
    for one in message.recipients:
        found = await carry(
            Notification(
                to=one.address,
                raw=raw,
                trace_id=message.trace_id,
                at=now,
                body=message.body,
                smtputf8=message.smtputf8,
                reverse_path=message.reverse_path,
                orcpt=one.orcpt,
            )
        )
        copies = {op.account_id for op in found if isinstance(op, AddEmail)}
        # Elsewhere they were two, or in another spelling; here an account that both lead to gets one copy.
        operations += [op for op in found if not (isinstance(op, AddEmail) and op.account_id in reached)]
        reached |= copies
        disposition = Disposition.DELIVERED if found else Disposition.DEFERRED
        reply = _HERE if found else _NOT_NOW
        deliveries.append(Delivery(recipient=one, disposition=disposition, reply=reply, here=True))
    return Report(deliveries=tuple(deliveries), route=None, reached=True), operations
