"""What AddressBook/set says of `shareWith` (RFC 9610 §2), beside what is kept of a book itself."""

from __future__ import annotations

from typing import Any

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import Thing
from posthouse.errors import Conflict, NotFound, Temporary
from posthouse.jmap import ids, sharing
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.shared_contacts import ADDRESS_BOOKS, LETTER, without_path
from posthouse.jmap.standard import SetAnswer
from posthouse.store.interface import PutItem

Object = dict[str, Any]
Wanted = dict[int, frozenset[str]]


class BookShares:
    """Of one call: first what is wanted is taken out of the arguments, then what succeeded is done."""

    def __init__(self, context: Context, account_id: int, titles: dict[str, str]) -> None:
        """`titles`: the names of the books that are there, by id."""
        self._context = context
        self._account_id = account_id
        self._titles = titles
        self._new: dict[str, Wanted] = {}
        self._changed: dict[str, Wanted] = {}
        self._not_created: Object = {}
        self._not_updated: Object = {}

    async def of_new(self, create: dict[str, Object]) -> dict[str, Object] | None:
        """New books without it."""
        left: dict[str, Object] = {}
        for creation_id, given in create.items():
            plain, about = without_path(given, "shareWith")
            try:
                wanted = about.get("shareWith")
                self._new[creation_id] = await sharing.wanted_shares(self._context, ADDRESS_BOOKS, wanted)
                left[creation_id] = plain
            except Rejected as fault:
                self._not_created[creation_id] = fault.error()
        return left or None

    async def of_changed(self, update: dict[str, Object]) -> dict[str, Object] | None:
        """Patches without it."""
        left: dict[str, Object] = {}
        shares = await sharing.shares_of(self._context, self._account_id, ADDRESS_BOOKS)
        for name, patch in update.items():
            plain, about = without_path(patch, "shareWith")
            old = sharing.share_with(ADDRESS_BOOKS, shares.get(ids.decode(LETTER, name) or 0, {}))
            try:
                new = apply_patch({"shareWith": old}, about).get("shareWith")
                if new != old:
                    self._changed[name] = await sharing.wanted_shares(self._context, ADDRESS_BOOKS, new)
                left[name] = plain
            except Rejected as fault:
                self._not_updated[name] = fault.error()
        return left or None

    async def give(self, answer: SetAnswer) -> None:
        """Share what was made and changed, and take back what is gone."""
        answer.not_created = ((answer.not_created or {}) | self._not_created) or None
        answer.not_updated = ((answer.not_updated or {}) | self._not_updated) or None
        done = {each["id"]: self._new[key] for key, each in (answer.created or {}).items() if self._new[key]}
        done |= {name: self._changed[name] for name in answer.updated or {} if name in self._changed}
        for name, wanted in done.items():
            try:
                await self._share(name, wanted)
            except Rejected as fault:
                # A book that was made stays, unshared; what was wanted of another is told.
                answer.not_updated = (answer.not_updated or {}) | {name: fault.error()}
                (answer.updated or {}).pop(name, None)
        shares = await sharing.shares_of(self._context, self._account_id, ADDRESS_BOOKS)
        for name in answer.destroyed or ():
            if (number := ids.decode(LETTER, name) or 0) in shares:
                await self._commit(Thing(ADDRESS_BOOKS, number, self._titles.get(name, "")), {})

    async def _share(self, name: str, wanted: Wanted) -> None:
        number = ids.decode(LETTER, name) or 0
        items = await self._context.store.items(self._account_id, ADDRESS_BOOKS.name, [number])
        if items:
            title = str(msgspec.json.decode(items[0].data)["name"])
            await self._commit(Thing(ADDRESS_BOOKS, number, title), wanted)

    async def _commit(self, thing: Thing, wanted: Wanted) -> None:
        """In one commit with the book itself, which is another for its owner's clients too."""
        store = self._context.store
        for _ in range(limits.JMAP_RETRIES):
            ops = await sharing.operations(self._context, thing, wanted)
            for item in await store.items(self._account_id, ADDRESS_BOOKS.name, [thing.number]):
                key = {"account_id": self._account_id, "kind": item.kind, "item_id": item.item_id}
                ops.append(PutItem(**key, data=item.data, unchanged_since=item.modseq))  # type: ignore[arg-type]
            try:
                await store.commit(*ops)
                return
            except (Conflict, NotFound):
                continue
        raise Temporary("Rights are being changed by somebody else, try again.")
