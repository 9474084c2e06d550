"""The Sieve scripts of accounts (RFC 5804): put, renamed, removed, activated, and the active one ready to run.

ManageSieve, JMAP (RFC 9661), delivery and the administrator all come here. Only what compiles is kept. Each change is
one commit that fails when another writer came first, and is decided anew then (`sieve_shelf`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from posthouse.accounts.sieve_shelf import GUARD, KIND, Shelf, SieveScript, check_size, script_of, shelf_of
from posthouse.errors import Conflict, Permanent, Temporary
from posthouse.limits import SIEVE_CACHED, SIEVE_CACHED_LEAST, SIEVE_WRITES
from posthouse.store.account_model import Item
from posthouse.store.interface import Op, Store

T = TypeVar("T")
"""A compiled script."""
Decide = Callable[[Shelf], list[Op[Any]]]
_ACTIVE: Final = ""
"""What the active script is called in the cache: no script has an empty name."""


class _Ready(msgspec.Struct, Generic[T], frozen=True):
    """What was made of a script (None: there is none), at a mod-sequence."""

    modseq: int
    made: T | Exception | None
    weight: int


class SieveScripts(Generic[T]):
    """Those of all accounts. One per house."""

    def __init__(self, store: Store, compile_script: Callable[[bytes], T]) -> None:
        self._store = store
        self._compile = compile_script
        self._ready: OrderedDict[tuple[int, str], _Ready[T]] = OrderedDict()
        self._weight = 0

    # --- reading ---------------------------------------------------------------------------------

    async def shelf(self, account_id: int) -> Shelf:
        """All scripts of an account as they are now."""
        # the guard comes first: whatever is written after that makes the commit fail
        guards = await self._store.items(account_id, GUARD)
        return shelf_of(account_id, guards, await self._store.items(account_id, KIND))

    async def get(self, account_id: int, name: str) -> SieveScript:
        """One script. NotFound."""
        return (await self.shelf(account_id)).named(name)

    async def check(self, text: bytes) -> T:
        """Compile a script without keeping it. SieveError; ScriptTooLarge."""
        check_size(len(text))
        return await asyncio.to_thread(self._compile, text)

    # --- changing --------------------------------------------------------------------------------

    async def change(self, account_id: int, decide: Decide) -> list[Any]:
        """Commit what `decide` makes of the shelf, anew when somebody else was faster; the results in order.

        What `decide` raises passes through. Texts are compiled (`check`) before they come here.
        """
        for _ in range(SIEVE_WRITES):
            shelf = await self.shelf(account_id)
            ops = decide(shelf)
            if not ops:
                return []
            try:
                return (await self._store.commit(shelf.lock(), *ops))[1:]
            except Conflict:
                continue
        raise Temporary("The scripts are being changed by others; try again.")

    async def put(self, account_id: int, name: str, text: bytes) -> T:
        """Keep a script, in place of one of that name; what it compiles to. SieveError, NameUnfit, OverQuota."""
        (await self.shelf(account_id)).check_room(name, len(text))
        compiled = await self.check(text)
        kept = _text(text)
        await self.change(account_id, lambda shelf: shelf.put(name, kept))
        return compiled

    async def rename(self, account_id: int, name: str, new: str) -> None:
        """Give a script another name; it stays active if it was. NotFound, NameUnfit, NameTaken."""
        await self.change(account_id, lambda shelf: shelf.alter(shelf.named(name), name=new))

    async def delete(self, account_id: int, name: str) -> None:
        """Remove a script. NotFound, ScriptActive."""
        await self.change(account_id, lambda shelf: shelf.remove(shelf.named(name)))

    async def activate(self, account_id: int, name: str) -> None:
        """Make a script the one that runs on incoming mail. NotFound."""
        await self.change(account_id, lambda shelf: shelf.activate(shelf.named(name)))

    async def deactivate(self, account_id: int) -> None:
        """Let no script run."""
        await self.change(account_id, lambda shelf: shelf.activate(None))

    # --- running ---------------------------------------------------------------------------------

    async def active(self, account_id: int) -> T | None:
        """The active script, compiled; None: there is none. SieveError when it compiles no more (an older release's).

        Costs one look into memory for accounts that never had a script, and for those whose scripts have not changed.
        """
        return await self._compiled(account_id, _ACTIVE)

    async def included(self, account_id: int, name: str) -> T | None:
        """A script by its name, compiled (RFC 6609 §3.2); None: there is none. SieveError as `active`."""
        return await self._compiled(account_id, name) if name else None

    async def _compiled(self, account_id: int, name: str) -> T | None:
        modseq = (await self._store.states(account_id)).kinds.get(KIND)
        if modseq is None:
            return None
        key = (account_id, name)
        ready = self._ready.get(key)
        if ready is None or ready.modseq != modseq:
            ready = await self._make(modseq, name, await self._store.items(account_id, KIND))
            self._keep(key, ready)
        else:
            self._ready.move_to_end(key)
        if isinstance(ready.made, Exception):
            raise ready.made.with_traceback(None)
        return ready.made

    async def _make(self, modseq: int, name: str, items: list[Item]) -> _Ready[T]:
        for item in items:
            script = script_of(item)
            if script.name == name or (script.active and name == _ACTIVE):
                weight = max(len(script.text), SIEVE_CACHED_LEAST)
                try:
                    return _Ready(modseq, await asyncio.to_thread(self._compile, script.raw), weight)
                except Exception as fault:  # kept as well: the next message would find the same
                    return _Ready(modseq, fault, weight)
        return _Ready(modseq, None, SIEVE_CACHED_LEAST)

    def _keep(self, key: tuple[int, str], ready: _Ready[T]) -> None:
        before = self._ready.pop(key, None)
        self._weight += ready.weight - (before.weight if before is not None else 0)
        self._ready[key] = ready
        while self._weight > SIEVE_CACHED:
            _, gone = self._ready.popitem(last=False)
            self._weight -= gone.weight


def _text(raw: bytes) -> str:
    """A script as text: RFC 5228 §2.1 wants UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Permanent("A script must be UTF-8 text.") from None
