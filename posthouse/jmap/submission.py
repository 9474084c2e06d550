"""EmailSubmission/get, /changes, /query, /queryChanges (RFC 8621 §7.1-7.4)."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.inbound.outbox import KIND, DeliveryStatus, Envelope, decode
from posthouse.jmap import dates
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected
from posthouse.jmap.item_type import ItemType
from posthouse.jmap.standard import (
    ChangesArguments,
    Comparator,
    QueryAnswer,
    QueryArguments,
    QueryChangesAnswer,
    QueryChangesArguments,
    check_sort,
    leaves,
    query_answer,
    query_changes_answer,
    satisfies,
)
from posthouse.store.account_model import Item


class EmailSubmission(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8621 §7."""

    identity_id: str
    email_id: str
    thread_id: str = ""
    envelope: Envelope | None = None
    send_at: str = ""
    undo_status: str = "pending"
    delivery_status: dict[str, DeliveryStatus] | None = None
    dsn_blob_ids: list[str] = []
    mdn_blob_ids: list[str] = []


class _SubmissionType(ItemType):
    def object_of(self, item: Item) -> dict[str, Any]:
        """Without what is our own business."""
        record = decode(item)
        found: dict[str, Any] = msgspec.to_builtins(
            EmailSubmission(
                identity_id=record.identity_id,
                email_id=record.email_id,
                thread_id=record.thread_id,
                envelope=record.envelope,
                send_at=dates.utc_date(record.send_at),
                undo_status=record.undo_status,
                delivery_status=record.delivery_status,
                dsn_blob_ids=record.dsn_blob_ids,
                mdn_blob_ids=record.mdn_blob_ids,
            )
        )
        return {"id": f"{self.letter}{item.item_id}"} | found


TYPE: Final = _SubmissionType(KIND, "S", EmailSubmission, most=limits.JMAP_SUBMISSIONS)


class SubmissionFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8621 §7.3."""

    identity_ids: list[str] | None = None
    email_ids: list[str] | None = None
    thread_ids: list[str] | None = None
    undo_status: str | None = None
    before: str | None = None
    after: str | None = None


_SORTS: Final = {"emailId": "emailId", "threadId": "threadId", "sentAt": "sendAt", "sendAt": "sendAt"}


def _condition(node: dict[str, Any]) -> SubmissionFilter:
    try:
        condition = msgspec.convert(node, SubmissionFilter)
        for name in ("before", "after"):
            if getattr(condition, name) is not None:
                dates.parse_utc(getattr(condition, name), name)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault
    except Rejected as fault:
        raise MethodError("invalidArguments", fault.description) from fault
    return condition


def _fits(node: dict[str, Any], found: dict[str, Any]) -> bool:
    wanted = _condition(node)
    send_at = dates.parse_utc(found["sendAt"], "sendAt")
    return (
        (wanted.identity_ids is None or found["identityId"] in wanted.identity_ids)
        and (wanted.email_ids is None or found["emailId"] in wanted.email_ids)
        and (wanted.thread_ids is None or found["threadId"] in wanted.thread_ids)
        and (wanted.undo_status is None or found["undoStatus"] == wanted.undo_status)
        and (wanted.before is None or send_at < dates.parse_bound(wanted.before, "before"))
        and (wanted.after is None or send_at >= dates.parse_bound(wanted.after, "after"))
    )


async def _result(
    context: Context, account_id: int, tree: dict[str, Any] | None, sort: list[Comparator] | None
) -> tuple[int, list[str]]:
    for node in leaves(tree):
        _condition(node)
    comparators = sort or [Comparator(property="sentAt", is_ascending=False)]
    check_sort(comparators, _SORTS)
    state = await TYPE.state(context, account_id)
    found = [
        each
        for each in await TYPE.objects(context, account_id)
        if satisfies(tree, partial(_fits, found=each))
    ]
    for each in reversed(comparators):
        key = _SORTS[each.property]
        found.sort(key=itemgetter(key), reverse=not each.is_ascending)
    return state, [each["id"] for each in found]


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """EmailSubmission/query."""
    account_id = context.account_number(arguments.account_id)
    state, found = await _result(context, account_id, arguments.filter, arguments.sort)
    return query_answer(arguments, str(state), found)


async def query_changes(context: Context, arguments: QueryChangesArguments) -> QueryChangesAnswer:
    """EmailSubmission/queryChanges."""
    account_id = context.account_number(arguments.account_id)
    state, found = await _result(context, account_id, arguments.filter, arguments.sort)
    changed = await TYPE.changes(
        context,
        ChangesArguments(account_id=arguments.account_id, since_state=arguments.since_query_state),
    )
    touched = {*changed.created, *changed.updated, *changed.destroyed}
    return query_changes_answer(arguments, str(state), found, touched)
