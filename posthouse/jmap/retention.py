"""How much mail would leave a mailbox at once (docs/jmap-extensions.md): asked before `retentionDays` is set."""

from __future__ import annotations

from typing import Any

from posthouse import limits
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.ids import MAILBOX, Id, UnsignedInt, decode
from posthouse.jmap.method import Arguments
from posthouse.store.retention import DAY, KEPT_ROLES


class CountArguments(Arguments, kw_only=True):
    """`Retention/count`."""

    mailbox_id: Id
    days: UnsignedInt


async def count(context: Context, arguments: CountArguments) -> dict[str, Any]:
    """`Retention/count`: the owner's to ask. MethodError notFound, invalidArguments."""
    number = context.account_number(arguments.account_id)
    if arguments.days > limits.RETENTION_DAYS:
        raise MethodError("invalidArguments", f"days: {limits.RETENTION_DAYS} at most")
    wanted = decode(MAILBOX, arguments.mailbox_id)
    box = next((each for each in await context.store.mailboxes(number) if each.mailbox_id == wanted), None)
    if box is None:
        raise MethodError("notFound", "there is no such mailbox")
    found = 0
    if arguments.days and box.role not in KEPT_ROLES:
        before = int(context.services.now()) - arguments.days * DAY
        found = await context.store.old_messages(number, box.mailbox_id, before)
    return {"accountId": arguments.account_id, "mailboxId": arguments.mailbox_id, "emails": found}
