"""Identity (RFC 8621 §6): who one may write as. An account begins with one for its own address."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.identities import IDENTITY
from posthouse.errors import Conflict
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.header_forms import EmailAddress
from posthouse.jmap.item_type import ItemType, encoded
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    SetAnswer,
    SetArguments,
)
from posthouse.message.address import AddressError, parse_address
from posthouse.store.interface import PutItem


class Identity(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8621 §6."""

    name: str = ""
    email: str
    reply_to: list[EmailAddress] | None = None
    bcc: list[EmailAddress] | None = None
    text_signature: str = ""
    html_signature: str = ""
    may_delete: bool = True


async def _put(
    context: Context, account_id: int, new: dict[str, Any], old: dict[str, Any] | None
) -> dict[str, Any]:
    if old is None:
        await may_write_as(context, str(new["email"]))
    if len(encoded(new)) > limits.IDENTITY:
        raise Rejected("tooLarge", f"at most {limits.IDENTITY} octets")
    return new


async def may_write_as(context: Context, email: str) -> None:
    """Rejected forbiddenFrom unless the caller may send as the address (`*@domain`: as any of a domain)."""
    local, _, domain = email.rpartition("@")
    probe = f"any-address-of-it@{domain}" if local == "*" else email
    try:
        parse_address(probe)
    except AddressError as fault:
        raise invalid("this is no address", "email") from fault
    if not await context.services.directory.may_send_as(context.account, probe):
        raise Rejected("forbiddenFrom", f"you may not write as {email}")


TYPE: Final = ItemType(
    IDENTITY,
    "I",
    Identity,
    server_set=frozenset({"mayDelete"}),
    immutable=frozenset({"email"}),
    most=limits.JMAP_IDENTITIES,
    put=_put,
)
FIRST: Final = 0
"""The number of the identity that every account has: below all that are given out."""


async def _ensure_first(context: Context, account_id: int) -> None:
    """Make the account's own identity when it was never made."""
    if await TYPE.state(context, account_id):
        return
    account = context.account
    first = msgspec.to_builtins(Identity(name=account.display_name, email=account.address, may_delete=False))
    try:
        await context.store.apply(
            PutItem(
                account_id=account_id,
                kind=TYPE.kind,
                item_id=FIRST,
                new=True,
                data=encoded(first),
                unchanged_since=0,
            )
        )
    except Conflict:
        pass  # another request was faster


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """Identity/get."""
    await _ensure_first(context, context.account_number(arguments.account_id))
    return await TYPE.get(context, arguments)


async def changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """Identity/changes."""
    return await TYPE.changes(context, arguments)


async def set_identities(context: Context, arguments: SetArguments) -> SetAnswer:
    """Identity/set."""
    account_id = context.account_number(arguments.account_id)
    await _ensure_first(context, account_id)
    destroy = context.ids_of(arguments.destroy)
    staying = {each["id"] for each in await TYPE.objects(context, account_id) if not each["mayDelete"]}
    kept = [name for name in destroy if name in staying]
    allowed = [name for name in destroy if name not in kept]
    answer = await TYPE.set(context, msgspec.structs.replace(arguments, destroy=allowed or None))
    if kept:
        forbidden = {name: {"type": "forbidden", "description": "this identity stays"} for name in kept}
        answer.not_destroyed = (answer.not_destroyed or {}) | forbidden
    return answer


async def find(context: Context, account_id: int, name: str) -> dict[str, Any] | None:
    """One identity by its id."""
    await _ensure_first(context, account_id)
    return next((each for each in await TYPE.objects(context, account_id) if each["id"] == name), None)
