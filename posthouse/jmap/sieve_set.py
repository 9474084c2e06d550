"""SieveScript/set (RFC 9661 §2.4): made, renamed, given another text, destroyed; then perhaps another one is active.

Each object is one commit; so is making a script active, which is done last and only if all before it went well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posthouse import limits
from posthouse.accounts.sieve_shelf import NameTaken, NameUnfit, ScriptActive, Shelf, TooManyScripts
from posthouse.errors import NotFound
from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.sieve_script import LETTER, TYPE, compiled, shown
from posthouse.jmap.standard import SetAnswer, SetArguments, check_set
from posthouse.store.interface import Op

Object = dict[str, Any]
_SETTABLE = {"name", "blobId"}


class SieveSetArguments(SetArguments, kw_only=True):
    """RFC 9661 §2.4."""

    on_success_activate_script: str | None = None
    on_success_deactivate_script: bool | None = None


async def set_scripts(context: Context, arguments: SieveSetArguments) -> SetAnswer:
    """SieveScript/set."""
    account_id = context.account_number(arguments.account_id)
    old_state = str(await TYPE.state(context, account_id))
    check_set(arguments, old_state)
    setting = _Setting(context, account_id, SetAnswer(account_id=arguments.account_id, old_state=old_state))
    for creation_id, given in (arguments.create or {}).items():
        await setting.create(creation_id, given)
    for name, patch in context.by_id(arguments.update).items():
        await setting.update(name, patch)
    for name in context.ids_of(arguments.destroy):
        await setting.destroy(name)
    await setting.activate(arguments)
    setting.answer.new_state = str(await TYPE.state(context, account_id))
    setting.answer.tidy()
    return setting.answer


class _Setting:
    """One call."""

    def __init__(self, context: Context, account_id: int, answer: SetAnswer) -> None:
        self._context = context
        self._account_id = account_id
        self._scripts = context.services.sieve_scripts
        self.created: dict[str, Object] = {}
        self.updated: dict[str, Object | None] = {}
        self.destroyed: list[str] = []
        self.not_created: dict[str, Object] = {}
        self.not_updated: dict[str, Object] = {}
        self.not_destroyed: dict[str, Object] = {}
        self.answer = answer
        answer.created, answer.not_created = self.created, self.not_created
        answer.updated, answer.not_updated = self.updated, self.not_updated
        answer.destroyed, answer.not_destroyed = self.destroyed, self.not_destroyed

    # --- objects -------------------------------------------------------------------------------------

    async def create(self, creation_id: str, given: Object) -> None:
        """Make one script."""
        try:
            _check_shape(given, {})
            if not isinstance(given.get("blobId"), str):
                raise invalid("a script needs a blob", "blobId")
            text = await compiled(self._context, self._account_id, given["blobId"])
            (item,) = await self._change(
                lambda shelf: shelf.add(
                    _name_for(shelf) if given.get("name") is None else given["name"], text
                )
            )
        except Rejected as fault:
            self.not_created[creation_id] = fault.error()
            return
        made = shown(TYPE.object_of(item))
        self._context.created[creation_id] = made["id"]
        self.created[creation_id] = {k: v for k, v in made.items() if given.get(k) != v}

    async def update(self, name: str, patch: Object) -> None:
        """Give a script another name or text."""
        try:
            self.updated[name] = await self._patched(name, patch)
        except Rejected as fault:
            self.not_updated[name] = fault.error()

    async def _patched(self, name: str, patch: Object) -> Object | None:
        number = self._number(name)
        items = await self._context.store.items(self._account_id, TYPE.kind, [number])
        if not items:
            raise Rejected("notFound")
        old = shown(TYPE.object_of(items[0]))
        new = apply_patch(old, patch)
        _check_shape(new, old)
        text = None
        if new.get("blobId") != old["blobId"]:
            if not isinstance(new.get("blobId"), str):
                raise invalid("a script needs a blob", "blobId")
            text = await compiled(self._context, self._account_id, new["blobId"])

        def decide(shelf: Shelf) -> list[Op[Any]]:
            title = _name_for(shelf) if new.get("name") is None else new["name"]
            renamed = title if title != old["name"] else None
            return shelf.alter(shelf.numbered(number), name=renamed, text=text)

        (item,) = await self._change(decide)
        kept = shown(TYPE.object_of(item))
        return {k: v for k, v in kept.items() if v != new.get(k)} or None

    async def destroy(self, name: str) -> None:
        """Remove a script."""
        try:
            number = self._number(name)
            await self._change(lambda shelf: shelf.remove(shelf.numbered(number)))
            self.destroyed.append(name)
        except Rejected as fault:
            self.not_destroyed[name] = fault.error()

    def _number(self, name: str) -> int:
        number = ids.decode(LETTER, self._context.resolve_id(name) or "")
        if number is None:
            raise Rejected("notFound")
        return number

    async def _change(self, decide: Callable[[Shelf], list[Op[Any]]]) -> list[Any]:
        """Commit a change. Rejected."""
        try:
            return await self._scripts.change(self._account_id, decide)
        except NotFound as fault:
            raise Rejected("notFound") from fault
        except NameUnfit as fault:
            raise invalid(fault.public, "name") from fault
        except NameTaken as fault:
            raise Rejected(
                "alreadyExists", fault.public, existingId=ids.encode(LETTER, fault.script_id)
            ) from fault
        except TooManyScripts as fault:
            raise Rejected("overQuota", fault.public) from fault
        except ScriptActive as fault:
            raise Rejected("sieveIsActive", fault.public) from fault

    # --- which one is active ---------------------------------------------------------------------------

    async def activate(self, arguments: SieveSetArguments) -> None:
        """RFC 9661 §2.4: if everything before it went well; an id that means nothing is passed over."""
        if self.not_created or self.not_updated or self.not_destroyed:
            return
        wanted = arguments.on_success_activate_script
        number = ids.decode(LETTER, self._context.resolve_id(wanted) or "") if wanted is not None else None
        off = bool(arguments.on_success_deactivate_script)
        before: list[int] = []
        after: list[int] = []

        def decide(shelf: Shelf) -> list[Op[Any]]:
            chosen = next((each for each in shelf.scripts if each.script_id == number), None)
            before[:] = [each.script_id for each in shelf.scripts if each.active]
            after[:] = [chosen.script_id] if chosen is not None else []
            return shelf.activate(chosen) if chosen is not None or off else []

        if number is None and not off:
            return
        await self._scripts.change(self._account_id, decide)
        for number in set(before) - set(after) if after or off else ():
            self._say(ids.encode(LETTER, number), is_active=False)
        for number in after:
            self._say(ids.encode(LETTER, number), is_active=True)

    def _say(self, name: str, *, is_active: bool) -> None:
        """Tell it where the object is told of: both MUST be (RFC 9661 §2.4)."""
        for made in self.created.values():
            if made["id"] == name:
                made["isActive"] = is_active
                return
        self.updated[name] = (self.updated.get(name) or {}) | {"isActive": is_active}


def _check_shape(given: Object, old: Object) -> None:
    """Rejected invalidProperties for what a script does not have, and for what is not the client's to set."""
    if unknown := sorted(set(given) - _SETTABLE - {"id", "isActive"}):
        raise invalid("no such property", *unknown)
    for name, default in (("id", None), ("isActive", False)):
        if given.get(name, default) != old.get(name, default):
            raise invalid("this property is not yours to set", name)
    if not isinstance(given.get("name"), str | None):
        raise invalid("a name is a text", "name")


def _name_for(shelf: Shelf) -> str:
    """RFC 9661 §2.1: a name that is not given is the server's to choose."""
    taken = {each.name for each in shelf.scripts}
    return next(name for n in range(1, limits.SIEVE_SCRIPTS + 2) if (name := f"Script {n}") not in taken)
