"""ShareNotification (RFC 9670 §3): what tells somebody that their rights to something have changed.

One for each object: a new one takes the place of an older one about the same object, with the rights that were before
that (RFC 9670 §6.3 advises it), so that nobody can bury a notification under others.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import dates, ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.item_type import ItemType, encoded
from posthouse.jmap.standard import (
    QueryAnswer,
    QueryArguments,
    QueryChangesAnswer,
    QueryChangesArguments,
    SetAnswer,
    SetArguments,
    check_set,
    check_sort,
    leaves,
    query_answer,
    query_changes_answer,
)
from posthouse.jmap.states import parse_state
from posthouse.store.interface import Op, PutItem, RemoveItem
from posthouse.store.model import Account

Object = dict[str, Any]
LETTER: Final = "N"
_SORTS: Final = ("created",)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, for whom it concerns."""

    object_type: str
    object_id: str
    name: str
    old_rights: dict[str, bool] | None
    new_rights: dict[str, bool] | None


class Entity(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9670 §3."""

    name: str
    email: str | None
    principal_id: str | None


class ShareNotification(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9670 §3."""

    created: str
    changed_by: Entity
    object_type: str
    object_account_id: str
    object_id: str
    old_rights: dict[str, bool] | None
    new_rights: dict[str, bool] | None
    name: str


TYPE: Final = ItemType("ShareNotification", LETTER, ShareNotification, most=limits.SHARE_NOTIFICATIONS)


async def operations(context: Context, owner: Account, other: int, told: Told) -> list[Op[Any]]:
    """What tells another account that `owner` has changed its rights; the oldest goes when there are too many."""
    account_id = ids.encode(ids.ACCOUNT, owner.account_id)
    items = await context.store.items(other, TYPE.kind)
    old_rights = told.old_rights
    gone = items[: max(0, len(items) + 1 - TYPE.most)]
    for item in items:
        each = TYPE.object_of(item)
        if (each["objectAccountId"], each["objectType"], each["objectId"]) == (
            account_id,
            told.object_type,
            told.object_id,
        ):
            old_rights = each["oldRights"]
            gone = [item]
    notification = ShareNotification(
        created=dates.utc_date(context.services.now()),
        changed_by=Entity(
            name=owner.display_name or owner.address,
            email=owner.address,
            principal_id=ids.encode(ids.PRINCIPAL, owner.account_id),
        ),
        object_type=told.object_type,
        object_account_id=account_id,
        object_id=told.object_id,
        old_rights=old_rights,
        new_rights=told.new_rights,
        name=told.name,
    )
    ops: list[Op[Any]] = [RemoveItem(account_id=other, kind=TYPE.kind, item_id=item.item_id) for item in gone]
    data = encoded(msgspec.to_builtins(notification))
    return [*ops, PutItem(account_id=other, kind=TYPE.kind, data=data)]


async def set_notifications(context: Context, arguments: SetArguments) -> SetAnswer:
    """ShareNotification/set: they are dismissed, and nothing else (RFC 9670 §3.3)."""
    account_id = context.account_number(arguments.account_id)
    check_set(arguments, str(await TYPE.state(context, account_id)))
    refusal = {"type": "forbidden", "description": "the server makes them; they can only be dismissed"}
    plain = SetArguments(account_id=arguments.account_id, destroy=arguments.destroy)
    answer = await TYPE.set(context, plain)
    answer.not_created = dict.fromkeys(arguments.create or {}, refusal) or None
    answer.not_updated = dict.fromkeys(arguments.update or {}, refusal) or None
    return answer


# --- query ------------------------------------------------------------------------------------------------


class NotificationFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 9670 §3.4.1."""

    after: str | None = None
    before: str | None = None
    object_type: str | None = None
    object_account_id: str | None = None


def _condition(node: Object) -> NotificationFilter:
    """A condition. MethodError."""
    try:
        return msgspec.convert(node, NotificationFilter)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault


def _matches(tree: Object | None, each: Object) -> bool:
    if tree is None:
        return True
    if "operator" in tree:
        found = [_matches(one, each) for one in tree["conditions"]]
        if tree["operator"] == "NOT":
            return not any(found)
        return all(found) if tree["operator"] == "AND" else any(found)
    wanted = _condition(tree)
    return (
        (wanted.after is None or each["created"] >= wanted.after)
        and (wanted.before is None or each["created"] < wanted.before)
        and wanted.object_type in {None, each["objectType"]}
        and wanted.object_account_id in {None, each["objectAccountId"]}
    )


async def _result(
    context: Context, account_id: int, arguments: QueryArguments | QueryChangesArguments
) -> tuple[int, list[str]]:
    for node in leaves(arguments.filter):
        _condition(node)
    check_sort(arguments.sort, _SORTS)
    state = await TYPE.state(context, account_id)
    found = [each for each in await TYPE.objects(context, account_id) if _matches(arguments.filter, each)]
    if arguments.sort and not arguments.sort[0].is_ascending:
        found.reverse()  # numbers ascend with time
    return state, [each["id"] for each in found]


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """ShareNotification/query."""
    account_id = context.account_number(arguments.account_id)
    state, found = await _result(context, account_id, arguments)
    return query_answer(arguments, str(state), found)


async def query_changes(context: Context, arguments: QueryChangesArguments) -> QueryChangesAnswer:
    """ShareNotification/queryChanges."""
    account_id = context.account_number(arguments.account_id)
    state, found = await _result(context, account_id, arguments)
    since = parse_state(arguments.since_query_state, state)
    changed = await context.store.item_changes(account_id, TYPE.kind, since.asked_from)
    if changed is None:
        raise MethodError("cannotCalculateChanges", "the state is too old")
    touched = {
        ids.encode(LETTER, each.item_id) for each in changed if (each.modseq, each.item_id) > since.place
    }
    return query_changes_answer(arguments, str(state), found, touched)
