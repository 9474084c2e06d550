"""A worker process: `python -m posthouse.worker NUMBER LINK SOCKETS`, started by `workers` and by nobody else.

LINK is the descriptor of its end of a socket pair to the process that has the store, SOCKETS a JSON object: listener
name → descriptors. It ends when it is told to, or when that process is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from typing import Any, Final

from posthouse import limits
from posthouse.app import App, Worker
from posthouse.config import Config
from posthouse.errors import PosthouseError
from posthouse.operations.logs import start_logging
from posthouse.pop3.locks import LocalLocks
from posthouse.storage import Storage
from posthouse.store.interface import Store
from posthouse.store.remote.calls import CONFIG, READY
from posthouse.store.remote.client import RemoteStore
from posthouse.supervisor import loop_factory, raise_file_limit, tune_allocator, tune_collector
from posthouse.workers import WORKER_ROLES

log: Final = logging.getLogger(__name__)


async def _never(_duty: str) -> bool:
    return False


async def _serve(number: int, link: int, names: dict[str, list[int]]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    remote = await RemoteStore.open(socket.socket(fileno=link), ended.set)
    configs: asyncio.Queue[Config] = asyncio.Queue()

    def configured(words: tuple[Any, ...]) -> None:
        configs.put_nowait(words[0])

    remote.hear(CONFIG, configured)
    config: Config = await remote.ask("config")
    start_logging(config.log, os.environ)
    raise_file_limit(config.limits.connections + limits.SPARE_FILES)
    store: Store = remote  # type: ignore[assignment]  # its methods are made at first use
    storage = Storage(
        store=store,
        secret=await remote.ask("secret"),
        locks=LocalLocks(),
        gossip=remote,
        healthy=remote.healthy,
        may_do=_never,
    )
    sockets = {name: [socket.socket(fileno=each) for each in numbers] for name, numbers in names.items()}
    app = App(
        config,
        roles=tuple(sorted(WORKER_ROLES)),
        worker=Worker(number=number, storage=storage, sockets=sockets, tell=remote.tell),
    )
    await app.start()
    tune_collector()
    remote.tell(READY, (number,))
    reloading = loop.create_task(_follow(app, configs))
    await ended.wait()
    reloading.cancel()
    await app.stop()


async def _follow(app: App, configs: asyncio.Queue[Config]) -> None:
    """Take up each new configuration; one with nothing new in it means that the certificate's files are."""
    while True:
        config = await configs.get()
        try:
            await app.reload(config)
            start_logging(config.log, os.environ)
        except (PosthouseError, OSError) as fault:
            log.error("reload failed, the old configuration stays: %s", fault)


def main() -> None:
    """Take mail until told to stop."""
    number, link, names = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches us too: the process that started us tells us to stop
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    tune_allocator()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(number, link, names))


if __name__ == "__main__":
    main()
