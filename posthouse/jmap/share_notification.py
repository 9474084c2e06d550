"""ShareNotification's methods (RFC 9670 §3): `accounts.share_notices` makes them, and they can only be dismissed."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.share_notices import KIND, ShareNotification
from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.item_type import ItemType
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
    satisfies,
)
from posthouse.jmap.states import parse_state

Object = dict[str, Any]
LETTER: Final = "N"
_SORTS: Final = ("created",)


TYPE: Final = ItemType(KIND, LETTER, ShareNotification, most=limits.SHARE_NOTIFICATIONS)


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


def _fits(node: Object, each: Object) -> bool:
    wanted = _condition(node)
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
    every = await TYPE.objects(context, account_id)
    found = [each for each in every if satisfies(arguments.filter, partial(_fits, each=each))]
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
