"""Mailbox/query and Mailbox/queryChanges (RFC 8621 §2.3, §2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_filter import tokens
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mailbox import changes, parent_of, shown_name, sort_order
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
from posthouse.store.model import Mailbox as Stored


class MailboxFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8621 §2.3."""

    parent_id: str | msgspec.UnsetType | None = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    role: str | msgspec.UnsetType | None = msgspec.UNSET
    has_any_role: bool | msgspec.UnsetType = msgspec.UNSET
    is_subscribed: bool | msgspec.UnsetType = msgspec.UNSET


class MailboxQueryArguments(QueryArguments, kw_only=True):
    """RFC 8621 §2.3."""

    sort_as_tree: bool = False
    filter_as_tree: bool = False


class MailboxQueryChangesArguments(QueryChangesArguments, kw_only=True):
    """RFC 8621 §2.4."""

    sort_as_tree: bool = False
    filter_as_tree: bool = False


class _Tree:
    """The mailboxes with their parents, and what of a query can be asked of them."""

    def __init__(self, context: Context, boxes: tuple[Stored, ...]) -> None:
        self._context = context
        self.boxes = boxes
        by_name = {box.name: box for box in boxes}
        self.parents = {box.mailbox_id: parent_of(box, by_name) for box in boxes}

    def matches(self, tree: dict[str, Any] | None, box: Stored) -> bool:
        """Whether a filter matches a mailbox."""
        return satisfies(tree, lambda node: self._fits(mailbox_filter(node), box))

    def _fits(self, wanted: MailboxFilter, box: Stored) -> bool:
        parent = self.parents[box.mailbox_id]
        parent_id = None if parent is None else ids.encode(ids.MAILBOX, parent.mailbox_id)
        if wanted.parent_id is not msgspec.UNSET:
            asked = wanted.parent_id
            if parent_id != (self._context.resolve_id(asked) if asked is not None else None):
                return False
        if wanted.name is not msgspec.UNSET:
            name = shown_name(box, parent).casefold()
            if not all(token.casefold() in name for token in tokens(str(wanted.name))):
                return False
        role = None if box.role is None else box.role.value
        if wanted.role is not msgspec.UNSET and wanted.role != role:
            return False
        if wanted.has_any_role is not msgspec.UNSET and wanted.has_any_role != (role is not None):
            return False
        return wanted.is_subscribed is msgspec.UNSET or wanted.is_subscribed == box.subscribed

    def ancestors(self, box: Stored) -> list[Stored]:
        """From the top down, the mailbox itself last."""
        found = [box]
        while (parent := self.parents[found[0].mailbox_id]) is not None:
            found.insert(0, parent)
        return found

    def key(self, comparators: list[Comparator], box: Stored) -> tuple[Any, ...]:
        """What a mailbox is sorted by, by itself."""
        parent = self.parents[box.mailbox_id]
        values: list[Any] = [_KEYS[each.property](box, parent, each.is_ascending) for each in comparators]
        return (*values, shown_name(box, parent).casefold(), box.mailbox_id)


class _Reversed(str):
    """A text that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def _order_key(box: Stored, _parent: Stored | None, ascending: bool) -> int:
    return sort_order(box) if ascending else -sort_order(box)


def _name_key(box: Stored, parent: Stored | None, ascending: bool) -> str:
    name = shown_name(box, parent).casefold()
    return name if ascending else _Reversed(name)


_KEYS: Final[dict[str, Callable[[Stored, Stored | None, bool], Any]]] = {
    "sortOrder": _order_key,
    "name": _name_key,
}


def mailbox_filter(node: dict[str, Any]) -> MailboxFilter:
    """A condition. MethodError."""
    try:
        return msgspec.convert(node, MailboxFilter)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault


async def _result(
    context: Context, account_id: int, arguments: MailboxQueryArguments | MailboxQueryChangesArguments
) -> tuple[int, list[str]]:
    for node in leaves(arguments.filter):
        mailbox_filter(node)
    comparators = arguments.sort or [Comparator(property="sortOrder")]
    check_sort(comparators, _KEYS)
    mail = context.mail(account_id)
    state = await mail.state()
    tree = _Tree(context, await mail.mailboxes())
    matching = {box.mailbox_id for box in tree.boxes if tree.matches(arguments.filter, box)}
    found = [box for box in tree.boxes if box.mailbox_id in matching]
    if arguments.filter_as_tree:
        found = [b for b in found if all(a.mailbox_id in matching for a in tree.ancestors(b))]
    if arguments.sort_as_tree:
        found.sort(key=lambda box: [tree.key(comparators, each) for each in tree.ancestors(box)])
    else:
        found.sort(key=lambda box: tree.key(comparators, box))
    return state, [ids.encode(ids.MAILBOX, box.mailbox_id) for box in found]


async def query(context: Context, arguments: MailboxQueryArguments) -> QueryAnswer:
    """Mailbox/query."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    state, found = await _result(context, account_id, arguments)
    return query_answer(arguments, str(state), found)


async def query_changes(context: Context, arguments: MailboxQueryChangesArguments) -> QueryChangesAnswer:
    """Mailbox/queryChanges."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    state, found = await _result(context, account_id, arguments)
    changed = await changes(
        context,
        ChangesArguments(account_id=arguments.account_id, since_state=arguments.since_query_state),
    )
    touched = {*changed.created, *changed.updated, *changed.destroyed}
    if arguments.sort_as_tree or arguments.filter_as_tree:
        touched |= set(found)  # a parent's change moves all that is below it
    return query_changes_answer(arguments, str(state), found, touched)
