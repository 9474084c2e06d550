"""Principals (RFC 9670 §2): the accounts of the caller's own domain, as individuals.

Who else has an account in this house is nobody's business (RFC 9670 §6.4): accounts of other domains do not show, nor
do disabled ones. They are the administrators' to change. Changes are not told (RFC 9670 §2.2 permits it): the state
says whether anything has changed, and asking again is one call.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.shared_mailboxes import granted
from posthouse.accounts.sharing import domain_of
from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.session import shared_account
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
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
    satisfies,
    wanted_ids,
    wanted_properties,
)
from posthouse.store import grants
from posthouse.store.model import Account

Object = dict[str, Any]
LETTER: Final = ids.PRINCIPAL
_SORTS: Final = ("name", "email")


class Principal(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9670 §2."""

    id: str
    type: str = "individual"
    name: str
    description: str | None = None
    email: str | None
    time_zone: str | None = None
    capabilities: dict[str, Object]
    accounts: dict[str, Any] | None


PROPERTIES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Principal))


async def account_of(context: Context, name: str) -> Account | None:
    """The account behind a principal's id; None when the caller knows none."""
    number = ids.decode(LETTER, name)
    found = await context.store.account_by_id(number) if number is not None else None
    if found is None or found.disabled or domain_of(found) != domain_of(context.account):
        return None
    return found


async def _known(context: Context) -> list[Account]:
    found = await context.store.accounts(domain_of(context.account))
    return [each for each in found if not each.disabled]


async def _state(context: Context, known: list[Account]) -> str:
    """Changes with the names and addresses, and with what is shared with the caller."""
    shared = (await context.store.states(context.account.account_id)).kinds.get(grants.RECEIVED, 0)
    seen = hashlib.blake2b(digest_size=9)
    for each in known:
        seen.update(f"{each.account_id} {each.address} {each.display_name}\n".encode("utf-8", "replace"))
    return f"{seen.hexdigest()}-{shared}"


async def _object(context: Context, account: Account, sharing: frozenset[int]) -> Principal:
    caller = context.account.account_id
    accounts: Object | None = None
    if account.account_id == caller or account.account_id in sharing:
        grant = await granted(context.store, account.account_id, caller)
        found = await shared_account(context.services, account, context.account, grant)
        if found is not None:
            accounts = {ids.encode(ids.ACCOUNT, account.account_id): msgspec.to_builtins(found)}
    return Principal(
        id=ids.encode(LETTER, account.account_id),
        name=account.display_name or account.address,
        email=account.address,
        capabilities={},
        accounts=accounts,
    )


async def _sharing(context: Context) -> frozenset[int]:
    """The accounts that share something with the caller."""
    items = await context.store.items(context.account.account_id, grants.RECEIVED)
    return frozenset(item.item_id for item in items)


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """Principal/get."""
    context.account_number(arguments.account_id)
    properties = wanted_properties(arguments.properties, PROPERTIES)
    asked = wanted_ids(arguments.ids)
    known = await _known(context)
    if asked is None and len(known) > limits.JMAP_GET:
        raise MethodError("requestTooLarge", f"ask for ids, there are more than {limits.JMAP_GET}")
    present = {ids.encode(LETTER, each.account_id): each for each in known}
    sharing = await _sharing(context)
    names = list(present) if asked is None else [name for name in asked if name in present]
    found = [msgspec.to_builtins(await _object(context, present[name], sharing)) for name in names]
    return GetAnswer(
        account_id=arguments.account_id,
        state=await _state(context, known),
        list_=[{key: value for key, value in each.items() if key in properties} for each in found],
        not_found=[name for name in asked or () if name not in present],
    )


async def changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """Principal/changes: either nothing has changed, or it is not told what (RFC 9670 §2.2)."""
    context.account_number(arguments.account_id)
    state = await _state(context, await _known(context))
    if arguments.since_state != state:
        raise MethodError("cannotCalculateChanges", "ask again")
    return ChangesAnswer(
        account_id=arguments.account_id,
        old_state=state,
        new_state=state,
        has_more_changes=False,
        created=[],
        updated=[],
        destroyed=[],
    )


async def set_principals(context: Context, arguments: SetArguments) -> SetAnswer:
    """Principal/set: administrators manage accounts, by other ways (RFC 9670 §2.3)."""
    context.account_number(arguments.account_id)
    known = await _known(context)
    state = await _state(context, known)
    check_set(arguments, state)
    present = {ids.encode(LETTER, each.account_id) for each in known}
    refusal = {"type": "forbidden", "description": "accounts are managed by administrators"}

    def refused(names: Any) -> Object | None:
        return {name: refusal if name in present else {"type": "notFound"} for name in names} or None

    answer = SetAnswer(account_id=arguments.account_id, old_state=state, new_state=state)
    answer.not_created = dict.fromkeys(arguments.create or {}, refusal) or None
    answer.not_updated = refused(arguments.update or ())
    answer.not_destroyed = refused(arguments.destroy or ())
    return answer


# --- query ------------------------------------------------------------------------------------------------


class PrincipalFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 9670 §2.4.1."""

    account_ids: list[str] | None = None
    email: str | None = None
    name: str | None = None
    text: str | None = None
    type: str | None = None
    time_zone: str | None = None


def _condition(node: Object) -> PrincipalFilter:
    """A condition. MethodError."""
    try:
        return msgspec.convert(node, PrincipalFilter)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault


class _Matcher:
    def __init__(self, caller: int, sharing: frozenset[int]) -> None:
        self._visible = sharing | {caller}

    def matches(self, tree: Object | None, account: Account) -> bool:
        """Whether a filter matches somebody."""
        return satisfies(tree, lambda node: self._fits(_condition(node), account))

    def _fits(self, wanted: PrincipalFilter, account: Account) -> bool:
        name, email = (account.display_name or account.address).casefold(), account.address.casefold()
        own = ids.encode(ids.ACCOUNT, account.account_id)
        shows = account.account_id in self._visible
        return (
            (wanted.account_ids is None or (shows and own in wanted.account_ids))
            and (wanted.email is None or wanted.email.casefold() in email)
            and (wanted.name is None or wanted.name.casefold() in name)
            and (wanted.text is None or wanted.text.casefold() in f"{name}\n{email}")
            and wanted.type in {None, "individual"}
            and wanted.time_zone is None
        )


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """Principal/query."""
    context.account_number(arguments.account_id)
    for node in leaves(arguments.filter):
        _condition(node)
    check_sort(arguments.sort, _SORTS)
    known = await _known(context)
    matcher = _Matcher(context.account.account_id, await _sharing(context))
    found = [each for each in known if matcher.matches(arguments.filter, each)]
    for comparator in reversed(arguments.sort or ()):
        found.sort(
            key=lambda each: _key(each, comparator.property),  # used at once
            reverse=not comparator.is_ascending,
        )
    names = [ids.encode(LETTER, each.account_id) for each in found]
    return query_answer(arguments, await _state(context, known), names, can_calculate=False)


def _key(account: Account, name: str) -> str:
    return account.address if name == "email" else (account.display_name or account.address).casefold()


async def query_changes(context: Context, arguments: QueryChangesArguments) -> QueryChangesAnswer:
    """Principal/queryChanges: asking again is one call (RFC 9670 §2.5 permits it)."""
    context.account_number(arguments.account_id)
    raise MethodError("cannotCalculateChanges", "ask again")
