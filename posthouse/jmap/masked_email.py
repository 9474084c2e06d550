"""MaskedEmail: masked addresses for their owner and for password managers.

JMAP's extension `https://www.fastmail.com/dev/maskedemail` as its makers publish it (docs/jmap-extensions.md says what
is left open there and how it is here).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from posthouse import limits
from posthouse.accounts.masked_addresses import PrefixUnfit, TooLarge, TooManyLately, Wish
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.jmap import dates, ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.item_type import ItemType
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import SetAnswer, SetArguments, check_set
from posthouse.store.account_model import Item
from posthouse.store.masked_model import KIND, MaskedState, decode

Object = dict[str, Any]
LETTER: Final = "K"


class MaskedEmail(msgspec.Struct, kw_only=True, rename="camel"):
    """Its properties."""

    email: str = ""
    state: Literal["pending", "enabled", "disabled", "deleted"] = "pending"
    for_domain: str | None = ""
    description: str | None = ""
    last_message_at: str | None = None
    created_at: str = ""
    created_by: str = ""
    url: str | None = None


def shown(value: Object) -> Object:
    """As it is kept → as clients see it."""
    last = value["lastMessageAt"]
    return value | {
        "createdAt": dates.utc_date(value["createdAt"]),
        "lastMessageAt": dates.utc_date(last) if last is not None else None,
    }


TYPE: Final = ItemType(
    KIND,
    LETTER,
    MaskedEmail,
    server_set=frozenset({"email", "lastMessageAt", "createdAt", "createdBy"}),
    most=limits.MASKED_ADDRESSES,
    show=shown,
)


async def set_masked(context: Context, arguments: SetArguments) -> SetAnswer:
    """MaskedEmail/set."""
    account_id = context.account_number(arguments.account_id)
    old_state = str(await TYPE.state(context, account_id))
    check_set(arguments, old_state)
    answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
    answer.created, answer.not_created = await _create(context, arguments.create or {})
    answer.updated, answer.not_updated = await _update(context, account_id, arguments)
    answer.destroyed, answer.not_destroyed = await _destroy(context, account_id, arguments)
    answer.new_state = str(await TYPE.state(context, account_id))
    answer.tidy()
    return answer


async def _create(context: Context, create: dict[str, Object]) -> tuple[Object, Object]:
    made: Object = {}
    refused: Object = {}
    creator = await _creator(context) if create else ""
    for creation_id, given in create.items():
        try:
            item = await _made(context, given, creator)
        except Rejected as fault:
            refused[creation_id] = fault.error()
            continue
        whole = shown(TYPE.object_of(item))
        context.created[creation_id] = whole["id"]
        made[creation_id] = {k: v for k, v in whole.items() if k not in given or given[k] != v}
    return made, refused


async def _made(context: Context, given: Object, creator: str) -> Item:
    prefix = given.get("emailPrefix")
    if not isinstance(prefix, str | None):
        raise invalid("a prefix is text", "emailPrefix")
    whole = TYPE.shaped({k: v for k, v in given.items() if k != "emailPrefix"}, None)
    wish = Wish(
        state=MaskedState(whole["state"]),
        for_domain=whole["forDomain"] or "",
        description=whole["description"] or "",
        url=whole["url"],
        created_by=creator,
        prefix=prefix or "",
    )
    try:
        return await context.services.masked_addresses.make(context.account, wish)
    except (PrefixUnfit, Conflict) as fault:
        raise invalid(str(fault), "emailPrefix") from fault
    except TooLarge as fault:
        raise Rejected("tooLarge", str(fault)) from fault
    except TooManyLately as fault:
        raise Rejected("rateLimit", fault.public) from fault  # RFC 8620 §5.3
    except OverQuota as fault:
        raise Rejected("overQuota", fault.public) from fault
    except NotFound as fault:
        raise Rejected("forbidden", "the domain for masked addresses is none of ours") from fault


async def _creator(context: Context) -> str:
    """The name of what made it, as the account's owner has named it: the token's, or the app password's."""
    via, number = context.via, context.account.account_id
    if via.mechanism == "SESSION":
        return "Webmail"
    if context.app_password_id is not None:
        passwords = await context.store.app_passwords(number)
        return next((each.name for each in passwords if each.app_password_id == context.app_password_id), "")
    held = await context.store.credentials(number)
    return next((each.name for each in held if each.credential_id == via.credential_id), "")


async def _update(context: Context, account_id: int, arguments: SetArguments) -> tuple[Object, Object]:
    changed: Object = {}
    refused: Object = {}
    for name, patch in context.by_id(arguments.update).items():
        try:
            changed[name] = await _patched(context, account_id, name, patch)
        except Rejected as fault:
            refused[name] = fault.error()
    return changed, refused


async def _patched(context: Context, account_id: int, name: str, patch: Object) -> Object | None:
    # The prefix is looked at when an address is made, and passed over afterwards.
    patch = {k: v for k, v in patch.items() if k != "emailPrefix"}
    for _ in range(limits.JMAP_RETRIES):
        item = await _item(context, account_id, name)
        old = shown(TYPE.object_of(item))
        new = TYPE.shaped(apply_patch(old, patch), old)
        if new["state"] == "pending" and old["state"] != "pending":
            raise invalid("it is in use, and is pending never again", "state")
        masked = msgspec.structs.replace(
            decode(item.data),
            state=MaskedState(new["state"]),
            for_domain=new["forDomain"] or "",
            description=new["description"] or "",
            url=new["url"],
        )
        try:
            kept = await context.services.masked_addresses.put(item, masked)
        except TooLarge as fault:
            raise Rejected("tooLarge", str(fault)) from fault
        except (Conflict, NotFound):
            continue
        whole = shown(TYPE.object_of(kept))
        return {k: v for k, v in whole.items() if v != new.get(k) and k != "id"} or None
    raise Temporary("it is being changed by somebody else, try again")


async def _item(context: Context, account_id: int, name: str) -> Item:
    number = ids.decode(LETTER, context.resolve_id(name) or "")
    found = await context.store.items(account_id, KIND, [number] if number is not None else [])
    if not found:
        raise Rejected("notFound")
    return found[0]


async def _destroy(context: Context, account_id: int, arguments: SetArguments) -> tuple[list[str], Object]:
    gone: list[str] = []
    refused: Object = {}
    for name in context.ids_of(arguments.destroy):
        try:
            item = await _item(context, account_id, name)
            await context.services.masked_addresses.remove(account_id, item.item_id)
            gone.append(name)
        except (Rejected, NotFound):
            refused[name] = {"type": "notFound"}
    return gone, refused
