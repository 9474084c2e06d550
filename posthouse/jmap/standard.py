"""The standard methods' arguments and responses (RFC 8620 §5), one struct each; every type uses these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any

import msgspec

from posthouse import limits
from posthouse.jmap.capabilities import COLLATIONS
from posthouse.jmap.errors import MethodError
from posthouse.jmap.ids import CreationId, Id, Int, UnsignedInt, decode, encode
from posthouse.jmap.method import Arguments

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class Answer(msgspec.Struct, kw_only=True, rename="camel"):
    """Base of all responses on one account."""

    account_id: Id


# --- /get (RFC 8620 §5.1) -----------------------------------------------------------------------------------


class GetArguments(Arguments, kw_only=True):
    """RFC 8620 §5.1."""

    ids: list[str] | None = None
    properties: list[str] | None = None


class GetAnswer(Answer, kw_only=True):
    """RFC 8620 §5.1."""

    state: str
    list_: list[Any] = msgspec.field(name="list")
    not_found: list[str]


def wanted_ids(ids: list[str] | None) -> list[str] | None:
    """The ids asked for, each once (RFC 8620 §5.1). MethodError requestTooLarge."""
    if ids is None:
        return None
    if len(ids) > limits.JMAP_GET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_GET} ids")
    return list(dict.fromkeys(ids))


def wanted_properties(properties: list[str] | None, known: frozenset[str]) -> frozenset[str]:
    """The properties to return; `id` always. MethodError invalidArguments for an unknown one."""
    if properties is None:
        return known
    if unknown := sorted(set(properties) - known):
        raise MethodError("invalidArguments", f"no such property: {', '.join(unknown)}")
    return frozenset(properties) | {"id"}


# --- /changes (RFC 8620 §5.2) -------------------------------------------------------------------------------


class ChangesArguments(Arguments, kw_only=True):
    """RFC 8620 §5.2."""

    since_state: str
    max_changes: Positive | None = None


class ChangesAnswer(Answer, kw_only=True):
    """RFC 8620 §5.2."""

    old_state: str
    new_state: str
    has_more_changes: bool
    created: list[str]
    updated: list[str]
    destroyed: list[str]


# --- /set (RFC 8620 §5.3) -----------------------------------------------------------------------------------


class SetArguments(Arguments, kw_only=True):
    """RFC 8620 §5.3."""

    if_in_state: str | None = None
    create: dict[CreationId, dict[str, Any]] | None = None
    update: dict[str, dict[str, Any]] | None = None
    destroy: list[str] | None = None


class SetAnswer(Answer, kw_only=True):
    """RFC 8620 §5.3."""

    old_state: str | None = None
    new_state: str = ""
    created: dict[str, Any] | None = None
    updated: dict[str, Any] | None = None
    destroyed: list[str] | None = None
    not_created: dict[str, Any] | None = None
    not_updated: dict[str, Any] | None = None
    not_destroyed: dict[str, Any] | None = None

    def tidy(self) -> None:
        """Empty parts are null (RFC 8620 §5.3)."""
        for name in self.__struct_fields__:
            if getattr(self, name) in ({}, []):
                setattr(self, name, None)


def check_set(arguments: SetArguments, state: str) -> None:
    """MethodError requestTooLarge, stateMismatch."""
    objects = len(arguments.create or ()) + len(arguments.update or ()) + len(arguments.destroy or ())
    if objects > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} objects")
    if arguments.if_in_state is not None and arguments.if_in_state != state:
        raise MethodError("stateMismatch")


# --- /query and /queryChanges (RFC 8620 §5.5, §5.6) ---------------------------------------------------------


class Comparator(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8620 §5.5; `keyword` is RFC 8621 §4.4.2. What else stands there is passed over: libraries send more."""

    property: str
    is_ascending: bool = True
    collation: str | None = None
    keyword: str | None = None


class QueryArguments(Arguments, kw_only=True):
    """RFC 8620 §5.5."""

    filter: dict[str, Any] | None = None
    sort: list[Comparator] | None = None
    position: Int = 0
    anchor: str | None = None
    anchor_offset: Int = 0
    limit: UnsignedInt | None = None
    calculate_total: bool = False


class QueryAnswer(Answer, kw_only=True, omit_defaults=True):
    """RFC 8620 §5.5."""

    query_state: str
    can_calculate_changes: bool
    position: int | msgspec.UnsetType = msgspec.UNSET
    ids: list[str] | msgspec.UnsetType = msgspec.UNSET
    total: int | msgspec.UnsetType = msgspec.UNSET
    limit: int | msgspec.UnsetType = msgspec.UNSET


class QueryChangesArguments(Arguments, kw_only=True):
    """RFC 8620 §5.6."""

    filter: dict[str, Any] | None = None
    sort: list[Comparator] | None = None
    since_query_state: str
    max_changes: Positive | None = None
    up_to_id: str | None = None
    calculate_total: bool = False


