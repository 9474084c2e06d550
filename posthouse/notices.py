"""Where inbound and outbound meet: delivery notices become mail, and mail that cannot be delivered becomes notices.

`inbound` knows what happened to a recipient, `outbound.dsn` how that is written (RFC 3464), and a notice is delivered
like any mail: by `inbound.deliver`, from the null reverse-path (RFC 5321 §6.1), to one address, never to a second.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.inbound.mail import Mail, MailRecipient, Via, new_trace_id
from posthouse.inbound.notices import Notice, NoticeKind
from posthouse.inbound.received import received_field
from posthouse.outbound.dsn import DsnRecipient, DsnRequest, Notification, compose_dsn
from posthouse.store.interface import Op, Store
from posthouse.store.model import Content

Operations = Callable[[Mail, bytes], Awaitable[list[Op[Any]]]]
"""`Deliverer.operations`."""

_ACTIONS: Final = {
    NoticeKind.FAILED: "failed",
    NoticeKind.DELIVERED: "delivered",
    NoticeKind.EXPANDED: "expanded",
}


async def carry(notification: Notification, hostname: str, operations: Operations) -> Sequence[Op[Any]]:
    """The operations that deliver a notice; none: it has no way to go."""
    mail = Mail(
        trace_id=notification.trace_id,
        reverse_path=notification.reverse_path,
        recipients=(MailRecipient(notification.to, orcpt=notification.orcpt),),
        content=Content.of(notification.raw),
        received_at=notification.at,
        smtputf8=notification.smtputf8,
        body=notification.body,
        via=Via.LOCAL,
        protocol="local",
    )
    return await operations(mail, received_field(mail, hostname, show_client=False))


async def notify(
    mail: Mail,
    notices: Sequence[Notice],
    hostname: str,
    operations: Operations,
    store: Store,
    now: Callable[[], float] = time.time,
) -> None:
    """Write to the sender of a message what became of recipients; returns when that is durable.

    Raises OverQuota, NotFound and StoreUnavailable: then the sender was not told.
    """
    at = now()
    for start in range(0, len(notices), limits.DSN_RECIPIENTS):
        request = DsnRequest(
            hostname=hostname,
            to=mail.reverse_path,
            recipients=tuple(map(_recipient, notices[start : start + limits.DSN_RECIPIENTS])),
            original=mail.content.beginning(),
            original_size=mail.content.size,
            arrived_at=mail.received_at,
            at=at,
            unique=new_trace_id(at),
            ret=mail.ret,
            envid=mail.envid,
            deliver_by=mail.deliver_by if mail.by_mode else 0.0,
        )
        ops = await carry(compose_dsn(request), hostname, operations)
        if ops:
            await store.commit(*ops)


def _recipient(notice: Notice) -> DsnRecipient:
    return DsnRecipient(
        action=_ACTIONS[notice.kind],
        address=notice.address or notice.recipient.address,
        reply=notice.reply,
        orcpt=notice.recipient.orcpt,
    )
