"""Giving others rights to a mailbox or an address book: `shareWith` (RFC 9670 §4), kept as grants.

Everything that one change of rights means is one commit: the owner's grant, the other's item by which they find the
account, and the ShareNotification that tells them. Who may be given anything is a Principal of the owner's domain:
another domain of this house is a stranger (RFC 9670 §6.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from posthouse import limits
from posthouse.jmap import ids, principal, share_notification
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import Op, PutItem, RemoveItem
from posthouse.store.model import Account

Object = dict[str, Any]
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


class Thing(msgspec.Struct, frozen=True):
    """One of them."""

    kind: Shareable
    number: int
    name: str


async def shares_of(context: Context, account_id: int, kind: Shareable) -> dict[int, Shares]:
    """Object → account → what that may do, of all that an account shares."""
    if not (await context.store.states(account_id)).kinds.get(grants.KIND):
        return {}
    found: dict[int, Shares] = {}
    for item in await context.store.items(account_id, grants.KIND):
        for number, share in kind.shares(grants.decode(item.data)).items():
            found.setdefault(number, {})[item.item_id] = share
    return found


def share_with(kind: Shareable, shares: Mapping[int, Share]) -> Object | None:
    """The property, null when nothing is shared (RFC 9670 §4)."""
    return {
        ids.encode(principal.LETTER, account_id): {
            right: right in share.rights for right in sorted(kind.rights)
        }
        for account_id, share in shares.items()
    } or None


async def wanted_shares(context: Context, kind: Shareable, value: object) -> dict[int, frozenset[str]]:
    """Account → rights, as a client wants it; only who gets some. Rejected invalidProperties."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid("it is an object or null", "shareWith")
    found: dict[int, frozenset[str]] = {}
    for name, given in value.items():
        other = await principal.account_of(context, name)
        if other is None or other.account_id == context.account.account_id:
            raise invalid("there is no such principal, or it is the owner", "shareWith")
        if not isinstance(given, dict) or not all(isinstance(each, bool) for each in given.values()):
            raise invalid("rights are an object of booleans", "shareWith")
        if unknown := set(given) - kind.rights:
            raise invalid(f"no such right: {', '.join(sorted(unknown))}", "shareWith")
        rights = frozenset(right for right, allowed in given.items() if allowed)
        if rights & kind.withheld:
            raise invalid(f"nobody can be given {', '.join(sorted(rights & kind.withheld))}", "shareWith")
        if rights and kind.reads not in rights:
            raise invalid(f"without {kind.reads} there are no rights", "shareWith")
        if rights:
            found[other.account_id] = rights
    if len(found) > limits.SHARES:
        raise Rejected("overQuota", f"at most {limits.SHARES} may share one object")
    return found


async def operations(context: Context, thing: Thing, wanted: Mapping[int, frozenset[str]]) -> list[Op[Any]]:
    """What gives exactly these rights to one of the caller's objects. Rejected overQuota."""
    owner = context.account
    ops: list[Op[Any]] = []
    items = {item.item_id: item for item in await context.store.items(owner.account_id, grants.KIND)}
    if len(items.keys() | wanted.keys()) > limits.GRANTS:
        raise Rejected("overQuota", f"at most {limits.GRANTS} accounts may share something of one")
    for other in sorted(items.keys() | wanted.keys()):
        item = items.get(other)
        grant = grants.decode(item.data) if item is not None else Grant()
        before = thing.kind.shares(grant).get(thing.number)
        rights = tuple(sorted(wanted.get(other, ())))
        if rights == (before.rights if before is not None else ()):
            continue
        shares = {n: share for n, share in thing.kind.shares(grant).items() if n != thing.number}
        if rights:
            subscribed = before is not None and before.subscribed
            shares[thing.number] = Share(rights=rights, subscribed=subscribed)
        after = msgspec.structs.replace(grant, **{thing.kind.field: shares}, rights_since=0)
        if await context.store.account_by_id(other) is None:
            ops += [_put(owner.account_id, other, item, after)]
            continue
        ops += [_put(owner.account_id, other, item, after), *await _found_by(context, other, after)]
        ops += await share_notification.operations(context, owner, other, _told(thing, owner, before, rights))
    return ops


def _put(owner: int, other: int, item: Item | None, grant: Grant) -> PutItem:
    return PutItem(
        account_id=owner,
        kind=grants.KIND,
        item_id=other,
        new=item is None,
        data=grants.encode(grant),
        unchanged_since=item.modseq if item is not None else 0,
    )


async def _found_by(context: Context, other: int, grant: Grant) -> list[Op[Any]]:
    """The other's item by which they find the account; it is written anew with each change, so that they hear."""
    owner = context.account.account_id
    present = await context.store.items(other, grants.RECEIVED)
    is_known = any(item.item_id == owner for item in present)
    key = {"account_id": other, "kind": grants.RECEIVED, "item_id": owner}
    if grant.is_empty:
        return [RemoveItem(**key)] if is_known else []  # type: ignore[arg-type]
    if not is_known and len(present) >= limits.SHARED_ACCOUNTS:
        raise Rejected("overQuota", f"nobody can see more than {limits.SHARED_ACCOUNTS} accounts")
    return [PutItem(**key, new=True, data=b"{}")]  # type: ignore[arg-type]


def _told(
    thing: Thing, owner: Account, before: Share | None, rights: tuple[str, ...]
) -> share_notification.Told:
    return share_notification.Told(
        object_type=thing.kind.name,
        object_id=ids.encode(thing.kind.letter, thing.number),
        name=thing.name,
        old_rights=_rights(thing.kind, before.rights if before is not None else ()),
        new_rights=_rights(thing.kind, rights),
    )


def _rights(kind: Shareable, rights: tuple[str, ...]) -> dict[str, bool] | None:
    return {right: right in rights for right in sorted(kind.rights)} if rights else None


async def subscription(
    context: Context, owner: int, kind: Shareable, number: int, subscribed: bool
) -> list[Op[Any]]:
    """What notes whether the caller wants to see an object of somebody else's (RFC 9670 §1.4)."""
    caller = context.account.account_id
    (item,) = await context.store.items(owner, grants.KIND, [caller])
    grant = grants.decode(item.data)
    shares = dict(kind.shares(grant))
    shares[number] = msgspec.structs.replace(shares[number], subscribed=subscribed)
    after = msgspec.structs.replace(grant, **{kind.field: shares}, rights_since=grants.rights_since(item))
    found = PutItem(account_id=caller, kind=grants.RECEIVED, item_id=owner, new=True, data=b"{}")
    return [_put(owner, caller, item, after), found]
