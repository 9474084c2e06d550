"""Contacts in and out as vCard files: `VCard/import` and `VCard/export` (docs/jmap-extensions.md), both over blobs.

A file comes in card by card: what is no contact is told with its place in the file, the rest is kept. A card that is
there already (by its uid) is passed over or replaced, so the same file may come twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.jmap import blobs, contacts, ids
from posthouse.jmap.card_from_vcard import card_of
from posthouse.jmap.card_media import CARD
from posthouse.jmap.card_shelf import KIND
from posthouse.jmap.card_to_vcard import vcard_of
from posthouse.jmap.contacts import BOOKS, CARDS
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected
from posthouse.jmap.item_type import encoded
from posthouse.jmap.jscontact import full_name
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer
from posthouse.message.vcard import VCardError, read_cards
from posthouse.store.account_model import Item
from posthouse.store.interface import AddUpload, PutItem
from posthouse.store.model import Content

Object = dict[str, Any]
MEDIA_TYPE: Final = "text/vcard"
_TOLD: Final = 100
"""Cards that were not taken of which the answer says why."""


class ImportArguments(Arguments, kw_only=True):
    """`VCard/import`."""

    blob_id: str
    address_book_id: str | None = None
    """None: the default one."""
    on_existing: Literal["skip", "replace"] = "skip"


class ImportAnswer(Answer, kw_only=True):
    """`VCard/import`."""

    created: list[str]
    updated: list[str]
    skipped: int
    """Cards that are there already."""
    not_created: list[Object]
    """Of the first that were not taken: `index` in the file, `name`, and the SetError."""
    not_created_total: int
    new_state: str


class ExportArguments(Arguments, kw_only=True):
    """`VCard/export`: these cards, or those of an address book, or all."""

    ids: list[str] | None = None
    address_book_id: str | None = None
    version: Literal["4.0", "3.0"] = "4.0"


class ExportAnswer(Answer, kw_only=True):
    """`VCard/export`."""

    blob_id: str
    type: str
    size: int
    count: int


async def import_cards(context: Context, arguments: ImportArguments) -> ImportAnswer:
    """`VCard/import`. MethodError blobNotFound, invalidArguments, tooLarge."""
    account_id = context.account_number(arguments.account_id)
    await contacts.ensure_first(context, account_id)
    books = {each["id"]: each for each in await BOOKS.objects(context, account_id)}
    book = context.resolve_id(arguments.address_book_id) if arguments.address_book_id is not None else None
    if arguments.address_book_id is None:
        book = next((name for name, each in books.items() if each["isDefault"]), None)
    if book not in books or book is None:
        raise MethodError("invalidArguments", "there is no such address book")
    cards = await _cards_of(context, account_id, arguments.blob_id)
    importer = _Importer(context, account_id, book, frozenset(books))
    shelf = await context.services.cards.of(account_id)
    numbered = list(enumerate(cards))
    for start in range(0, len(numbered), limits.VCARD_BATCH):
        some = numbered[start : start + limits.VCARD_BATCH]
        await importer.take(some, shelf.uids, replace=arguments.on_existing == "replace")
    return ImportAnswer(
        account_id=arguments.account_id,
        created=importer.created,
        updated=importer.updated,
        skipped=importer.skipped,
        not_created=importer.refused[:_TOLD],
        not_created_total=len(importer.refused),
        new_state=str(await CARDS.state(context, account_id)),
    )


async def _cards_of(context: Context, account_id: int, blob_id: str) -> list[Object]:
    """The cards of a file."""
    blob = await blobs.find(context, account_id, context.resolve_id(blob_id) or "")
    if blob is None:
        raise MethodError("blobNotFound", "there is no such blob")
    if blob.size > context.services.message_size:
        raise MethodError("tooLarge", f"at most {context.services.message_size} octets")
    octets = await blobs.octets_of(context, blob)
    try:
        cards = await asyncio.to_thread(_read, octets)
    except VCardError as fault:
        raise MethodError("invalidArguments", fault.public) from fault
    if len(cards) > limits.CONTACT_CARDS:
        raise MethodError("tooLarge", f"at most {limits.CONTACT_CARDS} cards")
    return cards


def _read(octets: bytes) -> list[Object]:
    return [card_of(properties) for properties in islice(read_cards(octets), limits.CONTACT_CARDS + 1)]


class _Importer:
    """What becomes of each card of a file."""

    def __init__(self, context: Context, account_id: int, book: str, books: frozenset[str]) -> None:
        self._context = context
        self._account_id = account_id
        self._book = book
        self._books = books
        self._seen: set[str] = set()
        self.created: list[str] = []
        self.updated: list[str] = []
        self.skipped = 0
        self.refused: list[Object] = []

    async def take(self, some: Sequence[tuple[int, Object]], uids: dict[str, int], *, replace: bool) -> None:
        """Keep some cards in one commit."""
        context = self._context
        numbers = [uids[card["uid"]] for _, card in some if card["uid"] in uids]
        items = {item.item_id: item for item in await context.store.items(self._account_id, KIND, numbers)}
        room = CARDS.most - len(uids) - len(self.created)
        ops: list[PutItem] = []
        for index, card in some:
            number = uids.get(card["uid"])
            if card["uid"] in self._seen or (number is not None and not replace):
                self.skipped += 1
                continue
            self._seen.add(card["uid"])
            try:
                if number is None and sum(op.item_id is None for op in ops) >= room:
                    raise Rejected("overQuota", f"at most {CARDS.most} contacts")
                ops.append(await self._put(card, items.get(number) if number is not None else None))
            except Rejected as fault:
                self.refused.append({"index": index, "name": full_name(card)} | fault.error())
        try:
            kept = await context.store.commit(*ops) if ops else []
        except Conflict as fault:
            raise MethodError(
                "serverPartialFail", "the contacts were changed meanwhile: bring it again"
            ) from fault
        for op, item in zip(ops, kept, strict=True):
            (self.created if op.item_id is None else self.updated).append(ids.encode(CARD, item.item_id))

    async def _put(self, card: Object, item: Item | None) -> PutItem:
        """What keeps one card. Rejected."""
        old = CARDS.object_of(item) if item is not None else None
        within = old["addressBookIds"] if old is not None else {self._book: True}
        whole = CARDS.shaped(card | {"addressBookIds": within}, None)
        kept = await contacts.complete(self._context, self._account_id, whole, old, self._books)
        return PutItem(
            account_id=self._account_id,
            kind=KIND,
            data=encoded(kept),
            item_id=item.item_id if item is not None else None,
            unchanged_since=item.modseq if item is not None else None,
        )


async def export_cards(context: Context, arguments: ExportArguments) -> ExportAnswer:
    """`VCard/export`: a blob of them, by number. MethodError invalidArguments, requestTooLarge."""
    account_id = context.account_number(arguments.account_id)
    numbers: list[int] | None = None
    if arguments.ids is not None:
        if len(arguments.ids) > limits.CONTACT_CARDS:
            raise MethodError("requestTooLarge", f"at most {limits.CONTACT_CARDS} cards")
        decoded = [ids.decode(CARD, context.resolve_id(each) or "") for each in arguments.ids]
        numbers = [number for number in decoded if number is not None]
        if len(numbers) < len(decoded):
            raise MethodError("invalidArguments", "there is no such contact")
    items = await context.store.items(account_id, KIND, numbers)
    written = await asyncio.to_thread(_write, items, arguments.address_book_id, arguments.version)
    octets = b"".join(written)
    upload = await context.store.apply(
        AddUpload(
            account_id=account_id,
            content=Content.of(octets),
            media_type=MEDIA_TYPE,
            created_at=int(context.services.now()),
        )
    )
    return ExportAnswer(
        account_id=arguments.account_id,
        blob_id=ids.encode(blobs.UPLOAD, upload.upload_id),
        type=MEDIA_TYPE,
        size=len(octets),
        count=len(written),
    )


def _write(items: Sequence[Item], book: str | None, version: str) -> list[bytes]:
    def wanted() -> Iterator[Object]:
        for item in items:
            card = msgspec.json.decode(item.data, type=dict[str, Any])
            if book is None or book in card["addressBookIds"]:
                yield card

    return [vcard_of(card, version) for card in wanted()]
