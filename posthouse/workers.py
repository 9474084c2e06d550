"""The processes that take mail beside the one that has the store (`workers`, docs/decisions/workers.md).

We bind every SMTP address once for each of them (SO_REUSEPORT: the system shares the connections out) and keep the
sockets, so that a worker that dies loses its sessions but no address: the next one goes on with the same sockets. A
worker gets its sockets, and its end of a socket pair to us, by inheritance; all else it asks over that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from posthouse.config import Config
from posthouse.errors import StoreUnavailable
from posthouse.limits import WORKER_PAUSE, WORKER_PAUSE_MOST, WORKER_START, WORKER_STOP
from posthouse.net.endpoint import bind_shared
from posthouse.net.listener import bound_text
from posthouse.store.remote.calls import CONFIG, READY
from posthouse.store.remote.server import StoreServer

log: Final = logging.getLogger(__name__)

WORKER_ROLES: Final = frozenset({"mx", "submission"})
"""What workers do: receiving is most of a post office's computing, and needs none of the store's memory."""


class Workers:
    """All of them. `bind` while we may, `start`, `stop`."""

    def __init__(self, config: Config, server: StoreServer) -> None:
        self._server = server
        self._sockets: list[dict[str, list[socket.socket]]] = [{} for _ in range(config.workers)]
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready = [asyncio.Event() for _ in range(config.workers)]
        server.config = _for_worker(config)
        self._stopping = asyncio.Event()
        self.bound: dict[str, list[str]] = {}
        """Listener name → where it is bound."""
        server.hear(READY, self._is_ready)

    @property
    def running(self) -> int:
        """How many take mail now."""
        return sum(event.is_set() for event in self._ready)

    def bind(self, name: str, addresses: Sequence[str]) -> None:
        """Bind a listener's addresses, once for each worker. Raises OSError, ValueError."""
        for address in addresses:
            for own, shared in zip(self._sockets, bind_shared(address, len(self._sockets)), strict=True):
                own.setdefault(name, []).extend(shared)
        self.bound[name] = [bound_text(sock) for sock in self._sockets[0][name]]

    async def start(self) -> None:
        """Start all and wait until they listen. StoreUnavailable: one did not within WORKER_START seconds."""
        self._tasks = [
            asyncio.create_task(self._keep(number), name=f"worker {number}")
            for number in range(len(self._sockets))
        ]
        ready = asyncio.gather(*(event.wait() for event in self._ready))
        waits: set[asyncio.Future[Any]] = {ready, *self._tasks}
        await asyncio.wait(waits, timeout=WORKER_START, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise StoreUnavailable("A worker process did not start; its log lines say why.")

    def reload(self, config: Config) -> None:
        """Pass on a new configuration."""
        self._server.config = _for_worker(config)
        self._server.tell(CONFIG, (self._server.config,))

    async def stop(self) -> None:
        """Let their sessions end with a word; who needs more than WORKER_STOP seconds is ended."""
        self._stopping.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=WORKER_STOP)
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for own in self._sockets:
            for sockets in own.values():
                for sock in sockets:
                    sock.close()

    # --- one of them ----------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Start it, and again whenever it ends, ever more slowly when it does not last."""
        loop, pause, known = asyncio.get_running_loop(), WORKER_PAUSE, False
        while True:
            began = loop.time()
            try:
                end = f"ended with code {await self._run(number)}"
            except Exception as fault:  # no process or descriptor to be had now: there may be one later
                end = f"could not be started ({fault})"
            if self._stopping.is_set():
                return
            known = known or self._ready[number].is_set()
            if not known:  # `start` waits for its first life
                log.error("worker %d %s before it was ready", number, end)
                return
            self._ready[number].clear()
            if loop.time() - began > WORKER_PAUSE_MOST:
                pause = WORKER_PAUSE
            log.error("worker %d %s: started again in %.1f s", number, end, pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return
            pause = min(pause * 2, WORKER_PAUSE_MOST)

    async def _run(self, number: int) -> int:
        """One process's life; its exit code."""
        ours, theirs = socket.socketpair()
        client = await self._server.attach(ours)
        names = {name: [sock.fileno() for sock in sockets] for name, sockets in self._sockets[number].items()}
        descriptors = [theirs.fileno(), *(each for numbers in names.values() for each in numbers)]
        words = [
            sys.executable,
            "-P",  # the folder we stand in is no place to look for modules
            "-m",
            "posthouse.worker",
            str(number),
            str(theirs.fileno()),
            json.dumps(names),
        ]
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *words, pass_fds=descriptors, stdin=asyncio.subprocess.DEVNULL
                )
            self._processes[number] = process
            if self._stopping.is_set():  # `stop` did not see it yet
                process.terminate()
            return await process.wait()
        finally:
            client.close()
            self._processes.pop(number, None)

    def _is_ready(self, words: tuple[Any, ...]) -> None:
        self._ready[words[0]].set()


def _for_worker(config: Config) -> Config:
    """Draining is ours: a worker that is told to stop stops."""
    return msgspec.structs.replace(config, drain=0.0)
