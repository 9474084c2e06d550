"""The property `shareWith` (RFC 9670 §4): what a client sees and wants of `accounts.sharing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posthouse import limits
from posthouse.accounts import sharing
from posthouse.accounts.sharing import Shareable, Sharer, Shares, Thing
from posthouse.errors import OverQuota
from posthouse.jmap import ids, principal
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.store.grants import Share
from posthouse.store.interface import Op

Object = dict[str, Any]


async def shares_of(context: Context, account_id: int, kind: Shareable) -> dict[int, Shares]:
    """Object → account → what that may do, of all that an account shares."""
    return await sharing.shares_of(context.store, account_id, kind)


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
    sharer = Sharer(context.store, context.account, context.services.now())
    try:
        return await sharing.operations(sharer, thing, wanted)
    except OverQuota as fault:
        raise Rejected("overQuota", fault.public) from fault


async def subscription(context: Context, owner: int, thing: Thing, subscribed: bool) -> list[Op[Any]]:
    """What notes whether the caller wants to see an object of somebody else's (RFC 9670 §1.4)."""
    return await sharing.subscription(context.store, owner, context.account.account_id, thing, subscribed)
