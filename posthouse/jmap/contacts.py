"""JMAP for Contacts (RFC 9610): address books, and cards in JSContact's form (RFC 9553).

Every account has one address book from the start; the default one cannot be taken away, and a card is in at least
one. Cards keep every property that RFC 9553 names, checked in its shape.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.jmap import blobs, dates, ids, sharing
from posthouse.jmap.book_shares import BookShares
from posthouse.jmap.card_media import CARD, Medium, data_uri, picture_type, read_data_uri, shown
from posthouse.jmap.card_shelf import KIND
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.item_type import ItemType, encoded
from posthouse.jmap.jscontact import entries
from posthouse.jmap.shared_contacts import ADDRESS_BOOKS, contacts_of, set_subscriptions
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    SetAnswer,
    SetArguments,
    check_set,
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
    may_share: bool = True
    may_delete: bool = True


class AddressBook(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9610 §2."""

    name: str
    description: str | None = None
    sort_order: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
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
    v_card_props: list[list[Any]] | None = msgspec.field(default=None, name="vCardProps")
    """RFC 9555 §3.2.1."""


async def _put_book(context: Context, account_id: int, new: Object, old: Object | None) -> Object:
    if not new["name"].strip() or len(new["name"].encode("utf-8", "replace")) > limits.ADDRESS_BOOK_NAME:
        raise invalid(f"a name has 1 to {limits.ADDRESS_BOOK_NAME} octets", "name")
    if len(encoded(new)) > limits.CONTACT_CARD:
        raise Rejected("tooLarge", f"at most {limits.CONTACT_CARD} octets")
    return new


def _shown_book(book: Object) -> Object:
    """The default book stays (`ensure_first` made it, `onSuccessSetIsDefault` may choose another)."""
    return book | {"myRights": msgspec.to_builtins(Rights(may_delete=not book.get("isDefault")))}


async def _put_card(context: Context, account_id: int, new: Object, old: Object | None) -> Object:
    books = frozenset(each["id"] for each in await BOOKS.objects(context, account_id))
    kept = await complete(context, account_id, new, old, books)
    number = (await context.services.cards.of(account_id)).uids.get(kept["uid"])
    # RFC 9610 §3: no two cards of an account have the same uid.
    if number is not None and (old is None or ids.encode(CARD, number) != old["id"]):
        raise invalid("another card has this uid", "uid")
    return kept


async def complete(
    context: Context, account_id: int, new: Object, old: Object | None, books: frozenset[str]
) -> Object:
    """The card as it is kept, with what the server adds. Rejected."""
    wanted = new["addressBookIds"]
    if not wanted or not all(value is True for value in wanted.values()) or not set(wanted) <= books:
        raise invalid("a card is in one or more of your address books", "addressBookIds")
    new = dict(new)
    if new.setdefault("@type", "Card") != "Card":
        raise invalid("it is a Card", "@type")
    new.setdefault("version", "1.0")
    if old is not None and new.get("uid") != old.get("uid"):
        raise invalid("a uid stays", "uid")
    new["uid"] = new.get("uid") or f"urn:uuid:{uuid.uuid4()}"
    now = dates.utc_date(context.services.now())
    if old is None:
        new.setdefault("created", now)
        new.setdefault("updated", now)
    elif new.get("updated") == old.get("updated"):
        new["updated"] = now
    for each in entries(new, "emails"):
        if not isinstance(each.get("address"), str) or len(each["address"]) > limits.CONTACT_TEXT:
            raise invalid("an e-mail has an address", "emails")
    for each in entries(new, "phones"):
        if not isinstance(each.get("number"), str):
            raise invalid("a telephone has a number", "phones")
    if new.get("media"):
        new["media"] = {key: await _medium(context, account_id, entry) for key, entry in new["media"].items()}
    if len(encoded(new)) > limits.CONTACT_CARD:
        raise Rejected("tooLarge", f"at most {limits.CONTACT_CARD} octets")
    return new


async def _medium(context: Context, account_id: int, entry: Object) -> Object:
    """A medium as it is kept: the octets of its blob are in it (RFC 9610 §3.5)."""
    held = read_data_uri(entry.get("uri"))
    blob_id = entry.get("blobId")
    if blob_id is not None:
        blob = await blobs.find(context, account_id, context.resolve_id(str(blob_id)) or "")
        if blob is None:
            raise invalid("there is no such blob", "media")
        if blob.size > limits.CONTACT_PHOTO:
            raise Rejected("tooLarge", f"at most {limits.CONTACT_PHOTO} octets")
        held = Medium(await blobs.octets_of(context, blob), str(entry.get("mediaType") or blob.media_type))
    if held is None:
        return entry
    kind = held.media_type
    if entry.get("kind") in {"photo", "logo"}:
        found = picture_type(held.octets)
        if found is None:
            raise invalid("this is no picture", "media")
        kind = found
    rest = {name: value for name, value in entry.items() if name not in {"blobId", "uri"}}
    return rest | {"uri": data_uri(held.octets, kind), "mediaType": kind}


