"""Mailbox/set (RFC 8621 §2.5): names are paths in the store, so a mailbox that moves takes what is below along."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import MAILBOXES, mailbox_thing
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.jmap import ids, sharing
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.mailbox import mailbox_object, parent_of, properties_of, shown_name, sort_order
from posthouse.jmap.mailbox_names import checked_name, path_below
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.shared_mailbox_set import SharedMailboxes
from posthouse.jmap.standard import SetAnswer, SetArguments, check_set
from posthouse.store.interface import (
    ArrangeMailbox,
    CreateMailbox,
    DeleteMailbox,
    Op,
    PutItem,
    RenameMailbox,
    SetRole,
    Subscribe,
)
from posthouse.store.model import SEPARATOR, Role
from posthouse.store.model import Mailbox as Stored
from posthouse.store.retention import KEPT_ROLES, SetRetention

Object = dict[str, Any]


class MailboxSetArguments(SetArguments, kw_only=True):
    """RFC 8621 §2.5."""

    on_destroy_remove_emails: bool = False


class Settable(msgspec.Struct, kw_only=True, rename="camel"):
    """The properties that a client may set."""

    name: str
    parent_id: str | None = None
    role: str | None = None
    sort_order: ids.UnsignedInt = 0
    is_subscribed: bool = True
    share_with: dict[str, Any] | None = None
    retention_days: ids.UnsignedInt | None = None


SETTABLE: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Settable))


async def set_mailboxes(context: Context, arguments: MailboxSetArguments) -> SetAnswer:
    """Mailbox/set."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    old_state = str(await mail.state())
    check_set(arguments, old_state)
    answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
    setter = _Setter(context, account_id) if mail.is_own else SharedMailboxes(context, account_id)
    answer.created, answer.not_created = await setter.create(arguments.create or {})
    answer.updated, answer.not_updated = await setter.update(context.by_id(arguments.update))
    answer.destroyed, answer.not_destroyed = await setter.destroy(
        context.ids_of(arguments.destroy), arguments.on_destroy_remove_emails
    )
    answer.new_state = str(await setter.state())
    answer.tidy()
    return answer


