"""The worker's side: a `Store` whose every question and operation is asked of the process that has it open.

A commit returns when it is durable there. When that process is gone, whatever waits fails with StoreUnavailable, and
`lost` is called: a worker without a store has nothing to do.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Self, TypeVar, cast

from posthouse.errors import NotFound, StoreUnavailable
from posthouse.limits import LINK_CACHE, LINK_CACHED
from posthouse.store.interface import AddEmail, Enqueue, Op, RecordEvents, Staging
from posthouse.store.judgement import PutMemo
from posthouse.store.model import Content
from posthouse.store.remote.calls import CALLS, PEOPLE, Fault
from posthouse.store.remote.link import Link

Call = Callable[..., Awaitable[Any]]
R = TypeVar("R")

_LATELY: Final = frozenset({"states", "mailbox"})
_HARMLESS: Final = (AddEmail, Enqueue, RecordEvents, PutMemo)
"""What changes none of their answers but for the counts in them, which receiving does not look at."""


class RemoteStore:
    """See `store.interface.Store`; what gives living objects (`index`, `watch_queue` and their like) is not here."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost_too = lost
        self._link: Link | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._hearing: dict[str, list[Callable[[tuple[Any, ...]], None]]] = {}
        self._next = 0
        self._lately: dict[tuple[str, tuple[Any, ...]], tuple[float, Any]] = {}
        self._changes = 0
        """How often what was remembered became old."""

    @classmethod
    async def open(cls, sock: socket.socket, lost: Callable[[], None]) -> Self:
        """At our end of the socket pair."""
        store = cls(lost)
        store._link = await Link.open(sock, store._heard, store._lost)
        return store

    def __getattr__(self, name: str) -> Call:
        if name not in CALLS:
            raise AttributeError(f"a worker's store has no {name}")
        call: Call = partial(self._ask_lately if name in _LATELY else self.ask, name)
        setattr(self, name, call)
        return call

    async def ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Ask the other process. Raises what was raised there; StoreUnavailable when it is gone."""
        if self._link is None or self._link.closed:
            raise StoreUnavailable("The store is closed.")
        self._next += 1
        number = self._next
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._link.send((number, name, arguments, named))
            return await waiting
        finally:
            self._waiting.pop(number, None)

    async def _ask_lately(self, name: str, *arguments: Any) -> Any:
        """The same, but an answer holds for LINK_CACHE seconds: these are asked for every message."""
        now, key = asyncio.get_running_loop().time(), (name, arguments)
        known = self._lately.get(key)
        if known is not None and known[0] > now:
            return known[1]
        changes = self._changes
        answer = await self.ask(name, *arguments)
        if changes == self._changes:  # else it may be of before what we have changed meanwhile
            if len(self._lately) >= LINK_CACHED:
                self._lately.clear()
            self._lately[key] = (now + LINK_CACHE, answer)
        return answer

    def _forget_lately(self) -> None:
        self._changes += 1
        self._lately.clear()

    async def apply(self, op: Op[R]) -> R:
        """See `Store.apply`."""
        (result,) = await self.commit(op)
        return cast(R, result)

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        """See `Store.commit`."""
        try:
            return cast(list[Any], await self.ask("commit", *ops))
        except NotFound:
            self._forget_lately()  # what we remember is there no longer
            raise
        finally:
            if not all(isinstance(op, _HARMLESS) for op in ops):
                self._forget_lately()

    def healthy(self) -> bool:
        """Whether the other process is there."""
        return self._link is not None and not self._link.closed

    async def close(self) -> None:
        """Ask no more."""
        if self._link is not None:
            self._link.close()

    def _heard(self, value: tuple[int, Any, Any]) -> None:
        number, fault, result = value
        if number == 0:
            for heard in self._hearing.get(fault, ()):
                heard(result)
            return
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():
            return  # who asked has been cut off
        if isinstance(fault, Fault):
            waiting.set_exception(fault.error())
        else:
            waiting.set_result(result)

    def _lost(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(StoreUnavailable("The store is closed."))
        self._lost_too()

    # --- news -----------------------------------------------------------------------------------------------

    def tell(self, topic: str, words: tuple[Any, ...]) -> None:
        """Tell the process that has the store, and through it the other workers. Never waits."""
        if self._link is not None:
            self._link.send((0, topic, words, {}))

    def hear(self, topic: str, heard: Callable[[tuple[Any, ...]], None]) -> None:
        """Call `heard` for what is told of a topic."""
        self._hearing.setdefault(topic, []).append(heard)

    def watch_people(self, heard: Callable[[], None]) -> Callable[[], None]:
        """See `Store.watch_people`."""

        def people(_words: tuple[Any, ...]) -> None:
            heard()

        self.hear(PEOPLE, people)
        return partial(self._hearing[PEOPLE].remove, people)

    # --- staging --------------------------------------------------------------------------------------------

    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""
        return RemoteStaging(self)

    def forget_staged(self, number: int) -> None:
        """The octets of this staging are wanted no more, unless a commit has adopted them. Never waits."""
        if self._link is not None:
            self._next += 1
            self._link.send((self._next, "stage.discard", (number,), {}))


class RemoteStaging:
    """A `Staging` whose octets go into a file of the other process."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self._number = 0

    async def write(self, chunk: bytes) -> None:
        """Append octets; returns when they were taken, so that no more than one piece is under way."""
        if not self._number:
            self._number = await self._store.ask("stage.begin")
        await self._store.ask("stage.write", self._number, chunk)

    async def finish(self) -> Content:
        """The content, ready for a commit."""
        if not self._number:
            return Content([])
        content: Content = await self._store.ask("stage.finish", self._number)
        loop = asyncio.get_running_loop()
        weakref.finalize(content, _forget, loop, self._store, self._number)  # in whatever thread
        self._number = 0
        return content

    async def discard(self) -> None:
        """Forget it. Harmless after `finish`."""
        if self._number:
            number, self._number = self._number, 0
            self._store.forget_staged(number)


def _forget(loop: asyncio.AbstractEventLoop, store: RemoteStore, number: int) -> None:
    """A staged message that no session knows any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(store.forget_staged, number)
