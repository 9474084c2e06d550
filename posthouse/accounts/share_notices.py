"""What tells somebody that their rights to something have changed: ShareNotification (RFC 9670 §3).

One for each object: a new one takes the place of an older one about the same object, with the rights that were before
that (RFC 9670 §6.3 advises it), so that nobody can bury a notification under others.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts import object_ids
from posthouse.message.date import utc_date
from posthouse.store.interface import Op, PutItem, RemoveItem, Store
from posthouse.store.model import Account

KIND: Final = "ShareNotification"
"""The kind of these items."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, for whom it concerns."""

    object_type: str
    object_id: str
    name: str
    old_rights: dict[str, bool] | None
    new_rights: dict[str, bool] | None


class Entity(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9670 §3."""

    name: str
    email: str | None
    principal_id: str | None


class ShareNotification(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9670 §3."""

    created: str
    changed_by: Entity
    object_type: str
    object_account_id: str
    object_id: str
    old_rights: dict[str, bool] | None
    new_rights: dict[str, bool] | None
    name: str


_decode: Final = msgspec.json.Decoder(ShareNotification).decode


async def operations(store: Store, owner: Account, other: int, told: Told, now: float) -> list[Op[Any]]:
    """What tells another account that `owner` has changed its rights; the oldest goes when there are too many."""
    account_id = object_ids.encode(object_ids.ACCOUNT, owner.account_id)
    items = await store.items(other, KIND)
    old_rights = told.old_rights
    gone = items[: max(0, len(items) + 1 - limits.SHARE_NOTIFICATIONS)]
    for item in items:
        each = _decode(item.data)
        if (each.object_account_id, each.object_type, each.object_id) == (
            account_id,
            told.object_type,
            told.object_id,
        ):
            old_rights = each.old_rights
            gone = [item]
    notification = ShareNotification(
        created=utc_date(now),
        changed_by=Entity(
            name=owner.display_name or owner.address,
            email=owner.address,
            principal_id=object_ids.encode(object_ids.PRINCIPAL, owner.account_id),
        ),
        object_type=told.object_type,
        object_account_id=account_id,
        object_id=told.object_id,
        old_rights=old_rights,
        new_rights=told.new_rights,
        name=told.name,
    )
    ops: list[Op[Any]] = [RemoveItem(account_id=other, kind=KIND, item_id=item.item_id) for item in gone]
    return [*ops, PutItem(account_id=other, kind=KIND, data=msgspec.json.encode(notification))]
