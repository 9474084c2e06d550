"""ContactCard/query and /queryChanges (RFC 9610 §3.3, §3.4): which cards, in which order, and what has changed.

A result is remembered until a card changes. Its changes are told by taking out whatever changed and putting in what of
it is in the present result (RFC 8620 §5.6 permits it), so they are exact as far as the history reaches.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import dates
from posthouse.jmap.card_media import CARD
from posthouse.jmap.card_shelf import KIND, Shelf
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import MethodError, Rejected
from posthouse.jmap.jscontact import entries, full_name, name_parts, objects
from posthouse.jmap.shared_contacts import contacts_of
from posthouse.jmap.standard import (
    Comparator,
    QueryAnswer,
    QueryArguments,
    QueryChangesAnswer,
    QueryChangesArguments,
    check_sort,
    leaves,
    query_answer,
    query_changes_answer,
)
from posthouse.jmap.states import parse_state
from posthouse.message.words import fold

Object = dict[str, Any]
Test = Callable[[Object], bool]

_TOKEN: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)""")
_UNSEEN: Final = frozenset(
    {"id", "uid", "@type", "version", "addressBookIds", "created", "updated", "vCardProps"}
)
"""Parts of a card that are no text of its own."""


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """ContactCard/query."""
    account_id = context.account_number(arguments.account_id, opened=Opened.ADDRESS_BOOKS)
    sight = contacts_of(context, account_id)
    state, found = await _result(context, account_id, arguments.filter, arguments.sort)
    if sight is None:
        return query_answer(arguments, str(state), found, letter=CARD)
    return query_answer(arguments, sight.state(state), found, letter=CARD, can_calculate=False)


async def query_changes(context: Context, arguments: QueryChangesArguments) -> QueryChangesAnswer:
    """ContactCard/queryChanges."""
    account_id = context.account_number(arguments.account_id, opened=Opened.ADDRESS_BOOKS)
    state, found = await _result(context, account_id, arguments.filter, arguments.sort)
    if contacts_of(context, account_id) is not None:
        raise MethodError("cannotCalculateChanges", "ask again")
    since = parse_state(arguments.since_query_state, state)
    changes = await context.store.item_changes(account_id, KIND, since.asked_from)
    if changes is None:
        raise MethodError("cannotCalculateChanges", "the state is too old")
    touched = {each.item_id for each in changes if (each.modseq, each.item_id) > since.place}
    return query_changes_answer(arguments, str(state), found, touched, letter=CARD)


async def _result(
    context: Context, account_id: int, tree: Object | None, sort: list[Comparator] | None
) -> tuple[int, array[int]]:
    """(state, the whole result). MethodError unsupportedFilter, unsupportedSort."""
    leaves(tree)
    check_sort(sort, _SORTS)
    holds = _test(tree)
    keys = [(_sort_key(each), not each.is_ascending) for each in reversed(sort or [])]
    shelf = await context.services.cards.of(account_id)
    audience: tuple[int, ...] = (account_id,)
    if (sight := contacts_of(context, account_id)) is not None:
        audience = sight.audience
        seen = {
            number: each for number, card in shelf.cards.items() if (each := sight.card(card)) is not None
        }
        shelf = msgspec.structs.replace(shelf, cards=seen, uids={})
    asked = msgspec.json.encode(("ContactCard", audience, tree, sort), order="deterministic")
    found = context.services.results.get(asked, shelf.state)
    if found is None:
        work = (shelf, holds, keys)
        small = len(shelf.cards) <= limits.CARDS_AT_ONCE
        found = _select(*work) if small else await asyncio.to_thread(_select, *work)
        context.services.results.put(asked, shelf.state, found)
    return shelf.state, found


def _select(shelf: Shelf, holds: Test, keys: list[tuple[Callable[[Object], str], bool]]) -> array[int]:
    found = [(number, card) for number, card in shelf.cards.items() if holds(card)]
    found.sort(key=lambda pair: fold(full_name(pair[1])))
    for key, reverse in keys:
        found.sort(key=lambda pair: key(pair[1]), reverse=reverse)
    return array("q", [number for number, _ in found])


# --- order --------------------------------------------------------------------------------------------------

_SORTS: Final = frozenset({"name", "created", "updated", "name/given", "name/surname", "name/surname2"})


def _sort_key(comparator: Comparator) -> Callable[[Object], str]:
    name = comparator.property
    if name == "name":
        return lambda card: fold(full_name(card))
    if name in {"created", "updated"}:
        return lambda card: str(card.get(name) or "")
    kind = name.partition("/")[2]
    return lambda card: fold(next(name_parts(card, kind), ""))


