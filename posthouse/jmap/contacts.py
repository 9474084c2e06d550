"""JMAP for Contacts (RFC 9610): address books, and cards in JSContact's form (RFC 9553).

Every account has one address book from the start; the default one cannot be taken away, and a card is in at least
one. Cards keep every property that RFC 9553 names, checked in its shape.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.item_type import ItemType, encoded
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    QueryAnswer,
    QueryArguments,
    SetAnswer,
    SetArguments,
    leaves,
    query_answer,
)
from posthouse.store.interface import PutItem

Object = dict[str, Any]
Parts = dict[str, dict[str, Any]] | None
"""Id → object, as JSContact lists things (RFC 9553 §1.4.1)."""
Marks = dict[str, bool] | None

FIRST: Final = 1
"""The number of the address book that every account has."""


class Rights(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9610 §2, AddressBookRights."""

    may_read: bool = True
    may_write: bool = True
    may_share: bool = False
    may_delete: bool = True


class AddressBook(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9610 §2."""

    name: str
    description: str | None = None
    sort_order: int = 0
    is_default: bool = False
    is_subscribed: bool = True
    share_with: dict[str, Any] | None = None
    my_rights: Rights = msgspec.field(default_factory=Rights)


class ContactCard(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """RFC 9610 §3: a Card of RFC 9553 §2 with the address books that it is in."""

    address_book_ids: dict[str, bool]
    type_: str = msgspec.field(default="Card", name="@type")
    version: str = "1.0"
    uid: str | None = None
    kind: str | None = None
    created: str | None = None
    updated: str | None = None
    language: str | None = None
    prod_id: str | None = None
    members: Marks = None
    related_to: Parts = None
    name: dict[str, Any] | None = None
    nicknames: Parts = None
    organizations: Parts = None
    speak_to_as: dict[str, Any] | None = None
    titles: Parts = None
    emails: Parts = None
    online_services: Parts = None
    phones: Parts = None
    preferred_languages: Parts = None
    calendars: Parts = None
    scheduling_addresses: Parts = None
    addresses: Parts = None
    crypto_keys: Parts = None
    directories: Parts = None
    links: Parts = None
    media: Parts = None
    localizations: dict[str, dict[str, Any]] | None = None
    anniversaries: Parts = None
    keywords: Marks = None
    notes: Parts = None
    personal_info: Parts = None


async def _put_book(context: Context, account_id: int, new: Object, old: Object | None) -> Object:
    if not str(new["name"]).strip() or len(str(new["name"])) > limits.CONTACT_TEXT:
        raise invalid("a name has some characters", "name")
    if new.get("shareWith"):
        raise Rejected("forbidden", "address books are not shared here")
    return new


async def _put_card(context: Context, account_id: int, new: Object, old: Object | None) -> Object:
    books = {each["id"] for each in await BOOKS.objects(context, account_id)}
    wanted = new["addressBookIds"]
    if not wanted or not all(value is True for value in wanted.values()) or not set(wanted) <= books:
        raise invalid("a card is in one or more of your address books", "addressBookIds")
    if new["@type"] != "Card" if "@type" in new else False:
        raise invalid("it is a Card", "@type")
    new.setdefault("@type", "Card")
    new.setdefault("version", "1.0")
    if old is not None and new.get("uid") != old.get("uid"):
        raise invalid("a uid stays", "uid")
    new["uid"] = new.get("uid") or f"urn:uuid:{uuid.uuid4()}"
    for each in (new.get("emails") or {}).values():
        if not isinstance(each.get("address"), str) or len(each["address"]) > limits.CONTACT_TEXT:
            raise invalid("an e-mail has an address", "emails")
    for each in (new.get("phones") or {}).values():
        if not isinstance(each.get("number"), str):
            raise invalid("a telephone has a number", "phones")
    if len(encoded(new)) > limits.CONTACT_CARD:
        raise Rejected("tooLarge", f"at most {limits.CONTACT_CARD} octets")
    return new


BOOKS: Final = ItemType(
    "AddressBook",
    "B",
    AddressBook,
    server_set=frozenset({"isDefault", "myRights"}),
    most=limits.ADDRESS_BOOKS,
    put=_put_book,
)
CARDS: Final = ItemType("ContactCard", "K", ContactCard, most=limits.CONTACT_CARDS, put=_put_card)


async def _ensure_first(context: Context, account_id: int) -> None:
    """Make the account's own address book when it was never made."""
    if await BOOKS.state(context, account_id):
        return
    first = msgspec.to_builtins(
        AddressBook(name="Contacts", is_default=True, my_rights=Rights(may_delete=False))
    )
    put = PutItem(
        account_id=account_id,
        kind=BOOKS.kind,
        item_id=FIRST,
        new=True,
        data=encoded(first),
        unchanged_since=0,
    )
    try:
        await context.store.apply(put)
    except Conflict:
        pass  # another request was faster


async def get_books(context: Context, arguments: GetArguments) -> GetAnswer:
    """AddressBook/get (RFC 9610 §2.1)."""
    await _ensure_first(context, context.account_number(arguments.account_id))
    return await BOOKS.get(context, arguments)


async def book_changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """AddressBook/changes (RFC 9610 §2.2)."""
    await _ensure_first(context, context.account_number(arguments.account_id))
    return await BOOKS.changes(context, arguments)


class SetBooksArguments(SetArguments, kw_only=True):
    """RFC 9610 §2.3."""

    on_destroy_remove_contents: bool = False
    on_success_set_is_default: str | None = None


async def set_books(context: Context, arguments: SetBooksArguments) -> SetAnswer:
    """AddressBook/set (RFC 9610 §2.3)."""
    account_id = context.account_number(arguments.account_id)
    await _ensure_first(context, account_id)
    if arguments.on_success_set_is_default is not None:
        raise MethodError("invalidArguments", "the default address book stays the default here")
    refused: Object = {}
    allowed: list[str] = []
    cards = await CARDS.objects(context, account_id) if arguments.destroy else []
    for name in arguments.destroy or ():
        inside = [card for card in cards if name in card["addressBookIds"]]
        if name == f"{BOOKS.letter}{FIRST}":
            refused[name] = {"type": "forbidden", "description": "the default address book stays"}
        elif inside and not arguments.on_destroy_remove_contents:
            refused[name] = {"type": "addressBookHasContents"}
        else:
            allowed.append(name)
            await _leave(context, arguments, name, inside)
    plain = SetArguments(
        account_id=arguments.account_id,
        if_in_state=arguments.if_in_state,
        create=arguments.create,
        update=arguments.update,
        destroy=allowed or None,
    )
    answer = await BOOKS.set(context, plain)
    if refused:
        answer.not_destroyed = (answer.not_destroyed or {}) | refused
    return answer


async def _leave(context: Context, arguments: SetArguments, name: str, inside: list[Object]) -> None:
    """Take cards out of a book that goes; those that are in no other go with it."""
    alone = [card["id"] for card in inside if len(card["addressBookIds"]) == 1]
    others = [card["id"] for card in inside if len(card["addressBookIds"]) > 1]
    change: Object = {f"addressBookIds/{name}": None}
    await CARDS.set(
        context,
        SetArguments(
            account_id=arguments.account_id,
            update=dict.fromkeys(others, change) or None,
            destroy=alone or None,
        ),
    )


async def set_cards(context: Context, arguments: SetArguments) -> SetAnswer:
    """ContactCard/set (RFC 9610 §3.5)."""
    await _ensure_first(context, context.account_number(arguments.account_id))
    return await CARDS.set(context, arguments)


_CONDITIONS: Final = frozenset({"inAddressBook", "uid", "kind", "text", "name", "email", "phone"})


async def query_cards(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """ContactCard/query (RFC 9610 §3.3), by name."""
    account_id = context.account_number(arguments.account_id)
    for leaf in leaves(arguments.filter):
        if unknown := sorted(set(leaf) - _CONDITIONS):
            raise MethodError("unsupportedFilter", f"no such condition: {', '.join(unknown)}")
    for comparator in arguments.sort or ():
        if comparator.property not in {"name", "created", "updated"}:
            raise MethodError("unsupportedSort", comparator.property)
    found = [c for c in await CARDS.objects(context, account_id) if _matches(arguments.filter, c)]
    found.sort(key=lambda card: (full_name(card).casefold(), card["id"]))
    for comparator in reversed(arguments.sort or []):
        name, reverse = comparator.property, not comparator.is_ascending
        found.sort(key=lambda card: _sort_key(card, name), reverse=reverse)
    state = str(await CARDS.state(context, account_id))
    return query_answer(arguments, state, [card["id"] for card in found], can_calculate=False)


def _sort_key(card: Object, name: str) -> str:
    return full_name(card).casefold() if name == "name" else str(card.get(name) or "")


def _matches(tree: Object | None, card: Object) -> bool:
    if tree is None:
        return True
    if "operator" in tree:
        inner = [_matches(each, card) for each in tree["conditions"]]
        return {"AND": all(inner), "OR": any(inner), "NOT": not any(inner)}[tree["operator"]]
    return all(_holds(name, value, card) for name, value in tree.items())


def _holds(name: str, value: Any, card: Object) -> bool:
    wanted = str(value).casefold()
    texts = {
        "name": [full_name(card)],
        "email": [str(each.get("address", "")) for each in (card.get("emails") or {}).values()],
        "phone": [str(each.get("number", "")) for each in (card.get("phones") or {}).values()],
    }
    match name:
        case "inAddressBook":
            return value in card["addressBookIds"]
        case "uid" | "kind":
            return bool(card.get(name) == value)
        case "text":
            return wanted in encoded(card).decode().casefold()
        case _:
            return any(wanted in text.casefold() for text in texts[name])


def full_name(card: Object) -> str:
    """The name as one says it: `full`, else its components in order (RFC 9553 §2.2.1)."""
    name = card.get("name") or {}
    if isinstance(name.get("full"), str):
        return str(name["full"])
    parts = name.get("components")
    if not isinstance(parts, list):
        return ""
    return " ".join(str(part.get("value", "")) for part in parts if isinstance(part, dict))
