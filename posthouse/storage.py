"""Opens the store that the configuration names: the embedded one, or a node's view of a cluster's.

What only one of them needs is settled here: a cluster shares a secret and the POP3 locks through its database; the
embedded store has a full-text index in a file of its own and locks in memory.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from posthouse.config import CLUSTER_URLS, Config, ConfigError
from posthouse.doors import role_of
from posthouse.durable import write_private
from posthouse.operations.backup import Backups
from posthouse.places import file_name, ports_of
from posthouse.pop3.locks import LocalLocks, MaildropLocks
from posthouse.store.derive import derive
from posthouse.store.host_facts import HostFacts
from posthouse.store.interface import Store
from posthouse.store.keeper import Keeper
from posthouse.store.memory.store import LiveStore
from posthouse.store.remote.server import StoreServer
from posthouse.store.sqlite.lock import StoreLock
from posthouse.store.sqlite.searching import text_search
from posthouse.store.sqlite.store import SqliteStore


class Gossip(Protocol):
    """How nodes, or worker processes, tell each other small things that may be lost."""

    def tell(self, topic: str, words: tuple[str, ...]) -> None:
        """Tell all other nodes. Never waits."""
        ...

    def hear(self, topic: str, heard: Callable[[tuple[str, ...]], None]) -> None:
        """Call `heard` for what others tell of a topic."""
        ...


async def _always(_duty: str) -> bool:
    return True


async def _nothing() -> None:
    return None


class Storage(msgspec.Struct, kw_only=True):
    """An open store with what belongs to it."""

    store: Store
    secret: bytes
    """32 octets of chance that all nodes share and that stay over restarts."""
    locks: MaildropLocks
    gossip: Gossip | None = None
    """None: there are no other nodes."""
    healthy: Callable[[], bool] = lambda: True
    """Whether the store can be reached just now."""
    probe_objects: Callable[[], Awaitable[str | None]] = _nothing
    """Why the object store cannot be used; empty: it can be; None: there is none."""
    may_do: Callable[[str], Awaitable[bool]] = _always
    """Whether a duty of the house is this node's to do."""
    clock_is_off: Callable[[], bool] = lambda: False
    """Whether our clock is far from that of the store that we share with others."""
    hosts: Callable[[], tuple[HostFacts, ...]] = tuple
    """The hosts that serve this store, as far as they have told; empty: this one alone."""
    keeper: Keeper | None = None
    """Makes backups and verifies; None: another process of this machine does."""
    workers: StoreServer | None = None
    """Serves the store to worker processes of this machine; None: there are none."""
    configure: Callable[[Config], None] = lambda _config: None
    """Told each configuration; a store that another process has open is told by that one."""
    leave: Callable[[], None] = lambda: None
    """Called after the store was closed."""

    async def close(self) -> None:
        """Close the store."""
        if self.workers is not None:
            self.workers.close()
        await self.store.close()
        await asyncio.to_thread(self.leave)


async def open_storage(
    config: Config, now: Callable[[], float], *, serving: bool, roles: frozenset[str] = frozenset()
) -> Storage:
    """Open it. StoreUnavailable; ConfigError when what it needs is not installed.

    `serving`: not for a single command only; `roles`: what this process does.
    """
    if config.store.url.startswith(CLUSTER_URLS):
        return await _open_cluster(config, now, serving=serving, roles=roles)
    store = await SqliteStore.open(
        config.data / config.store.url.removeprefix("sqlite:"),
        config.data / config.store.blobs.removeprefix("packs:"),
        derive=derive,
        search=text_search(config.data / "search.db") if serving else None,
        now=now,
    )
    secret = _own_secret(config.data)
    workers = StoreServer(store, secret) if serving and config.workers > 1 else None
    return Storage(
        store=store,
        secret=secret,
        locks=LocalLocks(),
        gossip=workers,
        workers=workers,
        keeper=store,
        configure=partial(_configure, store),
    )


def _configure(store: LiveStore[Any], config: Config) -> None:
    store.configure(default_quota=config.limits.account_quota, keep_deleted=config.store.deleted > 0)


def _own_secret(data: Path) -> bytes:
    """Made once: what unknown names are told must not change over restarts."""
    path = data / "login.key"
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()


async def _open_cluster(
    config: Config, now: Callable[[], float], *, serving: bool, roles: frozenset[str]
) -> Storage:
    try:
        from posthouse.store.moving.keeping import ClusterKeeper
        from posthouse.store.postgres import Place, PostgresStore
    except ModuleNotFoundError as fault:
        raise ConfigError(
            f"store.url: a cluster needs more packages ({fault.name}): pip install 'posthouse[cluster]'"
        ) from fault
    # A command beside a running node has a folder of its own: what is in a node's folder is forgotten at its start.
    folder = config.data / "node" if serving else config.data / "run" / f"command-{os.getpid()}"
    lock = StoreLock(config.data / "node.lock") if serving else None
    place = Place(
        url=config.store.url,
        objects=config.store.blobs if config.store.blobs.startswith("s3:") else "",
        folder=folder,
        name=config.hostname,
        roles=tuple(sorted(roles)),
        ports={name: port for name, port in ports_of(config).items() if role_of(name) in roles},
        jobs=serving and "jobs" in roles,
    )

    def leave() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.release()

    try:
        store = await PostgresStore.open(place, derive=derive, now=now)
    except ValueError as fault:
        leave()
        raise ConfigError(f"store: {fault}") from fault
    except BaseException:
        leave()
        raise
    return Storage(
        store=store,
        secret=await store.secret("login"),
        locks=store.maildrop_locks(),
        gossip=store,
        healthy=store.healthy,
        probe_objects=store.probe_objects,
        may_do=store.maildrop_locks().take_duty,
        clock_is_off=store.clock_is_off,
        hosts=store.hosts,
        configure=partial(_configure, store),
        leave=leave,
        keeper=ClusterKeeper(config.store.url, place.objects, config.data / "run" / "keeping", store.mend),
    )


def make_backups(storage: Storage, config: Config, now: Callable[[], float]) -> Backups:
    """What backs it up."""
    return Backups(
        storage.keeper,
        storage.store,
        data=config.data,
        hostname=config.hostname,
        own=(file_name(config.store.url), file_name(config.store.blobs), "search.db", "run", "node"),
        now=now,
        expected=isinstance(storage.store, SqliteStore),
    )