class _Setter:
    def __init__(self, context: Context, account_id: int) -> None:
        self._context = context
        self._account_id = account_id

    async def state(self) -> int:
        """The state now."""
        return await self._context.mail(self._account_id).state()

    async def _boxes(self) -> dict[int, Stored]:
        return {box.mailbox_id: box for box in await self._context.store.mailboxes(self._account_id)}

    async def _box(self, name: str | None) -> Stored | None:
        number = ids.decode(ids.MAILBOX, self._context.resolve_id(name) or "") if name else None
        return (await self._boxes()).get(number) if number is not None else None

    # --- create --------------------------------------------------------------------------------------

    async def create(self, create: dict[str, Object]) -> tuple[Object, Object]:
        """Parents that are created with their children come first, whatever the order."""
        made: Object = {}
        refused: Object = {}
        waiting = dict(create)
        while waiting:
            ready = {k: v for k, v in waiting.items() if str(v.get("parentId") or "")[1:] not in waiting}
            for creation_id, given in list((ready or waiting).items()):
                del waiting[creation_id]
                try:
                    made[creation_id] = await self._create(creation_id, given)
                except Rejected as fault:
                    refused[creation_id] = fault.error()
        return made, refused

    async def _create(self, creation_id: str, given: Object) -> Object:
        wanted = self._settable(given)
        boxes = await self._boxes()
        if len(boxes) >= limits.JMAP_MAILBOXES:
            raise Rejected("overQuota", "there are too many mailboxes")
        path = await self._path(wanted.name, wanted.parent_id)
        shares = await sharing.wanted_shares(self._context, MAILBOXES, wanted.share_with)
        role = _role(wanted.role)
        if role is not None and any(box.role is role for box in boxes.values()):
            raise invalid("another mailbox has that role", "role")
        op = CreateMailbox(account_id=self._account_id, name=path, role=role, subscribed=wanted.is_subscribed)
        box = await self._applied(op, "name")
        assert isinstance(box, Stored)
        key = {"account_id": self._account_id, "mailbox_id": box.mailbox_id}
        if wanted.retention_days is not None:
            await self._applied(SetRetention(**key, days=wanted.retention_days), "retentionDays")
        if "sortOrder" in given:
            await self._applied(ArrangeMailbox(**key, sort_order=wanted.sort_order + 1))
        if shares:
            await self._shared(box, shares)
        boxes = await self._boxes()
        by_name = {each.name: each for each in boxes.values()}
        names = properties_of(self._context)
        found = await mailbox_object(self._context, self._account_id, boxes[box.mailbox_id], by_name, names)
        self._context.created[creation_id] = found.id
        whole: Object = {k: v for k, v in msgspec.to_builtins(found).items() if k in names}
        return {k: v for k, v in whole.items() if k not in given or given[k] != v}

    async def _shared(self, box: Stored, shares: dict[int, frozenset[str]]) -> None:
        """Share a mailbox that was just made, or that is about to go, with these and nobody else."""
        thing = mailbox_thing(box)
        for _ in range(limits.JMAP_RETRIES):
            try:
                await self._context.store.commit(*await sharing.operations(self._context, thing, shares))
                return
            except (Conflict, NotFound):
                continue
        raise Temporary("Rights are being changed by somebody else, try again.")

    def _settable(self, given: Object) -> Settable:
        if unknown := sorted(set(given) - properties_of(self._context)):
            raise invalid("no such property", *unknown)
        if foreign := sorted(set(given) - SETTABLE):
            raise invalid("this property is not yours to set", *foreign)
        try:
            wanted = msgspec.convert(given, Settable)
        except msgspec.ValidationError as fault:
            names = [name for name in SETTABLE if name in str(fault)]
            raise invalid(str(fault), *(names or ["name"])) from fault
        if wanted.sort_order >= 2**31:
            raise invalid("it must be below 2^31", "sortOrder")
        if wanted.retention_days and _role(wanted.role) in KEPT_ROLES:
            raise invalid("a mailbox of this role keeps its mail", "retentionDays")
        if wanted.retention_days is not None and wanted.retention_days > limits.RETENTION_DAYS:
            raise invalid(f"it is {limits.RETENTION_DAYS} at most", "retentionDays")
        return wanted

    async def _path(self, name: str, parent_id: str | None) -> str:
        name = checked_name(name)
        if parent_id is None:
            return name
        parent = await self._box(parent_id)
        if parent is None:
            raise invalid("there is no such mailbox", "parentId")
        return path_below(parent, name)

    async def _applied(self, op: Op[Any], *names: str) -> Any:
        try:
            return await self._context.store.apply(op)
        except Conflict as fault:
            raise invalid(fault.public, *names) from fault
        except OverQuota as fault:
            raise Rejected("overQuota", fault.public) from fault
        except NotFound as fault:
            raise Rejected("notFound") from fault

    # --- update --------------------------------------------------------------------------------------

    async def update(self, update: dict[str, Object]) -> tuple[Object, Object]:
        """Who gives a role away comes before who gets one."""
        changed: Object = {}
        refused: Object = {}
        order = sorted(update, key=lambda name: bool(update[name].get("role")))
        crossing: dict[str, list[Op[Any]]] = {}
        for name in order:
            try:
                ops, done = await self._tried(name, update[name])
                if not done:
                    crossing[name] = ops
                    raise _taken()
                changed[name] = None
            except Rejected as fault:
                refused[name] = fault.error()
        # RFC 8620 §5.3: two that exchange their names are fine together, though neither is alone.
        together = [op for ops in crossing.values() for op in ops]
        if crossing and await self._all_at_once([*self._aside(together), *together]):
            changed |= dict.fromkeys(crossing)
            refused = {name: fault for name, fault in refused.items() if name not in crossing}
        return {name: None for name in update if name in changed}, refused

    async def _tried(self, name: str, patch: Object) -> tuple[list[Op[Any]], bool]:
        """(what changes a mailbox, whether it was done). Tried again where rights change at the same moment."""
        for _ in range(limits.JMAP_RETRIES):
            ops = await self._update(name, patch)
            if await self._all_at_once(ops):
                return ops, True
            if not any(isinstance(op, PutItem) for op in ops):
                break
        return ops, False

    def _aside(self, ops: list[Op[Any]]) -> list[Op[Any]]:
        """What gives mailboxes that are to be renamed a name that nobody has."""
        renamed = [op for op in ops if isinstance(op, RenameMailbox)]
        return [msgspec.structs.replace(op, name=secrets.token_hex(16)) for op in renamed]

    async def _all_at_once(self, ops: list[Op[Any]]) -> bool:
        """RFC 8620 §5.3: an object is changed whole or not at all. False: a name is taken. Rejected."""
        try:
            await self._context.store.commit(*ops)
        except Conflict:
            return False
        except OverQuota as fault:
            raise Rejected("overQuota", fault.public) from fault
        except NotFound as fault:
            raise Rejected("notFound") from fault
        return True

    async def _update(self, name: str, patch: Object) -> list[Op[Any]]:
        """The operations that change one mailbox. Rejected."""
        box = await self._box(name)
        if box is None:
            raise Rejected("notFound")
        boxes = await self._boxes()
        by_name = {each.name: each for each in boxes.values()}
        names = properties_of(self._context)
        found = await mailbox_object(self._context, self._account_id, box, by_name, names)
        old: Object = {k: v for k, v in msgspec.to_builtins(found).items() if k in names}
        new = apply_patch(old, patch)
        if unknown := sorted(set(new) - names):
            raise invalid("no such property", *unknown)
        if foreign := sorted(k for k in names - SETTABLE if new.get(k) != old[k]):
            raise invalid("this property is not yours to set", *foreign)
        wanted = self._settable({k: v for k, v in new.items() if k in SETTABLE})
        ops = await self._operations(box, by_name, wanted)
        if "retentionDays" in names and wanted.retention_days != box.kept_days:
            key = {"account_id": self._account_id, "mailbox_id": box.mailbox_id}
            ops.append(SetRetention(**key, days=wanted.retention_days))
        if "shareWith" in names and new.get("shareWith") != old["shareWith"]:
            shares = await sharing.wanted_shares(self._context, MAILBOXES, wanted.share_with)
            thing = mailbox_thing(box)
            ops += await sharing.operations(self._context, thing, shares)
        return ops

    async def _operations(self, box: Stored, by_name: dict[str, Stored], wanted: Settable) -> list[Op[Any]]:
        key = {"account_id": self._account_id, "mailbox_id": box.mailbox_id}
        parent = parent_of(box, by_name)
        old_parent = None if parent is None else ids.encode(ids.MAILBOX, parent.mailbox_id)
        ops: list[Op[Any]] = []
        name = box.name
        new_parent = self._context.resolve_id(wanted.parent_id) if wanted.parent_id else None
        if wanted.name != shown_name(box, parent) or new_parent != old_parent:
            if box.role is Role.INBOX:
                raise Rejected("forbidden", "the inbox keeps its name")
            name = await self._path(wanted.name, wanted.parent_id)
            if name.startswith(box.name + SEPARATOR):
                raise invalid("a mailbox is not below itself", "parentId")
            ops.append(RenameMailbox(**key, name=name, with_subscriptions=True))
        role = _role(wanted.role)
        if role is not box.role:
            if box.role is Role.INBOX or (role and any(each.role is role for each in by_name.values())):
                raise invalid("the inbox keeps its role, and a role is one mailbox's", "role")
            ops.append(SetRole(**key, role=role))
        if wanted.sort_order != sort_order(box):
            ops.append(ArrangeMailbox(**key, sort_order=wanted.sort_order + 1))
        if wanted.is_subscribed != box.subscribed or name != box.name:
            subscribe = Subscribe(account_id=self._account_id, name=name, subscribed=wanted.is_subscribed)
            ops.append(subscribe)
        return ops

    # --- destroy -------------------------------------------------------------------------------------

    async def destroy(self, destroy: list[str], with_emails: bool) -> tuple[list[str], Object]:
        """Children that are destroyed too come first."""
        gone: list[str] = []
        refused: Object = {}
        boxes = {name: await self._box(name) for name in destroy}
        for name in sorted(boxes, key=lambda n: -(b.name.count(SEPARATOR) if (b := boxes[n]) else 0)):
            try:
                await self._destroy(name, with_emails)
                gone.append(name)
            except Rejected as fault:
                refused[name] = fault.error()
        return gone, refused

    async def _destroy(self, name: str, with_emails: bool) -> None:
        box = await self._box(name)
        if box is None:
            raise Rejected("notFound")
        if box.role is Role.INBOX:
            raise Rejected("forbidden", "the inbox stays")
        present = await self._boxes()
        if any(each.name.startswith(box.name + SEPARATOR) for each in present.values()):
            raise Rejected("mailboxHasChild")
        if not with_emails and box.total:
            raise Rejected("mailboxHasEmail")
        if box.mailbox_id in await sharing.shares_of(self._context, self._account_id, MAILBOXES):
            await self._shared(box, {})  # whoever saw it is told
        await self._applied(DeleteMailbox(account_id=self._account_id, mailbox_id=box.mailbox_id))
        if box.subscribed:
            await self._applied(Subscribe(account_id=self._account_id, name=box.name, subscribed=False))


def _taken() -> Rejected:
    return invalid("There is a mailbox of that name already.", "name", "parentId")


def _role(text: str | None) -> Role | None:
    if text is None:
        return None
    try:
        role = Role(text)
    except ValueError:
        raise invalid("no such role", "role") from None
    return role
