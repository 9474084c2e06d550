"""VacationResponse (RFC 8621 §8): one object of each account, `singleton`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.inbound.vacation import KIND, SINGLETON, Vacation
from posthouse.jmap import dates
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import (
    GetAnswer,
    GetArguments,
    SetAnswer,
    SetArguments,
    check_set,
    wanted_ids,
    wanted_properties,
)
from posthouse.store.interface import PutItem

ID: Final = "singleton"


class VacationResponse(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8621 §8."""

    id: str = ID
    is_enabled: bool = False
    from_date: str | None = None
    to_date: str | None = None
    subject: str | None = None
    text_body: str | None = None
    html_body: str | None = None


PROPERTIES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(VacationResponse))


async def _state(context: Context, account_id: int) -> str:
    return str((await context.store.states(account_id)).kinds.get(KIND, 0))


async def _present(context: Context, account_id: int) -> VacationResponse:
    items = await context.store.items(account_id, KIND, [SINGLETON])
    kept = msgspec.json.decode(items[0].data, type=Vacation) if items else Vacation()
    return VacationResponse(
        is_enabled=kept.is_enabled,
        from_date=None if kept.from_date is None else dates.utc_date(kept.from_date),
        to_date=None if kept.to_date is None else dates.utc_date(kept.to_date),
        subject=kept.subject,
        text_body=kept.text_body,
        html_body=kept.html_body,
    )


async def get(context: Context, arguments: GetArguments) -> GetAnswer:
    """VacationResponse/get."""
    account_id = context.account_number(arguments.account_id)
    properties = wanted_properties(arguments.properties, PROPERTIES)
    asked = wanted_ids(arguments.ids)
    found: dict[str, Any] = msgspec.to_builtins(await _present(context, account_id))
    shown = {key: value for key, value in found.items() if key in properties}
    return GetAnswer(
        account_id=arguments.account_id,
        state=await _state(context, account_id),
        list_=[shown] if asked is None or ID in asked else [],
        not_found=[name for name in asked or () if name != ID],
    )


async def set_vacation(context: Context, arguments: SetArguments) -> SetAnswer:
    """VacationResponse/set: it can be updated, and nothing else (RFC 8621 §8.2)."""
    account_id = context.account_number(arguments.account_id)
    old_state = await _state(context, account_id)
    check_set(arguments, old_state)
    singleton = {"type": "singleton"}  # RFC 8620 §5.3
    answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
    answer.not_created = dict.fromkeys(arguments.create or (), singleton)
    answer.not_destroyed = {
        name: singleton if name == ID else {"type": "notFound"} for name in arguments.destroy or ()
    }
    answer.updated, answer.not_updated = {}, {}
    for name, patch in (arguments.update or {}).items():
        try:
            if name != ID:
                raise Rejected("notFound")
            await _update(context, account_id, patch)
            answer.updated[name] = None
        except Rejected as fault:
            answer.not_updated[name] = fault.error()
    answer.new_state = await _state(context, account_id)
    answer.tidy()
    return answer


async def _update(context: Context, account_id: int, patch: dict[str, Any]) -> None:
    old = msgspec.to_builtins(await _present(context, account_id))
    new = apply_patch(old, patch)
    if new.get("id") != ID:
        raise invalid("the id does not change", "id")
    try:
        wanted = msgspec.convert(new, VacationResponse)
    except msgspec.ValidationError as fault:
        names = [name for name in (*PROPERTIES, *new) if name in str(fault)]
        raise invalid(str(fault), *names[:1]) from fault
    if (
        sum(len(text or "") for text in (wanted.subject, wanted.text_body, wanted.html_body))
        > limits.VACATION_TEXT
    ):
        raise Rejected("tooLarge", f"at most {limits.VACATION_TEXT} characters")
    kept = Vacation(
        is_enabled=wanted.is_enabled,
        from_date=None if wanted.from_date is None else dates.parse_utc(wanted.from_date, "fromDate"),
        to_date=None if wanted.to_date is None else dates.parse_utc(wanted.to_date, "toDate"),
        subject=wanted.subject,
        text_body=wanted.text_body,
        html_body=wanted.html_body,
    )
    await context.store.apply(
        PutItem(account_id=account_id, kind=KIND, item_id=SINGLETON, new=True, data=msgspec.json.encode(kept))
    )
