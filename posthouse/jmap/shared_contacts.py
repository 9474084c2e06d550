"""Somebody else's contacts as a grant shows them: some address books, and of each card what is in these (RFC 9610).

For reading: cards can be looked at, searched and copied into one's own account. The state is of all the account's
contacts together with the grant; what has changed since another one is not told (RFC 8620 §5.2 permits it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import Shareable, Thing
from posthouse.errors import Conflict, Temporary
from posthouse.jmap import card_media, ids, sharing
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import ChangesAnswer, ChangesArguments, SetAnswer, SetArguments, check_set
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Share

Object = dict[str, Any]
LETTER: Final = "B"
"""Of an address book's id."""
ADDRESS_BOOKS: Final = Shareable(
    name="AddressBook",
    field="address_books",
    letter=LETTER,
    rights=frozenset({"mayRead", "mayWrite", "mayShare", "mayDelete"}),
    reads="mayRead",
    withheld=frozenset({"mayWrite", "mayShare", "mayDelete"}),
)


class SharedContacts:
    """What somebody sees of an account's contacts."""

    def __init__(self, grant: Item) -> None:
        self._modseq = grant.modseq
        self._books: Mapping[int, Share] = grants.decode(grant.data).address_books
        self._names = {ids.encode(LETTER, number) for number in self._books}
        self.audience = (grant.account_id, grant.item_id, grant.modseq)

    def book(self, book: Object) -> Object | None:
        """An address book as it shows; None: it does not."""
        share = self._books.get(ids.decode(LETTER, book["id"]) or 0)
        if share is None:
            return None
        rights = {right: right in share.rights for right in sorted(ADDRESS_BOOKS.rights)}
        mine = {"isDefault": False, "isSubscribed": share.subscribed, "shareWith": None, "myRights": rights}
        return book | mine

    def card(self, card: Object) -> Object | None:
        """A card with the address books that show; None: it is in none of these."""
        here = {name: True for name in card["addressBookIds"] if name in self._names}
        return card | {"addressBookIds": here} if here else None

    def see(self, kind: str, value: Object) -> Object | None:
        """An object as a client sees it; None: it does not."""
        if kind == ADDRESS_BOOKS.name:
            return self.book(value)
        seen = self.card(value)
        return None if seen is None else card_media.shown(seen)

    def state(self, latest: int) -> str:
        """The state of a kind whose latest mod-sequence this is."""
        return f"{latest}-{self._modseq}"

    def changes(self, arguments: ChangesArguments, latest: int) -> ChangesAnswer:
        """Nothing, or MethodError cannotCalculateChanges."""
        state = self.state(latest)
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


def contacts_of(context: Context, account_id: int) -> SharedContacts | None:
    """What shows of an account's contacts; None: it is one's own, and all does."""
    return None if context.is_own(account_id) else SharedContacts(context.grant(account_id))


def without_path(patch: Object, name: str) -> tuple[Object, Object]:
    """(a patch without what it says of a property, what it says of that)."""
    about = {path: value for path, value in patch.items() if path.partition("/")[0] == name}
    return {path: value for path, value in patch.items() if path not in about}, about


async def set_subscriptions(context: Context, arguments: SetArguments, account_id: int) -> SetAnswer:
    """AddressBook/set on somebody else's: whether one wants to see a book, and nothing else."""

    async def state() -> str:
        latest = (await context.store.states(account_id)).kinds.get(ADDRESS_BOOKS.name, 0)
        return SharedContacts(context.grant(account_id)).state(latest)

    answer = SetAnswer(account_id=arguments.account_id, old_state=await state())
    check_set(arguments, answer.old_state or "")
    refusal = {"type": "forbidden", "description": "that is the owner's"}
    answer.not_created = dict.fromkeys(arguments.create or {}, refusal)
    answer.not_destroyed = dict.fromkeys(context.ids_of(arguments.destroy), refusal)
    answer.updated, answer.not_updated = {}, {}
    for name, patch in context.by_id(arguments.update).items():
        try:
            await _subscribe(context, account_id, name, patch)
            answer.updated[name] = None
        except Rejected as fault:
            answer.not_updated[name] = fault.error()
    answer.new_state = await state()
    answer.tidy()
    return answer


async def _subscribe(context: Context, account_id: int, name: str, patch: Object) -> None:
    number = ids.decode(LETTER, name) or 0
    items = await context.store.items(account_id, ADDRESS_BOOKS.name, [number])
    for _ in range(limits.JMAP_RETRIES):
        contacts = SharedContacts(context.grant(account_id))
        stored = [msgspec.json.decode(item.data) | {"id": name} for item in items]
        old = contacts.book(stored[0]) if stored else None
        if old is None:
            raise Rejected("notFound")
        new = apply_patch(old, patch)
        wanted = new.get("isSubscribed", False)
        if {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)} - {"isSubscribed"}:
            raise Rejected("forbidden", "only isSubscribed is yours to set")
        if not isinstance(wanted, bool):
            raise invalid("it is true or false", "isSubscribed")
        if wanted == old["isSubscribed"]:
            return
        try:
            thing = Thing(ADDRESS_BOOKS, number, str(old["name"]))
            ops = await sharing.subscription(context, account_id, thing, wanted)
            await context.store.commit(*ops)
        except Conflict:
            await context.learn(ids.encode(ids.ACCOUNT, account_id))
            continue
        await context.learn(ids.encode(ids.ACCOUNT, account_id))
        return
    raise Temporary("Rights are being changed by somebody else, try again.")
