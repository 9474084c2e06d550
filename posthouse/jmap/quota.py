"""Quota (RFC 9425): octets and messages that an account holds. Read only; there is one Quota of octets."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec

from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    QueryAnswer,
    QueryArguments,
    QueryChangesAnswer,
    QueryChangesArguments,
    check_sort,
    leaves,
    query_answer,
    satisfies,
    wanted_ids,
    wanted_properties,
)

ID: Final = "octets"


class Quota(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9425 §4."""

    id: str
    resource_type: str
    used: int
    hard_limit: int
    scope: str
    name: str
    types: list[str]
    warn_limit: int | None = None
    soft_limit: int | None = None
    description: str | None = None


PROPERTIES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Quota))
_COUNTED: Final = ("used",)


async def _quotas(context: Context, account_id: int) -> list[Quota]:
    account = await context.store.account_by_id(account_id)
    limit = await context.services.directory.quota(account) if account is not None else 0
    if not limit:
        return []
    usage = await context.store.usage(account_id)
    return [
        Quota(
            id=ID,
            resource_type="octets",
            used=usage.octets,
            hard_limit=limit,
            warn_limit=limit * 9 // 10,
            scope="account",
            name=context.account.address,
            types=["Email"],
        )
    ]


async def _state(context: Context, account_id: int, quotas: list[Quota]) -> str:
    """Changes with what is used and with the limit: both are in it."""
    return "-".join(f"{each.used}.{each.hard_limit}" for each in quotas) or "none"


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """Quota/get."""
    account_id = context.account_number(arguments.account_id)
    properties = wanted_properties(arguments.properties, PROPERTIES)
    asked = wanted_ids(arguments.ids)
    quotas = await _quotas(context, account_id)
    found: dict[str, dict[str, Any]] = {each.id: msgspec.to_builtins(each) for each in quotas}
    names = list(found) if asked is None else [name for name in asked if name in found]
    return GetAnswer(
        account_id=arguments.account_id,
        state=await _state(context, account_id, quotas),
        list_=[{k: v for k, v in found[name].items() if k in properties} for name in names],
        not_found=[name for name in asked or () if name not in found],
    )


class QuotaChangesAnswer(ChangesAnswer, kw_only=True):
    """RFC 9425 §4.3."""

    updated_properties: list[str] | None = None


async def changes(context: Context, arguments: ChangesArguments) -> QuotaChangesAnswer:
    """Quota/changes."""
    account_id = context.account_number(arguments.account_id)
    quotas = await _quotas(context, account_id)
    state = await _state(context, account_id, quotas)
    old, new = arguments.since_state, state
    had = _limit(old)
    has = _limit(new)
    return QuotaChangesAnswer(
        account_id=arguments.account_id,
        old_state=old,
        new_state=new,
        has_more_changes=False,
        created=[ID] if has is not None and had is None else [],
        updated=[ID] if has is not None and had is not None and old != new else [],
        destroyed=[ID] if has is None and had is not None else [],
        updated_properties=list(_COUNTED) if had is not None and had == has and old != new else None,
    )


def _limit(state: str) -> int | None:
    """The limit in a state. MethodError for a state that we never gave out."""
    if state == "none":
        return None
    used, dot, limit = state.partition(".")
    if not (dot and used.isascii() and used.isdigit() and limit.isascii() and limit.isdigit()):
        raise MethodError("cannotCalculateChanges", "no such state")
    return int(limit)


class QuotaFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 9425 §4.4."""

    name: str | None = None
    scope: str | None = None
    resource_type: str | None = None
    type: str | None = None


def _condition(node: dict[str, Any]) -> QuotaFilter:
    """A condition. MethodError."""
    try:
        return msgspec.convert(node, QuotaFilter)
    except msgspec.ValidationError as fault:
        raise MethodError("unsupportedFilter", str(fault)) from fault


def _fits(node: dict[str, Any], quota: Quota) -> bool:
    wanted = _condition(node)
    return (
        (wanted.name is None or wanted.name.casefold() in quota.name.casefold())
        and wanted.scope in {None, quota.scope}
        and wanted.resource_type in {None, quota.resource_type}
        and (wanted.type is None or wanted.type in quota.types)
    )


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """Quota/query."""
    account_id = context.account_number(arguments.account_id)
    for node in leaves(arguments.filter):
        _condition(node)
    check_sort(arguments.sort, {"name", "used"})
    quotas = await _quotas(context, account_id)
    found = [each.id for each in quotas if satisfies(arguments.filter, partial(_fits, quota=each))]
    return query_answer(arguments, await _state(context, account_id, quotas), found, can_calculate=False)


async def query_changes(context: Context, arguments: QueryChangesArguments) -> QueryChangesAnswer:
    """Quota/queryChanges: there is one at most, so asking again is as cheap (RFC 9425 §4.5 permits it)."""
    context.account_number(arguments.account_id)
    raise MethodError("cannotCalculateChanges", "ask again")