BOOKS: Final = ItemType(
    "AddressBook",
    "B",
    AddressBook,
    server_set=frozenset({"isDefault", "myRights"}),
    most=limits.ADDRESS_BOOKS,
    put=_put_book,
    show=_shown_book,
    sight=contacts_of,
)
CARDS: Final = ItemType(
    KIND,
    CARD,
    ContactCard,
    most=limits.CONTACT_CARDS,
    put=_put_card,
    show=shown,
    extensible=True,
    sight=contacts_of,
)


async def ensure_first(context: Context, account_id: int) -> None:
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
    account_id = context.account_number(arguments.account_id, opened=Opened.ADDRESS_BOOKS)
    if not context.is_own(account_id):
        return await BOOKS.get(context, arguments)
    await ensure_first(context, account_id)
    answer = await BOOKS.get(context, arguments)
    shares = await sharing.shares_of(context, account_id, ADDRESS_BOOKS)
    for book in answer.list_:
        if "shareWith" in book:
            number = ids.decode(BOOKS.letter, book["id"]) or 0
            book["shareWith"] = sharing.share_with(ADDRESS_BOOKS, shares.get(number, {}))
    return answer


async def book_changes(context: Context, arguments: ChangesArguments) -> ChangesAnswer:
    """AddressBook/changes (RFC 9610 §2.2)."""
    account_id = context.account_number(arguments.account_id, opened=Opened.ADDRESS_BOOKS)
    if context.is_own(account_id):
        await ensure_first(context, account_id)
    return await BOOKS.changes(context, arguments)


class SetBooksArguments(SetArguments, kw_only=True):
    """RFC 9610 §2.3."""

    on_destroy_remove_contents: bool = False
    on_success_set_is_default: str | None = None


async def set_books(context: Context, arguments: SetBooksArguments) -> SetAnswer:
    """AddressBook/set (RFC 9610 §2.3)."""
    account_id = context.account_number(arguments.account_id, opened=Opened.ADDRESS_BOOKS)
    if not context.is_own(account_id):
        return await set_subscriptions(context, arguments, account_id)
    await ensure_first(context, account_id)
    check_set(arguments, str(await BOOKS.state(context, account_id)))
    refused: Object = {}
    allowed: list[str] = []
    books = {each["id"]: each for each in await BOOKS.objects(context, account_id)}
    cards = (await context.services.cards.of(account_id)).cards.values() if arguments.destroy else ()
    for name in context.ids_of(arguments.destroy):
        inside = [card for card in cards if name in card["addressBookIds"]]
        if name in books and books[name]["isDefault"]:
            refused[name] = {"type": "forbidden", "description": "the default address book stays"}
        elif inside and not arguments.on_destroy_remove_contents:
            refused[name] = {"type": "addressBookHasContents"}
        else:
            allowed.append(name)
            await _leave(context, arguments, name, inside)
    shares = BookShares(context, account_id, {name: each["name"] for name, each in books.items()})
    plain = SetArguments(
        account_id=arguments.account_id,
        create=await shares.of_new(arguments.create or {}),
        update=await shares.of_changed(context.by_id(arguments.update)),
        destroy=allowed or None,
    )
    answer = await BOOKS.set(context, plain)
    await shares.give(answer)
    answer.new_state = str(await BOOKS.state(context, account_id))
    if refused:
        answer.not_destroyed = (answer.not_destroyed or {}) | refused
    if not (answer.not_created or answer.not_updated or answer.not_destroyed):
        await _choose_default(context, account_id, arguments.on_success_set_is_default, answer)
    return answer


async def _choose_default(context: Context, account_id: int, name: str | None, answer: SetAnswer) -> None:
    """RFC 9610 §2.3 onSuccessSetIsDefault: what cannot be done is passed over."""
    wanted = ids.decode(BOOKS.letter, context.resolve_id(name) or "") if name is not None else None
    items = {item.item_id: item for item in await context.store.items(account_id, BOOKS.kind)}
    if wanted not in items:
        return
    before = {number: BOOKS.object_of(item)["isDefault"] for number, item in items.items()}
    changed = [number for number in items if before[number] != (number == wanted)]
    ops = [
        PutItem(
            account_id=account_id,
            kind=BOOKS.kind,
            item_id=number,
            data=encoded(BOOKS.object_of(items[number]) | {"isDefault": number == wanted}),
            unchanged_since=items[number].modseq,
        )
        for number in changed
    ]
    try:
        await context.store.commit(*ops)
    except (Conflict, NotFound):
        return  # somebody changes them at this moment
    made = {each["id"]: each for each in (answer.created or {}).values()}
    for number in changed:
        name = ids.encode(BOOKS.letter, number)
        is_default = number == wanted
        told = {"isDefault": is_default, "myRights": msgspec.to_builtins(Rights(may_delete=not is_default))}
        if name in made:
            made[name] |= told
        else:
            answer.updated = (answer.updated or {}) | {name: ((answer.updated or {}).get(name) or {}) | told}
    answer.new_state = str(await BOOKS.state(context, account_id))


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
    await ensure_first(context, context.account_number(arguments.account_id))
    return await CARDS.set(context, arguments)
