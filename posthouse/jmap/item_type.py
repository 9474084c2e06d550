"""Types whose objects are the store's items: /get, /changes and /set from a few facts about each.

Who adds a type gives its struct (with defaults: what a client may leave out), its server-set properties, and hooks
where setting means more than keeping. RFC 8620 §5.1-5.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound, Temporary
from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.jscontact import VENDOR
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import (
    ChangesAnswer,
    ChangesArguments,
    GetAnswer,
    GetArguments,
    SetAnswer,
    SetArguments,
    check_set,
    wanted_ids,
    wanted_properties,
)
from posthouse.jmap.states import delta, parse_state
from posthouse.store.account_model import Item
from posthouse.store.interface import PutItem, RemoveItem

Object = dict[str, Any]
Hook = Callable[[Context, int, Object, Object | None], Awaitable[Object]]
"""(context, account, the object as it shall be, as it was or None) → the object to keep. Rejected."""


Show = Callable[[Object], Object]
"""An object as it is kept → as clients see it."""


class Sight(Protocol):
    """What somebody sees of another's objects."""

    def see(self, kind: str, value: Object) -> Object | None:
        """An object as it shows; None: it does not."""
        ...

    def state(self, latest: int) -> str:
        """The state."""
        ...

    def changes(self, arguments: ChangesArguments, latest: int) -> ChangesAnswer:
        """What has changed. MethodError cannotCalculateChanges."""
        ...


LookAt = Callable[[Context, int], Sight | None]
"""(context, account) → what shows of it; None: everything."""


def as_kept(value: Object) -> Object:
    """What shows everything."""
    return value


async def keep_as_is(context: Context, account_id: int, new: Object, old: Object | None) -> Object:
    """The hook that lets everything pass."""
    return new


