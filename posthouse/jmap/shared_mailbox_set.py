"""Mailbox/set in an account that is somebody else's: what the rights to each mailbox allow (RFC 8621 §2).

Everybody may say whether they want to see a mailbox. Names, parents, children and deletion need their rights. Roles,
order, for how long mail is kept and with whom a mailbox is shared are its owner's. A mailbox made below a shared one is
shared as that is, so that whoever made it sees it.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from posthouse import limits
from posthouse.accounts.sharing import inheritance, mailbox_thing
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.jmap import ids, sharing
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.mailbox import mailbox_object, properties_of
from posthouse.jmap.mailbox_names import checked_name, path_below
from posthouse.jmap.patch import apply_patch
from posthouse.store import grants
from posthouse.store.interface import CreateMailbox, DeleteMailbox, Op, RenameMailbox
from posthouse.store.model import SEPARATOR, Mailbox

Object = dict[str, Any]
_OWNERS: tuple[str, ...] = ("role", "sortOrder", "shareWith", "retentionDays")


class SharedMailboxes:
    """One account's mailboxes as the caller may change them."""

    def __init__(self, context: Context, account_id: int) -> None:
        self._context = context
        self._account_id = account_id
        self._mail = context.mail(account_id)

    async def state(self) -> int:
        """The state now; of what is left when nothing is shared any more, the end."""
        if not await self._mail.mailboxes():
            return (await self._context.store.states(self._account_id)).kinds[grants.KIND]
        return await self._mail.state()

    async def _again(self) -> None:
        """Read the grant anew, after it was changed here."""
        await self._context.learn(
            *(ids.encode(ids.ACCOUNT, each) for each in (self._account_id, self._context.account.account_id))
        )
        with contextlib.suppress(MethodError):  # nothing is shared any more: what was, shows nothing
            self._mail = self._context.mail(self._account_id)

    async def _visible(self, name: str | None) -> Mailbox | None:
        number = ids.decode(ids.MAILBOX, self._context.resolve_id(name) or "") if name else None
        return next((box for box in await self._mail.mailboxes() if box.mailbox_id == number), None)

    async def _real(self, box: Mailbox) -> Mailbox:
        """The mailbox under its own name. Rejected notFound."""
        boxes = await self._context.store.mailboxes(self._account_id)
        found = next((each for each in boxes if each.mailbox_id == box.mailbox_id), None)
        if found is None:
            raise Rejected("notFound")
        return found

    async def _commit(self, *ops: Op[Any]) -> list[Any]:
        try:
            return await self._context.store.commit(*ops)
        except OverQuota as fault:
            raise Rejected("overQuota", fault.public) from fault
        except NotFound as fault:
            raise Rejected("notFound") from fault

    async def _shown(self, box: Mailbox) -> Object:
        by_name = {each.name: each for each in await self._mail.mailboxes()}
        names = properties_of(self._context)
        whole = await mailbox_object(self._context, self._account_id, box, by_name, names)
        found: Object = msgspec.to_builtins(whole)
        return {key: value for key, value in found.items() if key in names}

    # --- create --------------------------------------------------------------------------------------

    async def create(self, create: dict[str, Object]) -> tuple[Object, Object]:
        """(created, not created)."""
        made: Object = {}
        refused: Object = {}
        for creation_id, given in create.items():
            try:
                made[creation_id] = await self._create(creation_id, given)
            except Rejected as fault:
                refused[creation_id] = fault.error()
        return made, refused

    async def _create(self, creation_id: str, given: Object) -> Object:
        if foreign := sorted(set(given) - {"name", "parentId", "isSubscribed"}):
            raise invalid("only name, parentId and isSubscribed can be set here", *foreign)
        name, subscribed = checked_name(given.get("name")), given.get("isSubscribed", False)
        if not isinstance(subscribed, bool):
            raise invalid("it is true or false", "isSubscribed")
        parent = await self._visible(given.get("parentId"))
        if parent is None:
            raise Rejected("forbidden", "top-level mailboxes are the owner's to make")
        if not self._mail.rights(parent).may_create_child:
            raise Rejected("forbidden", "this needs mayCreateChild")
        present = await self._context.store.mailboxes(self._account_id)
        if len(present) >= limits.JMAP_MAILBOXES:
            raise Rejected("overQuota", "there are too many mailboxes")
        path = path_below(await self._real(parent), name)
        try:
            (box,) = await self._commit(CreateMailbox(account_id=self._account_id, name=path))
        except Conflict as fault:
            raise invalid(fault.public, "name") from fault
        await self._inherit(parent.mailbox_id, box.mailbox_id, subscribed)
        await self._again()
        found = await self._visible(ids.encode(ids.MAILBOX, box.mailbox_id))
        if found is None:
            raise Rejected("notFound")
        whole = await self._shown(found)
        self._context.created[creation_id] = whole["id"]
        return {k: v for k, v in whole.items() if k not in given or given[k] != v}

    async def _inherit(self, parent: int, child: int, subscribed: bool) -> None:
        """Share a new mailbox with all with whom its parent is shared."""
        caller = self._context.account.account_id
        for _ in range(limits.JMAP_RETRIES):
            ops = await inheritance(
                self._context.store,
                self._account_id,
                parent,
                child,
                caller=caller,
                subscribed=subscribed,
            )
            try:
                await self._commit(*ops)
                return
            except Conflict:
                continue
        raise Temporary("Rights are being changed by somebody else, try again.")

    # --- update --------------------------------------------------------------------------------------

    async def update(self, update: dict[str, Object]) -> tuple[Object, Object]:
        """(updated, not updated)."""
        refused: Object = {}
        for name, patch in update.items():
            try:
                await self._update(name, patch)
            except Rejected as fault:
                refused[name] = fault.error()
        return {name: None for name in update if name not in refused}, refused

    async def _update(self, name: str, patch: Object) -> None:
        for _ in range(limits.JMAP_RETRIES):
            box = await self._visible(name)
            if box is None:
                raise Rejected("notFound")
            try:
                await self._commit(*await self._operations(box, patch))
            except Conflict:
                await self._again()
                continue
            await self._again()
            return
        raise invalid("there is a mailbox of that name already", "name", "parentId")

    async def _operations(self, box: Mailbox, patch: Object) -> list[Op[Any]]:
        old = await self._shown(box)
        new = apply_patch(old, patch)
        changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
        if changed & set(_OWNERS):
            raise Rejected("forbidden", "role, order, sharing and retention are the owner's")
        if foreign := sorted(changed - {"name", "parentId", "isSubscribed"}):
            raise invalid("this property is not yours to set", *foreign)
        ops: list[Op[Any]] = []
        if changed & {"name", "parentId"}:
            ops.append(await self._rename(box, old, new))
        if "isSubscribed" in changed:
            wanted = new.get("isSubscribed", False)
            if not isinstance(wanted, bool):
                raise invalid("it is true or false", "isSubscribed")
            ops += await sharing.subscription(self._context, self._account_id, mailbox_thing(box), wanted)
        return ops

    async def _rename(self, box: Mailbox, old: Object, new: Object) -> RenameMailbox:
        if not self._mail.rights(box).may_rename:
            raise Rejected("forbidden", "this needs mayRename")
        real, leaf = await self._real(box), checked_name(new.get("name"))
        if new.get("parentId") == old["parentId"]:  # also below a mailbox that does not show
            above = real.name.rpartition(SEPARATOR)[0]
            path = f"{above}{SEPARATOR}{leaf}" if above else leaf
        else:
            parent = await self._visible(new.get("parentId"))
            if parent is None or not self._mail.rights(parent).may_create_child:
                raise Rejected("forbidden", "this needs mayCreateChild of the new parent")
            path = path_below(await self._real(parent), leaf)
            if path.startswith(real.name + SEPARATOR):
                raise invalid("a mailbox is not below itself", "parentId")
        return RenameMailbox(
            account_id=self._account_id, mailbox_id=box.mailbox_id, name=path, with_subscriptions=True
        )

    # --- destroy -------------------------------------------------------------------------------------

    async def destroy(self, destroy: list[str], with_emails: bool) -> tuple[list[str], Object]:
        """(destroyed, not destroyed). Children that are destroyed too come first."""
        gone: list[str] = []
        refused: Object = {}
        boxes = {name: await self._visible(name) for name in dict.fromkeys(destroy)}
        for name in sorted(boxes, key=lambda n: -(b.name.count(SEPARATOR) if (b := boxes[n]) else 0)):
            try:
                await self._destroy(name, with_emails)
                gone.append(self._context.resolve_id(name) or name)
            except Rejected as fault:
                refused[name] = fault.error()
        return gone, refused

    async def _destroy(self, name: str, with_emails: bool) -> None:
        box = await self._visible(name)
        if box is None:
            raise Rejected("notFound")
        allowed = self._mail.rights(box)
        if not allowed.may_delete:
            raise Rejected("forbidden", "this needs mayDelete")
        real = await self._real(box)
        present = await self._context.store.mailboxes(self._account_id)
        if any(each.name.startswith(real.name + SEPARATOR) for each in present):
            raise Rejected("mailboxHasChild")
        if real.total and not with_emails:
            raise Rejected("mailboxHasEmail")
        if real.total and not allowed.may_remove_items:
            raise Rejected("forbidden", "this needs mayRemoveItems")
        await self._commit(DeleteMailbox(account_id=self._account_id, mailbox_id=box.mailbox_id))
        await self._again()