# --- filter -------------------------------------------------------------------------------------------------


def _test(tree: Object | None) -> Test:
    """What a card is asked. MethodError unsupportedFilter."""
    if tree is None:
        return lambda card: True
    if "operator" in tree:
        inner = [_test(each) for each in tree["conditions"]]
        if tree["operator"] == "AND":
            return lambda card: all(test(card) for test in inner)
        if tree["operator"] == "OR":
            return lambda card: any(test(card) for test in inner)
        return lambda card: not any(test(card) for test in inner)
    tests = [_condition(name, value) for name, value in tree.items()]
    return lambda card: all(test(card) for test in tests)


def _condition(name: str, value: object) -> Test:
    if not isinstance(value, str):
        raise MethodError("unsupportedFilter", f"{name} wants a string")
    if name == "inAddressBook":
        return lambda card: value in card["addressBookIds"]
    if name in {"uid", "kind"}:
        return lambda card: bool(card.get(name, "individual" if name == "kind" else None) == value)
    if name == "hasMember":
        return lambda card: value in (card.get("members") or {})
    if name in _MOMENTS:
        return _moment(name, value)
    texts = _TEXTS.get(name)
    if texts is None:
        raise MethodError("unsupportedFilter", f"no such condition: {name}")
    tokens = _tokens(value)
    return lambda card: _has_all(texts(card), tokens)


_MOMENTS: Final = frozenset({"createdBefore", "createdAfter", "updatedBefore", "updatedAfter"})


def _moment(name: str, value: str) -> Test:
    key, is_before = name[:7], name.endswith("Before")
    try:
        bound = dates.parse_utc(value, name)
    except Rejected as fault:
        raise MethodError("unsupportedFilter", f"{name} wants a UTCDate") from fault

    def test(card: Object) -> bool:
        try:
            at = dates.parse_utc(card.get(key), key)
        except Rejected:
            return False
        return at < bound if is_before else at >= bound

    return test


def _tokens(value: str) -> list[str]:
    """Words, and phrases in quotation marks (RFC 9610 §3.3.1); all of them must be there."""
    found = []
    for double, single, word in _TOKEN.findall(value):
        phrase = double or single
        token = fold(re.sub(r"\\(.)", r"\1", phrase) if phrase else word)
        if token:
            found.append(token)
    return found


def _has_all(texts: Iterator[str], tokens: list[str]) -> bool:
    whole = [fold(text) for text in texts]
    return all(any(token in text for text in whole) for token in tokens)


def _entries(where: str, *keys: str) -> Callable[[Object], Iterator[str]]:
    """The texts under these keys of what a card lists by id."""

    def texts(card: Object) -> Iterator[str]:
        for entry in entries(card, where):
            for key in keys:
                if isinstance(entry.get(key), str):
                    yield entry[key]

    return texts


def _names(kind: str) -> Callable[[Object], Iterator[str]]:
    def texts(card: Object) -> Iterator[str]:
        if not kind:
            yield full_name(card)
        yield from name_parts(card, kind)

    return texts


def _addresses(card: Object) -> Iterator[str]:
    for entry in entries(card, "addresses"):
        yield from (str(part.get("value", "")) for part in objects(entry.get("components")))
        if isinstance(entry.get("full"), str):
            yield entry["full"]


def _organizations(card: Object) -> Iterator[str]:
    yield from _entries("organizations", "name")(card)
    for entry in entries(card, "organizations"):
        yield from (str(unit.get("name", "")) for unit in objects(entry.get("units")))


def _phones(card: Object) -> Iterator[str]:
    """Numbers as written, and without what people put between digits."""
    for text in _entries("phones", "number", "label")(card):
        yield text
        yield re.sub(r"[\s().-]", "", text)


def _all_texts(card: Object) -> Iterator[str]:
    waiting: list[Any] = [value for key, value in card.items() if key not in _UNSEEN]
    yield full_name(card)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [inner for key, inner in value.items() if key not in {"@type", "kind"}]
            waiting += [key for key, inner in value.items() if inner is True]
        elif isinstance(value, list):
            waiting += value


_TEXTS: Final[Mapping[str, Callable[[Object], Iterator[str]]]] = {
    "text": _all_texts,
    "name": _names(""),
    "name/given": _names("given"),
    "name/surname": _names("surname"),
    "name/surname2": _names("surname2"),
    "nickname": _entries("nicknames", "name"),
    "organization": _organizations,
    "email": _entries("emails", "address", "label"),
    "phone": _phones,
    "onlineService": _entries("onlineServices", "service", "uri", "user", "label"),
    "address": _addresses,
    "note": _entries("notes", "note"),
}
