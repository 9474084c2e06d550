"""Addresses that an account has written to, for its composer (docs/jmap-extensions.md); `inbound` learns them."""

from __future__ import annotations

from typing import Any

from posthouse import limits
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.method import Arguments


class DestroyArguments(Arguments, kw_only=True):
    """`LearntAddress/destroy`: some of them, or `everything`."""

    emails: list[str] | None = None
    everything: bool = False


async def get(context: Context, arguments: Arguments) -> dict[str, Any]:
    """`LearntAddress/get`: all of them, best first."""
    number = context.account_number(arguments.account_id)
    found = await context.services.learnt_addresses.of(number)
    rows = [
        {"email": each.email, "name": each.name or None, "written": each.written, "lastAt": int(each.at)}
        for each in found
    ]
    return {"accountId": arguments.account_id, "list": rows}


async def destroy(context: Context, arguments: DestroyArguments) -> dict[str, Any]:
    """`LearntAddress/destroy`: forget them; what is written to again is learnt again. MethodError invalidArguments."""
    number = context.account_number(arguments.account_id)
    if (arguments.emails is None) != arguments.everything:
        raise MethodError("invalidArguments", "emails or everything, one of them")
    if arguments.emails is not None and len(arguments.emails) > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} addresses")
    gone = await context.services.learnt_addresses.forget(number, arguments.emails)
    return {"accountId": arguments.account_id, "destroyed": gone}