class ItemType:
    """One type. Its methods are `get`, `changes`, `set`."""

    def __init__(
        self,
        kind: str,
        letter: str,
        struct: type[msgspec.Struct],
        *,
        server_set: frozenset[str] = frozenset(),
        immutable: frozenset[str] = frozenset(),
        most: int,
        put: Hook = keep_as_is,
        show: Show = as_kept,
        extensible: bool = False,
        sight: LookAt | None = None,
    ) -> None:
        """`kind`: the type's name; `letter`: of its ids; `most`: objects of one account; `extensible`: vendors may
        add properties; `sight`: what shows of others' address books and cards, None: nothing."""
        self.kind: Final = kind
        self.letter: Final = letter
        self.struct: Final = struct
        self.properties: Final = frozenset(field.encode_name for field in msgspec.structs.fields(struct)) | {
            "id"
        }
        self.server_set: Final = server_set | {"id"}
        self.immutable: Final = immutable
        self.most: Final = most
        self._put = put
        self._show = show
        self._extensible = extensible
        self._look_at = sight
        self._opened = Opened.ADDRESS_BOOKS if sight is not None else Opened.NOTHING

    def _sight(self, context: Context, account_id: int) -> Sight | None:
        """None: it is one's own account, and everything shows."""
        return self._look_at(context, account_id) if self._look_at is not None else None

    async def state(self, context: Context, account_id: int) -> int:
        """The latest mod-sequence of this kind."""
        return (await context.store.states(account_id)).kinds.get(self.kind, 0)

    def object_of(self, item: Item) -> Object:
        """An item as an object."""
        found: Object = msgspec.json.decode(item.data)
        found["id"] = ids.encode(self.letter, item.item_id)
        return found

    async def objects(self, context: Context, account_id: int) -> list[Object]:
        """All objects of an account."""
        return [self.object_of(item) for item in await context.store.items(account_id, self.kind)]

    # --- methods -------------------------------------------------------------------------------------

    async def get(self, context: Context, arguments: GetArguments) -> GetAnswer:
        """RFC 8620 §5.1."""
        account_id = context.account_number(arguments.account_id, opened=self._opened)
        sight = self._sight(context, account_id)
        known = self.properties | frozenset(filter(self._is_vendors, arguments.properties or ()))
        properties = wanted_properties(arguments.properties, known)
        asked = wanted_ids(arguments.ids)
        state = await self.state(context, account_id)
        numbers = (
            None if asked is None else [n for i in asked if (n := ids.decode(self.letter, i)) is not None]
        )
        items = await context.store.items(account_id, self.kind, numbers)
        found = self._seen(items, sight)
        if asked is None and len(found) > limits.JMAP_GET:
            raise MethodError("requestTooLarge", f"ask for ids, there are more than {limits.JMAP_GET}")
        names = list(found) if asked is None else [name for name in asked if name in found]
        return GetAnswer(
            account_id=arguments.account_id,
            state=str(state) if sight is None else sight.state(state),
            list_=[
                {
                    k: v
                    for k, v in found[name].items()
                    if k in properties or (arguments.properties is None and self._is_vendors(k))
                }
                for name in names
            ],
            not_found=[name for name in asked or () if name not in found],
        )

    def _seen(self, items: list[Item], sight: Sight | None) -> dict[str, Object]:
        """Id → object as whoever asks sees it."""
        found: dict[str, Object] = {}
        for item in items:
            whole = self.object_of(item)
            seen = self._show(whole) if sight is None else sight.see(self.kind, whole)
            if seen is not None:
                found[whole["id"]] = seen
        return found

    async def changes(self, context: Context, arguments: ChangesArguments) -> ChangesAnswer:
        """RFC 8620 §5.2."""
        account_id = context.account_number(arguments.account_id, opened=self._opened)
        latest = await self.state(context, account_id)
        if (sight := self._sight(context, account_id)) is not None:
            return sight.changes(arguments, latest)
        since = parse_state(arguments.since_state, latest)
        changed = await context.store.item_changes(account_id, self.kind, since.asked_from)
        if changed is None:
            raise MethodError("cannotCalculateChanges", "the state is too old")
        found = delta(((c.item_id, c) for c in changed), since, latest, arguments.max_changes)
        return ChangesAnswer(
            account_id=arguments.account_id,
            old_state=arguments.since_state,
            new_state=found.new_state,
            has_more_changes=found.more,
            created=[ids.encode(self.letter, n) for n in found.created],
            updated=[ids.encode(self.letter, n) for n in found.updated],
            destroyed=[ids.encode(self.letter, n) for n in found.destroyed],
        )

    async def set(self, context: Context, arguments: SetArguments) -> SetAnswer:
        """RFC 8620 §5.3."""
        account_id = context.account_number(arguments.account_id)
        old_state = str(await self.state(context, account_id))
        check_set(arguments, old_state)
        answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
        answer.created, answer.not_created = await self._create(context, account_id, arguments.create or {})
        update = context.by_id(arguments.update)
        answer.updated, answer.not_updated = await self._update(context, account_id, update)
        answer.destroyed, answer.not_destroyed = await self._destroy(
            context, account_id, context.ids_of(arguments.destroy)
        )
        answer.new_state = str(await self.state(context, account_id))
        answer.tidy()
        return answer

    # --- the parts of set ----------------------------------------------------------------------------

    async def _create(
        self, context: Context, account_id: int, create: dict[str, Object]
    ) -> tuple[Object, Object]:
        made: Object = {}
        refused: Object = {}
        count = await context.store.item_count(account_id, self.kind) if create else 0
        for creation_id, given in create.items():
            try:
                if count >= self.most:
                    raise Rejected("overQuota", "there are too many of them")
                kept = await self.checked(context, account_id, given)
                item = await context.store.apply(
                    PutItem(account_id=account_id, kind=self.kind, data=encoded(kept))
                )
                count += 1
                shown = self._show(self.object_of(item))
                context.created[creation_id] = shown["id"]
                made[creation_id] = {k: v for k, v in shown.items() if k not in given or given[k] != v}
            except Rejected as fault:
                refused[creation_id] = fault.error()
        return made, refused

    async def _update(
        self, context: Context, account_id: int, update: dict[str, Object]
    ) -> tuple[Object, Object]:
        changed: Object = {}
        refused: Object = {}
        for name, patch in update.items():
            try:
                changed[name] = await self._patched(context, account_id, name, patch)
            except Rejected as fault:
                refused[name] = fault.error()
        return changed, refused

    async def _patched(self, context: Context, account_id: int, name: str, patch: Object) -> Object | None:
        """Change one object; when somebody else changes it at the same moment, the patch is applied to theirs."""
        for _ in range(limits.JMAP_RETRIES):
            item = await self._item(context, account_id, name)
            old = self.object_of(item)
            shown = self._show(old)
            # RFC 8620 §5.3: what the server sets may stand in a patch as the client was shown it.
            old |= {name: shown[name] for name in self.server_set if name in shown}
            new = self.shaped(apply_patch(old, patch), old)
            kept = await self._put(context, account_id, new, old)
            kept.pop("id", None)
            op = PutItem(
                account_id=account_id,
                kind=self.kind,
                item_id=item.item_id,
                data=encoded(kept),
                due_at=item.due_at,
                unchanged_since=item.modseq,
            )
            try:
                await context.store.apply(op)
            except (Conflict, NotFound):
                continue
            shown = self._show(kept | {"id": old["id"]})
            return {k: v for k, v in shown.items() if v != new.get(k) and k != "id"} or None
        raise Temporary("it is being changed by somebody else, try again")

    async def _item(self, context: Context, account_id: int, name: str) -> Item:
        number = ids.decode(self.letter, context.resolve_id(name) or "")
        found = await context.store.items(account_id, self.kind, [number] if number is not None else [])
        if not found:
            raise Rejected("notFound")
        return found[0]

    async def _destroy(
        self, context: Context, account_id: int, destroy: list[str]
    ) -> tuple[list[str], Object]:
        gone: list[str] = []
        refused: Object = {}
        for name in destroy:
            try:
                item = await self._item(context, account_id, name)
                await context.store.apply(
                    RemoveItem(account_id=account_id, kind=self.kind, item_id=item.item_id)
                )
                gone.append(name)
            except (Rejected, NotFound):
                refused[name] = {"type": "notFound"}
        return gone, refused

    async def checked(self, context: Context, account_id: int, given: Object) -> Object:
        """A new object as it is to be kept. Rejected."""
        return await self._put(context, account_id, self.shaped(given, None), None)

    def _is_vendors(self, name: str) -> bool:
        return self._extensible and VENDOR.fullmatch(name) is not None

    def shaped(self, given: Object, old: Object | None) -> Object:
        """The whole object in its shape, with defaults. Rejected invalidProperties."""
        vendors = {name: given[name] for name in given if self._is_vendors(name)}
        given = {name: value for name, value in given.items() if name not in vendors}
        if unknown := sorted(set(given) - self.properties):
            raise invalid("no such property", *unknown)
        for name in self.server_set | (self.immutable if old is not None else frozenset()):
            if name in given and (old is None or given[name] != old.get(name)):
                raise invalid("this property is not yours to set", name)
        settable = {k: v for k, v in given.items() if k not in self.server_set}
        try:
            struct = msgspec.convert(settable, self.struct)
        except msgspec.ValidationError as fault:
            raise invalid(str(fault), *_named(str(fault), settable)) from fault
        whole: Object = msgspec.to_builtins(struct) | vendors
        if old is not None:
            whole |= {name: old[name] for name in self.server_set if name in old}
        return whole


def encoded(value: Object) -> bytes:
    """An object as an item's data, without its id."""
    return msgspec.json.encode({k: v for k, v in value.items() if k != "id"})


def _named(fault: str, given: Object) -> list[str]:
    """The property that msgspec's error is about."""
    for mark in ("`$.", "field `"):
        if mark in fault:
            name = fault.rpartition(mark)[2].rstrip("`").partition(".")[0].partition("[")[0]
            if name in given or mark == "field `":
                return [name]
    return []
