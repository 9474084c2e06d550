"""Mail that was deleted and can be brought back (docs/jmap-extensions.md), for its owner."""

from __future__ import annotations

from typing import Any

from posthouse import limits
from posthouse.errors import OverQuota
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.ids import EMAIL, MAILBOX, Id, decode, encode
from posthouse.jmap.method import Arguments


class GetArguments(Arguments, kw_only=True):
    """`DeletedEmail/get`."""

    limit: int = 100
    since: int = 0
    """POSIX seconds: what was deleted before is left out."""


class RestoreArguments(Arguments, kw_only=True):
    """`DeletedEmail/restore`."""

    ids: list[Id]
    mailbox_id: Id | None = None
    """None: each goes where it was."""


class DestroyArguments(Arguments, kw_only=True):
    """`DeletedEmail/destroy`."""

    ids: list[Id]


async def get(context: Context, arguments: GetArguments) -> dict[str, Any]:
    """`DeletedEmail/get`: the latest first."""
    number = context.account_number(arguments.account_id)
    rows = await context.services.deleted_mail.listed(number, arguments.limit, arguments.since)
    return {
        "accountId": arguments.account_id,
        "list": [
            {
                "id": encode(EMAIL, row.id),
                "deletedAt": row.deleted_at,
                "receivedAt": row.received_at,
                "mailbox": row.mailbox,
                "size": row.size,
                "from": row.sender,
                "subject": row.subject,
            }
            for row in rows
        ],
    }


async def restore(context: Context, arguments: RestoreArguments) -> dict[str, Any]:
    """`DeletedEmail/restore`: all or none. MethodError notFound (the mailbox), overQuota, requestTooLarge."""
    number = context.account_number(arguments.account_id)
    into = ""
    if arguments.mailbox_id is not None:
        wanted = decode(MAILBOX, arguments.mailbox_id)
        found = [each for each in await context.store.mailboxes(number) if each.mailbox_id == wanted]
        if not found:
            raise MethodError("notFound", "there is no such mailbox")
        into = found[0].name
    try:
        back = await context.services.deleted_mail.restore(number, _numbers(arguments.ids), into)
    except OverQuota as fault:
        raise MethodError("overQuota", fault.public) from fault
    restored = [encode(EMAIL, email_id) for email_id in back]
    missing = [each for each in arguments.ids if each not in restored]
    return {"accountId": arguments.account_id, "restored": restored, "notFound": missing}


async def destroy(context: Context, arguments: DestroyArguments) -> dict[str, Any]:
    """`DeletedEmail/destroy`: for good. MethodError requestTooLarge."""
    number = context.account_number(arguments.account_id)
    gone = await context.services.deleted_mail.forget(number, _numbers(arguments.ids))
    return {"accountId": arguments.account_id, "destroyed": [encode(EMAIL, email_id) for email_id in gone]}


def _numbers(ids: list[Id]) -> list[int]:
    if len(ids) > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} emails")
    return [number for each in ids if (number := decode(EMAIL, each)) is not None]