class AddedItem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8620 §5.6."""

    id: str
    index: int


class QueryChangesAnswer(Answer, kw_only=True, omit_defaults=True):
    """RFC 8620 §5.6."""

    old_query_state: str
    new_query_state: str
    total: int | msgspec.UnsetType = msgspec.UNSET
    removed: list[str]
    added: list[AddedItem]


def check_sort(sort: Sequence[Comparator] | None, properties: Collection[str]) -> None:
    """MethodError unsupportedSort for a property or a collation that is not known (RFC 8620 §5.5)."""
    if len(sort or ()) > limits.JMAP_SORTS:
        raise MethodError("unsupportedSort", "too many comparators")
    for each in sort or ():
        if each.property not in properties:
            raise MethodError("unsupportedSort", f"no sort by {each.property}")
        if each.collation is not None and each.collation not in COLLATIONS:
            raise MethodError("unsupportedSort", f"no collation {each.collation}")


def window(arguments: QueryArguments, found: Sequence[Any], anchor: Any) -> tuple[int, list[Any], int | None]:
    """(position, what stands there, limit when the server lowered it) of a whole result. MethodError anchorNotFound."""
    asked = arguments.limit
    limit = limits.JMAP_QUERY if asked is None else min(asked, limits.JMAP_QUERY)
    position = arguments.position
    if arguments.anchor is not None:
        try:
            position = max(0, found.index(anchor) + arguments.anchor_offset)
        except (ValueError, TypeError):
            raise MethodError("anchorNotFound") from None
    elif position < 0:
        position = max(0, len(found) + position)
    # RFC 8620 §5.5: the limit is told when the server enforced one that the client did not ask for.
    lowered = limit if asked is None or asked > limits.JMAP_QUERY else None
    return position, list(found[position : position + limit]), lowered


def query_answer(
    arguments: QueryArguments,
    state: str,
    found: Sequence[Any],
    *,
    can_calculate: bool = True,
    letter: str = "",
) -> QueryAnswer:
    """The response for a whole result: of ids, or with `letter` of the numbers behind them."""
    anchor: Any = arguments.anchor
    if letter and anchor is not None:
        anchor = decode(letter, anchor)
    position, some, lowered = window(arguments, found, anchor)
    answer = QueryAnswer(
        account_id=arguments.account_id,
        query_state=state,
        can_calculate_changes=can_calculate,
        position=position,
        ids=[encode(letter, number) for number in some] if letter else some,
    )
    if arguments.calculate_total:
        answer.total = len(found)
    if lowered is not None and len(found) > position + lowered:
        answer.limit = lowered
    return answer


def query_changes_answer(
    arguments: QueryChangesArguments,
    state: str,
    found: Sequence[Any],
    touched: Collection[Any],
    *,
    letter: str = "",
) -> QueryChangesAnswer:
    """The response for a whole result and what may have come, gone or moved in it (RFC 8620 §5.6).

    Of ids, or with `letter` of the numbers behind them. MethodError tooManyChanges.
    """

    def name(value: Any) -> str:
        return encode(letter, value) if letter else value

    added = [AddedItem(id=name(value), index=at) for at, value in enumerate(found) if value in touched]
    if arguments.max_changes is not None and len(added) + len(touched) > arguments.max_changes:
        raise MethodError("tooManyChanges")
    answer = QueryChangesAnswer(
        account_id=arguments.account_id,
        old_query_state=arguments.since_query_state,
        new_query_state=state,
        removed=[name(value) for value in sorted(touched)],
        added=added,
    )
    if arguments.calculate_total:
        answer.total = len(found)
    return answer


def leaves(tree: dict[str, Any] | None) -> list[dict[str, Any]]:
    """All conditions of a filter, without its operators; bounds depth and number. MethodError unsupportedFilter."""
    found: list[dict[str, Any]] = []
    waiting: list[tuple[Any, int]] = [] if tree is None else [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > limits.JMAP_FILTER_DEPTH or len(found) + len(waiting) >= limits.JMAP_FILTER_CONDITIONS:
            raise MethodError("unsupportedFilter", "the filter is too complex")
        if not isinstance(node, dict):
            raise MethodError("invalidArguments", "a filter is an object")
        if "operator" in node:
            conditions = node.get("conditions")
            if node["operator"] not in ("AND", "OR", "NOT") or not isinstance(conditions, list):
                raise MethodError("invalidArguments", "a filter operator is AND, OR or NOT with conditions")
            if set(node) - {"operator", "conditions"}:
                raise MethodError("invalidArguments", "a filter operator has conditions and nothing else")
            waiting += [(each, depth + 1) for each in conditions]
        else:
            found.append(node)
    return found


def satisfies(tree: dict[str, Any] | None, fits: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether something fits a filter of which `leaves` has seen the form; `fits` is asked about its conditions."""
    if tree is None:
        return True
    if "operator" not in tree:
        return fits(tree)
    found = [satisfies(each, fits) for each in tree["conditions"]]
    if tree["operator"] == "NOT":
        return not any(found)
    return all(found) if tree["operator"] == "AND" else any(found)


class CopyArguments(Arguments, kw_only=True):
    """RFC 8620 §5.4."""

    from_account_id: str
    if_from_in_state: str | None = None
    if_in_state: str | None = None
    create: dict[CreationId, dict[str, Any]]
    on_success_destroy_original: bool = False
    destroy_from_if_in_state: str | None = None
