"""PushSubscription/get and /set (RFC 8620 §7.2): where to tell a device that is not connected.

Not tied to an account argument; who asks sees what the same credentials have made. URL and keys never come back. An
address is told nothing but its verification code until the client has brought that code.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from posthouse import limits
from posthouse.jmap import dates, ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import wanted_ids
from posthouse.store.account_model import Item
from posthouse.store.interface import PutItem, RemoveItem
from posthouse.store.model import Account

KIND: Final = "PushSubscription"
LETTER: Final = "P"
Object = dict[str, Any]


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8620 §7.2: the client's keys, base64url."""

    p256dh: str
    auth: str


class Subscription(msgspec.Struct, kw_only=True, rename="camel"):
    """What is kept of one."""

    device_client_id: str
    url: str
    keys: Keys | None = None
    types: list[str] | None = None
    expires: int
    code: str
    """What the client must bring."""
    verified: bool = False
    credentials: str
    """Which credentials made it."""


class Given(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client may give."""

    device_client_id: str
    url: str
    keys: Keys | None = None
    verification_code: None = None
    expires: str | None = None
    types: list[str] | None = None


class PushGetArguments(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8620 §7.2.1."""

    ids: list[str] | None = None
    properties: list[str] | None = None


class PushSetArguments(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8620 §7.2.2."""

    create: dict[ids.CreationId, Object] | None = None
    update: dict[str, Object] | None = None
    destroy: list[str] | None = None


_SHOWN: Final = frozenset({"id", "deviceClientId", "verificationCode", "expires", "types"})
_PRIVATE: Final = frozenset({"url", "keys"})


def credentials(account: Account, app_password_id: int | None = None, credential_id: int = 0) -> str:
    """A name for credentials: changes when they do, and tells nothing of them. `credential_id`: session or token."""
    if app_password_id is not None:
        return f"app:{app_password_id}"
    if credential_id:
        return f"key:{credential_id}"
    return f"own:{hashlib.blake2b(account.password.encode(), digest_size=8).hexdigest()}"


def credentials_of(context: Context) -> str:
    """Those of this request."""
    return credentials(context.account, context.app_password_id, context.via.credential_id)


def decode(item: Item) -> Subscription:
    """What is kept in an item."""
    return msgspec.json.decode(item.data, type=Subscription)


async def _mine(context: Context) -> dict[str, tuple[Item, Subscription]]:
    found = {}
    for item in await context.store.items(context.account.account_id, KIND):
        kept = decode(item)
        if kept.credentials == credentials_of(context) and kept.expires > context.services.now():
            found[ids.encode(LETTER, item.item_id)] = (item, kept)
    return found


def _shown(name: str, kept: Subscription) -> Object:
    return {
        "id": name,
        "deviceClientId": kept.device_client_id,
        "verificationCode": kept.code if kept.verified else None,
        "expires": dates.utc_date(kept.expires),
        "types": kept.types,
    }


async def get(context: Context, arguments: PushGetArguments) -> Object:
    """PushSubscription/get."""
    asked = frozenset(arguments.properties) if arguments.properties is not None else _SHOWN
    if asked & _PRIVATE:
        raise MethodError("forbidden", "url and keys are not told")
    if unknown := sorted(asked - _SHOWN):
        raise MethodError("invalidArguments", f"no such property: {', '.join(unknown)}")
    ids_asked = wanted_ids(arguments.ids)
    mine = await _mine(context)
    names = list(mine) if ids_asked is None else [name for name in ids_asked if name in mine]
    wanted = asked | {"id"}
    found = [{k: v for k, v in _shown(n, mine[n][1]).items() if k in wanted} for n in names]
    return {"list": found, "notFound": [name for name in ids_asked or () if name not in mine]}


async def set_subscriptions(context: Context, arguments: PushSetArguments) -> Object:
    """PushSubscription/set."""
    objects = len(arguments.create or ()) + len(arguments.update or ()) + len(arguments.destroy or ())
    if objects > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} objects")
    answer: dict[str, Any] = {name: {} for name in ("created", "notCreated", "updated", "notUpdated")}
    answer |= {"destroyed": [], "notDestroyed": {}}
    for creation_id, given in (arguments.create or {}).items():
        try:
            answer["created"][creation_id] = await _create(context, creation_id, given)
        except Rejected as fault:
            answer["notCreated"][creation_id] = fault.error()
    for name, patch in context.by_id(arguments.update).items():
        try:
            answer["updated"][name] = await _update(context, name, patch)
        except Rejected as fault:
            answer["notUpdated"][name] = fault.error()
    mine = await _mine(context)
    for name in context.ids_of(arguments.destroy):
        number = ids.decode(LETTER, name)
        if name in mine and number is not None:
            op = RemoveItem(account_id=context.account.account_id, kind=KIND, item_id=number)
            await context.store.apply(op)
            answer["destroyed"].append(name)
        else:
            answer["notDestroyed"][name] = {"type": "notFound"}
    return {name: value or None for name, value in answer.items()}


async def _create(context: Context, creation_id: str, given: Object) -> Object:
    try:
        wanted = msgspec.convert(given, Given)
    except msgspec.ValidationError as fault:
        names = [
            n
            for n in ("deviceClientId", "url", "keys", "verificationCode", "expires", "types")
            if n in str(fault)
        ]
        raise invalid(str(fault), *names) from fault
    if len(await _mine(context)) >= limits.PUSH_SUBSCRIPTIONS:
        raise Rejected("overQuota", "there are too many of them")
    _check_url(wanted.url)
    if wanted.keys is not None:
        _check_keys(wanted.keys)
    _count(context)
    kept = Subscription(
        device_client_id=wanted.device_client_id[:255],
        url=wanted.url,
        keys=wanted.keys,
        types=wanted.types,
        expires=_expiry(context, wanted.expires),
        code=secrets.token_urlsafe(24),
        credentials=credentials_of(context),
    )
    item = await context.store.apply(
        PutItem(
            account_id=context.account.account_id,
            kind=KIND,
            data=msgspec.json.encode(kept),
            due_at=float(kept.expires),
        )
    )
    context.services.push_wanted(context.account.account_id)
    name = ids.encode(LETTER, item.item_id)
    context.created[creation_id] = name
    told: Object = {"id": name, "expires": dates.utc_date(kept.expires)}
    return told if "keys" in given else told | {"keys": None}


def _count(context: Context) -> None:
    """RFC 8620 §8.6: how fast they are made is limited, for each has a stranger's address asked. Rejected rateLimit."""
    pushes, key, now = context.services.caches.pushes, context.account.address, context.services.now()
    if pushes.level(key, now) > limits.PUSH_CREATED - 1:
        raise Rejected("rateLimit", "too many were made lately")
    pushes.fail(key, now)


def _expiry(context: Context, asked: str | None) -> int:
    """RFC 8620 §7.2: bounded, for passwords have no end of their own."""
    most = int(context.services.now()) + limits.PUSH_EXPIRY
    return most if asked is None else min(most, dates.parse_utc(asked, "expires"))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = (
            parts.scheme == "https"
            and bool(parts.hostname)
            and not parts.username
            and len(url) <= limits.PUSH_URL
        )
        fine = fine and url.isascii() and url.isprintable() and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise invalid("an https address is wanted", "url")


def octets_of(text: str) -> bytes:
    """Base64url, with or without padding. ValueError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as fault:
        raise ValueError("no base64url") from fault


def _check_keys(keys: Keys) -> None:
    try:
        point, auth = octets_of(keys.p256dh), octets_of(keys.auth)
    except ValueError as fault:
        raise invalid("keys are base64url", "keys") from fault
    if len(point) != 65 or point[0] != 4 or len(auth) != 16:
        raise invalid("a P-256 point and 16 octets are wanted", "keys")


async def _update(context: Context, name: str, patch: Object) -> Object | None:
    mine = await _mine(context)
    if name not in mine:
        raise Rejected("notFound")
    item, kept = mine[name]
    shown = _shown(name, kept)
    if foreign := sorted(_PRIVATE & {path.partition("/")[0] for path in patch}):
        raise invalid("these do not change", *foreign)
    new = apply_patch(shown, patch)
    if unknown := sorted(set(new) - _SHOWN):
        raise invalid("no such property", *unknown)
    if fixed := [each for each in ("id", "deviceClientId") if new.get(each) != shown[each]]:
        raise invalid("these do not change", *fixed)
    if patch.get("verificationCode", shown["verificationCode"]) != shown["verificationCode"]:
        if not hmac.compare_digest(str(patch["verificationCode"]).encode(), kept.code.encode()):
            raise invalid("this is not the code", "verificationCode")
        kept.verified = True
    types = new.get("types")
    if types is not None and not (isinstance(types, list) and all(isinstance(t, str) for t in types)):
        raise invalid("an array of types is wanted", "types")
    kept.types = types
    told = None
    if "expires" in patch:
        kept.expires = _expiry(context, new.get("expires"))
        told = (
            None
            if dates.utc_date(kept.expires) == patch["expires"]
            else {"expires": dates.utc_date(kept.expires)}
        )
    await context.store.apply(
        PutItem(
            account_id=item.account_id,
            kind=KIND,
            item_id=item.item_id,
            data=msgspec.json.encode(kept),
            due_at=float(kept.expires),
        )
    )
    return told
