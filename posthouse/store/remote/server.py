"""The side of the process that has the store: answers its workers, and passes on what one tells the others.

Each request runs as a task of its own, so the writer makes one commit of what many sessions of all workers want. A
worker that is gone leaves nothing behind: what it had staged is removed, what it had asked is done or not done, but
nobody was told so.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from posthouse.errors import LocalProtocolError, PosthouseError, StoreUnavailable
from posthouse.store.interface import Staging, Store
from posthouse.store.model import Content
from posthouse.store.remote.calls import CALLS, PEOPLE, Fault
from posthouse.store.remote.link import Link

log: Final = logging.getLogger(__name__)

Heard = Callable[[tuple[Any, ...]], None]


class StoreServer:
    """Serves one store to the workers that `attach` begins with. One per house; also the gossip between them."""

    def __init__(self, store: Store, secret: bytes) -> None:
        """`secret`: what all processes of the house share (`Storage.secret`)."""
        self.store = store
        self.secret = secret
        self.config: Any = None
        """What a worker is to be configured by."""
        self._clients: set[Client] = set()
        self._hearing: dict[str, list[Heard]] = {}
        self._unwatch = store.watch_people(lambda: self.tell(PEOPLE, ()))

    async def attach(self, sock: socket.socket) -> Client:
        """Serve a worker at our end of its socket pair, until one of both ends it."""
        client = Client(self)
        await client.open(sock)
        self._clients.add(client)
        return client

    def close(self) -> None:
        """Serve nobody any more."""
        self._unwatch()
        for client in tuple(self._clients):
            client.close()

    # --- gossip -------------------------------------------------------------------------------------------

    def tell(self, topic: str, words: tuple[Any, ...]) -> None:
        """Tell all workers. Never waits."""
        for client in tuple(self._clients):
            client.tell(topic, words)

    def hear(self, topic: str, heard: Heard) -> None:
        """Call `heard` for what a worker tells of a topic."""
        self._hearing.setdefault(topic, []).append(heard)

    def heard(self, teller: Client, topic: str, words: tuple[Any, ...]) -> None:
        """A worker has told something: for us, and for the others."""
        for hear in self._hearing.get(topic, ()):
            hear(words)
        for client in tuple(self._clients - {teller}):
            client.tell(topic, words)

    def forget(self, client: Client) -> None:
        """A worker is gone."""
        self._clients.discard(client)


class Client:
    """One worker."""

    def __init__(self, server: StoreServer) -> None:
        self._server = server
        self._link: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stagings: dict[int, Staging] = {}
        self._staged: dict[int, Content] = {}
        self._next = 0

    async def open(self, sock: socket.socket) -> None:
        """Begin."""
        self._link = await Link.open(sock, self._heard, self._lost)

    def close(self) -> None:
        """Serve it no more; it ends then."""
        if self._link is not None:
            self._link.close()

    def tell(self, topic: str, words: tuple[Any, ...]) -> None:
        """Tell it something. Never waits."""
        if self._link is not None:
            self._link.send((0, topic, words))

    def _heard(self, value: tuple[int, str, tuple[Any, ...], dict[str, Any]]) -> None:
        number, name, arguments, named = value
        if number == 0:
            self._server.heard(self, name, arguments)
            return
        task = asyncio.get_running_loop().create_task(self._answer(number, name, arguments, named))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self) -> None:
        self._server.forget(self)
        self._staged.clear()
        stagings, self._stagings = tuple(self._stagings.values()), {}
        for staging in stagings:
            task = asyncio.get_running_loop().create_task(staging.discard())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, number: int, name: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        # What a commit adopts stays until it is done, though who asked may be cut off and forget it meanwhile.
        staged = tuple(self._staged.values())
        answer: tuple[int, Fault | None, Any]
        try:
            if name in CALLS:
                answer = (number, None, await getattr(self._server.store, name)(*arguments, **named))
            else:
                answer = (number, None, await _OWN[name](self, *arguments))
        except PosthouseError as error:
            answer = (number, Fault.of(error), None)
        except Exception:
            log.exception("a worker's request %s failed", name)
            answer = (number, Fault.of(StoreUnavailable("The store failed.")), None)
        finally:
            del staged
        self._send(number, name, answer)

    def _send(self, number: int, name: str, answer: tuple[int, Fault | None, Any]) -> None:
        assert self._link is not None
        try:
            self._link.send(answer)
        except Exception:  # too large, or nothing that a link can carry: nobody may be left waiting
            log.exception("the answer to a worker's request %s cannot be sent", name)
            self._link.send((number, Fault.of(StoreUnavailable("The store failed.")), None))

    # --- staging: the worker's octets go into a file of the store ------------------------------------------

    async def _stage(self) -> int:
        self._next += 1
        self._stagings[self._next] = self._server.store.stage()
        return self._next

    async def _write(self, number: int, chunk: bytes) -> None:
        await self._staging(number).write(chunk)

    async def _finish(self, number: int) -> Content:
        content = await self._staging(number).finish()
        self._stagings.pop(number, None)  # discarded meanwhile, perhaps
        # Its file is removed when nobody knows this value any more and no commit has adopted it.
        self._staged[number] = content
        return content

    async def _discard(self, number: int) -> None:
        self._staged.pop(number, None)
        staging = self._stagings.pop(number, None)
        if staging is not None:
            await staging.discard()

    def _staging(self, number: int) -> Staging:
        try:
            return self._stagings[number]
        except KeyError:
            raise LocalProtocolError("There is no such staging.") from None

    async def _secret(self) -> bytes:
        return self._server.secret

    async def _config(self) -> Any:
        return self._server.config


_OWN: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "stage.begin": Client._stage,
    "stage.write": Client._write,
    "stage.finish": Client._finish,
    "stage.discard": Client._discard,
    "secret": Client._secret,
    "config": Client._config,
}
"""What a worker may ask beside the store's own calls."""
