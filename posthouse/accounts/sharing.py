"""Giving others rights to a mailbox or an address book, by JMAP's `shareWith` or IMAP's SETACL: kept as grants.

Everything that one change of rights means is one commit (RFC 9670 §4): the owner's grant, the other's item by which
they find the account, and the ShareNotification that tells them. Who may be given anything is somebody of the owner's
domain: another domain of this house is a stranger (RFC 9670 §6.4). A commit answers Conflict when rights were changed
by somebody else at the same moment: then the operations are to be asked for anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts import mailbox_rights, object_ids, share_notices
from posthouse.errors import Conflict, OverQuota
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import Op, PutItem, RemoveItem, Store
from posthouse.store.model import SEPARATOR, Account, Mailbox

Shares = dict[int, Share]
"""Account → what it may do."""


class Shareable(msgspec.Struct, frozen=True):
    """A type whose objects can be shared."""

    name: str
    """Of the type."""
    field: str
    """Of `Grant`."""
    letter: str
    """Of ids."""
    rights: frozenset[str]
    reads: str
    """The right without which there are no others."""
    withheld: frozenset[str] = frozenset()
    """Rights that cannot be given."""

    def shares(self, grant: Grant) -> dict[int, Share]:
        """What a grant says of such objects."""
        found: dict[int, Share] = getattr(grant, self.field)
        return found


MAILBOXES: Final = Shareable(
    name="Mailbox",
    field="mailboxes",
    letter=object_ids.MAILBOX,
    rights=frozenset(mailbox_rights.NAMES),
    reads=mailbox_rights.READ,
    withheld=mailbox_rights.NOT_GIVEN,
)


class Thing(msgspec.Struct, frozen=True):
    """One of them."""

    kind: Shareable
    number: int
    name: str


class Sharer(msgspec.Struct, frozen=True):
    """Whoever shares something, and when."""

    store: Store
    owner: Account
    now: float


def mailbox_thing(box: Mailbox) -> Thing:
    """What others are told of a mailbox: its name without those above it, which they may not know."""
    return Thing(MAILBOXES, box.mailbox_id, box.name.rpartition(SEPARATOR)[2])


def domain_of(account: Account) -> str:
    """The domain of an account's address."""
    return account.address.rpartition("@")[2]


def may_be_given(owner: Account, other: Account | None) -> bool:
    """Whether an owner can share with somebody."""
    return (
        other is not None
        and not other.disabled
        and other.account_id != owner.account_id
        and domain_of(other) == domain_of(owner)
    )


async def shares_of(store: Store, account_id: int, kind: Shareable) -> dict[int, Shares]:
    """Object → account → what that may do, of all that an account shares."""
    if not (await store.states(account_id)).kinds.get(grants.KIND):
        return {}
    found: dict[int, Shares] = {}
    for item in await store.items(account_id, grants.KIND):
        for number, share in kind.shares(grants.decode(item.data)).items():
            found.setdefault(number, {})[item.item_id] = share
    return found


async def operations(sharer: Sharer, thing: Thing, wanted: Mapping[int, frozenset[str]]) -> list[Op[Any]]:
    """What gives exactly these rights to one of the owner's objects. OverQuota."""
    items = await _items(sharer)
    _refuse_too_many(items.keys() | wanted.keys())
    ops: list[Op[Any]] = []
    for other in sorted(items.keys() | wanted.keys()):
        ops += await _change(sharer, thing, other, items.get(other), wanted.get(other, frozenset()))
    return ops


async def operations_for(
    sharer: Sharer, thing: Thing, other: int, change: Callable[[frozenset[str]], frozenset[str]]
) -> list[Op[Any]]:
    """What changes the rights of one account to one of the owner's objects, and nobody else's. OverQuota."""
    items = await _items(sharer)
    item = items.get(other)
    before = thing.kind.shares(grants.decode(item.data)).get(thing.number) if item is not None else None
    wanted = change(frozenset(before.rights if before is not None else ()))
    others = sum(thing.number in thing.kind.shares(grants.decode(each.data)) for each in items.values())
    if wanted:
        _refuse_too_many(items.keys() | {other})
    if wanted and before is None and others >= limits.SHARES:
        raise OverQuota(f"At most {limits.SHARES} may share one object.")
    return await _change(sharer, thing, other, item, wanted)


async def _items(sharer: Sharer) -> dict[int, Item]:
    return {item.item_id: item for item in await sharer.store.items(sharer.owner.account_id, grants.KIND)}


def _refuse_too_many(others: set[int]) -> None:
    if len(others) > limits.GRANTS:
        raise OverQuota(f"At most {limits.GRANTS} accounts may share something of one.")


async def _change(
    sharer: Sharer, thing: Thing, other: int, item: Item | None, wanted: frozenset[str]
) -> list[Op[Any]]:
    """What gives one account these rights; nothing where it has them."""
    owner = sharer.owner
    grant = grants.decode(item.data) if item is not None else Grant()
    before = thing.kind.shares(grant).get(thing.number)
    rights = tuple(sorted(wanted))
    if rights == (before.rights if before is not None else ()):
        return []
    shares = {n: share for n, share in thing.kind.shares(grant).items() if n != thing.number}
    if rights:
        subscribed = before is not None and before.subscribed
        shares[thing.number] = Share(rights=rights, subscribed=subscribed)
    after = msgspec.structs.replace(grant, **{thing.kind.field: shares}, rights_since=0)
    ops: list[Op[Any]] = [_put(owner.account_id, other, item, after)]
    if await sharer.store.account_by_id(other) is None:
        return ops
    told = _told(thing, before, rights)
    ops += await _found_by(sharer, other, after)
    return ops + await share_notices.operations(sharer.store, owner, other, told, sharer.now)


def _put(owner: int, other: int, item: Item | None, grant: Grant) -> PutItem:
    return PutItem(
        account_id=owner,
        kind=grants.KIND,
        item_id=other,
        new=item is None,
        data=grants.encode(grant),
        unchanged_since=item.modseq if item is not None else 0,
    )


async def _found_by(sharer: Sharer, other: int, grant: Grant) -> list[Op[Any]]:
    """The other's item by which they find the account; it is written anew with each change, so that they hear."""
    owner = sharer.owner.account_id
    present = await sharer.store.items(other, grants.RECEIVED)
    is_known = any(item.item_id == owner for item in present)
    key = {"account_id": other, "kind": grants.RECEIVED, "item_id": owner}
    if grant.is_empty:
        return [RemoveItem(**key)] if is_known else []  # type: ignore[arg-type]
    if not is_known and len(present) >= limits.SHARED_ACCOUNTS:
        raise OverQuota(f"Nobody can see more than {limits.SHARED_ACCOUNTS} accounts.")
    return [PutItem(**key, new=True, data=b"{}")]  # type: ignore[arg-type]


def _told(thing: Thing, before: Share | None, rights: tuple[str, ...]) -> share_notices.Told:
    return share_notices.Told(
        object_type=thing.kind.name,
        object_id=object_ids.encode(thing.kind.letter, thing.number),
        name=thing.name,
        old_rights=_shown(thing.kind, before.rights if before is not None else ()),
        new_rights=_shown(thing.kind, rights),
    )


def _shown(kind: Shareable, rights: tuple[str, ...]) -> dict[str, bool] | None:
    return {right: right in rights for right in sorted(kind.rights)} if rights else None


async def subscription(
    store: Store, owner: int, caller: int, thing: Thing, subscribed: bool
) -> list[Op[Any]]:
    """What notes whether somebody wants to see an object of somebody else's (RFC 9670 §1.4). Conflict: it is gone."""
    items = await store.items(owner, grants.KIND, [caller])
    grant = grants.decode(items[0].data) if items else Grant()
    shares = dict(thing.kind.shares(grant))
    if thing.number not in shares:
        raise Conflict("It was changed meanwhile.")
    shares[thing.number] = msgspec.structs.replace(shares[thing.number], subscribed=subscribed)
    since = grants.rights_since(items[0])
    after = msgspec.structs.replace(grant, **{thing.kind.field: shares}, rights_since=since)
    found = PutItem(account_id=caller, kind=grants.RECEIVED, item_id=owner, new=True, data=b"{}")
    return [_put(owner, caller, items[0], after), found]


async def inheritance(
    store: Store, owner: int, parent: int, child: int, *, caller: int, subscribed: bool
) -> list[Op[Any]]:
    """What shares a new mailbox with all with whom its parent is shared; `subscribed`: whether who made it sees it."""
    ops: list[Op[Any]] = []
    for item in await store.items(owner, grants.KIND):
        grant = grants.decode(item.data)
        if parent not in grant.mailboxes:
            continue
        wanted = subscribed if item.item_id == caller else grant.mailboxes[parent].subscribed
        share = msgspec.structs.replace(grant.mailboxes[parent], subscribed=wanted)
        after = msgspec.structs.replace(grant, mailboxes=grant.mailboxes | {child: share}, rights_since=0)
        ops.append(_put(owner, item.item_id, item, after))
    return ops
