"""What starts what: configuration → `house.House` (store, directory, inbound, outbound) → listeners, control socket.

With `house.py` the only place that builds objects. Nothing here decides anything; whoever wants to know what is joined
to what reads these two from the top.

A reload builds the servers anew from the new configuration beside the open store; sessions that have begun keep the
ones they began with.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.browsers import jmap_services, web_application
from posthouse.config import Config, ConfigError
from posthouse.doors import DOORS, HEALTH, JOBS_ROLE, QUEUE_ROLE, ROLES, XCLIENT_PROTOCOLS, Door, busy_line
from posthouse.errors import PosthouseError
from posthouse.house import House
from posthouse.jmap.methods import TOLD_TYPES
from posthouse.net.connection import Connection
from posthouse.net.endpoint import UNIX
from posthouse.net.health import HealthServer
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.operations.administration import Administration
from posthouse.operations.certificates import pair_to_show
from posthouse.operations.control import ControlServer, socket_path
from posthouse.operations.metrics import Metrics, told_by
from posthouse.operations.upkeep import Duty, Upkeep
from posthouse.outbound.queue import QueueRunner
from posthouse.places import Paths
from posthouse.privileges import Privileges
from posthouse.reloading import keeping_fixed
from posthouse.servers import Serve, mail_servers
from posthouse.smtp.extensions import Role
from posthouse.storage import Storage
from posthouse.store.interface import Store
from posthouse.web.pages import Pages
from posthouse.web.pusher import Pusher
from posthouse.web.server import WebServer
from posthouse.web.web_push import VapidKey
from posthouse.workers import WORKER_ROLES, Workers

log: Final = logging.getLogger(__name__)

PEER_SEEN: Final = "peer-seen"
"""What workers tell: an address that has connected to port 25."""
COUNTED: Final = "counted"
"""What workers tell: the numbers for `/metrics`."""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process was given by the one that started it."""

    number: int
    storage: Storage
    sockets: dict[str, list[socket.socket]]
    """Listener name → bound sockets."""
    tell: Callable[[str, tuple[Any, ...]], None]
    """Tells that process something: a topic, and words."""


class Unable(PosthouseError):
    """A listener cannot be opened."""


class App:
    """A post office open to the network. `start`, then `stop`; `addresses` tells where it listens."""

    def __init__(
        self,
        config: Config,
        *,
        roles: tuple[str, ...] = (),
        privileges: Privileges | None = None,
        worker: Worker | None = None,
    ) -> None:
        """`roles`: only these of ROLES; empty: everything configured. ConfigError for an unknown one.

        `worker`: what this process was given, when it only takes mail for another one (`workers`).
        """
        if unknown := sorted(set(roles) - ROLES):
            raise ConfigError(f"unknown role {', '.join(unknown)}; there are {', '.join(sorted(ROLES))}")
        self.config = config
        self.roles = frozenset(roles) or ROLES
        self._privileges = privileges or Privileges("")
        self._listeners: dict[str, Listener] = {}
        self._servers: dict[str, Serve] = {}
        self._pages = Pages()
        self._gate = ConnectionGate(config.limits.connections, config.limits.connections_per_address)
        self._tls: ssl.SSLContext | None = None
        self._control: ControlServer | None = None
        self._runner: QueueRunner | None = None
        self._pusher: Pusher | None = None
        self._upkeep: Upkeep | None = None
        self._stopping = False
        self._reloading = asyncio.Lock()
        self._preparing: asyncio.Task[None] | None = None
        self._worker = worker
        self._workers: Workers | None = None

    @property
    def addresses(self) -> dict[str, list[str]]:
        """Listener name → where it is bound."""
        own = {name: list(listener.bound) for name, listener in self._listeners.items()}
        return own | (self._workers.bound if self._workers is not None else {})

    @property
    def store(self) -> Store:
        """The open store; tests and scripts look into it."""
        return self.house.store

    async def start(self) -> None:
        """Open the house, then its doors. Whatever fails, what was opened is closed again."""
        storage = self._worker.storage if self._worker is not None else None
        self.house = await House.open(self.config, serving=True, roles=self.roles, storage=storage)
        try:
            self._metrics = Metrics(self.house, self._open_connections, self.config.data, self.house.clock)
            self._preparing = asyncio.create_task(asyncio.to_thread(self.house.directory.prepare))
            self._tls = await asyncio.to_thread(self._load_certificate, self.config)
            await asyncio.to_thread(self._pages.load)
            self._build_servers(self.config)
            await self._open_doors()
            jobs = JOBS_ROLE in self.roles
            self._upkeep = Upkeep(
                self.house.store,
                lambda: self.config.store.timeline if jobs else 0.0,
                self.house.clock,
                (*self.house.duties(jobs=jobs), *self._counting(), *self._renewing()),
                clock_is_off=self.house.storage.clock_is_off,
            )
            self._upkeep.start()
            if self._worker is None:
                await self._start_housework()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Accept nobody, let sessions end with a word, finish deliveries under way, close the store.

        With `drain`, first say for so long that nobody new should be sent here; `hurry` cuts that short.
        """
        self._stopping = True
        if self.config.drain and self.house.listening:
            log.info("draining seconds=%s", self.config.drain)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.drain):
                    await (hurry or asyncio.Event()).wait()
        stops = [listener.stop() for listener in self._listeners.values()]
        stops += [self._workers.stop()] if self._workers is not None else []
        outcomes: list[object] = await asyncio.gather(*stops, return_exceptions=True)
        self.house.listening = {}
        house = self.house
        parts = (self._pusher, house.outbox, self._runner, self._upkeep, house.junk, self._control)
        for part in parts:
            if part is not None:
                outcomes += await asyncio.gather(part.stop(), return_exceptions=True)
        if self._preparing is not None:
            outcomes += await asyncio.gather(self._preparing, return_exceptions=True)
        for fault in outcomes:
            if isinstance(fault, BaseException):  # it keeps none of the others, nor the store, from its end
                log.error("a part did not stop as it should", exc_info=fault)
        await house.close()

    async def _start_housework(self) -> None:
        """All that one process does for its workers too."""
        self._control = ControlServer(socket_path(self.config.data), self._administer)
        await self._control.start()
        await self._start_queue()
        self.house.junk.start()
        self.house.outbox.start()
        self._pusher = Pusher(self._jmap, lambda: self.house.resolver, self._vapid, TOLD_TYPES)
        await self._pusher.start()
        if self._workers is not None and self.house.storage.workers is not None:
            self.house.storage.workers.hear(PEER_SEEN, lambda words: self._peer_seen(words[0]))
            self.house.storage.workers.hear(COUNTED, lambda words: self._metrics.hear(words[0]))
            await self._workers.start()

    async def _start_queue(self) -> None:
        if QUEUE_ROLE in self.roles:
            self._runner = self.house.queue_runner()
            await self._runner.start()

    def _administer(self) -> Administration:
        return self.house.administration

    # --- doors ---------------------------------------------------------------------------------------

    async def _open_doors(self) -> None:
        workers = self.house.storage.workers
        if workers is not None:
            self._workers = Workers(self.config, workers)
        with self._privileges.root():
            for door in (*DOORS, HEALTH):
                addresses = getattr(self.config.listen, door.name)
                if not addresses or not self._opens(door):
                    continue
                try:
                    await self._open_door(door, addresses)
                except OSError as fault:
                    reason = fault.strerror or str(fault)
                    raise Unable(f"listen.{door.name}: {', '.join(addresses)}: {reason}") from fault
        self._privileges.give_up()
        self.house.listening = self.addresses

    def _opens(self, door: Door) -> bool:
        if self._worker is not None:
            return door.name in self._worker.sockets
        return door is HEALTH or door.role in self.roles

    async def _open_door(self, door: Door, addresses: Sequence[str]) -> None:
        sockets = self._worker.sockets[door.name] if self._worker is not None else ()
        if self._workers is not None and door.role in WORKER_ROLES:
            self._workers.bind(door.name, [one for one in addresses if not one.startswith(UNIX)])
            addresses = [one for one in addresses if one.startswith(UNIX)]
            if not addresses:
                return
        proxies = [ip_network(each, strict=False) for each in self.config.proxies]
        fronts = [ip_network(each, strict=False) for each in self.config.xclient]
        listener = Listener(
            [self._placed(address) for address in addresses],
            partial(self._serve, door.protocol),
            name=door.name,
            tls=self._tls if door.tls_first else None,
            gate=self._gate,
            refusal=busy_line(door.protocol, self.config.hostname),
            proxies=() if door is HEALTH else proxies,
            fronts=fronts if door.protocol in XCLIENT_PROTOCOLS else (),
            sockets=sockets,
        )
        await listener.start()
        self._listeners[door.name] = listener
        for bound in listener.bound:
            if bound.startswith(UNIX) and not sockets:
                self._privileges.own(Path(bound.removeprefix(UNIX)))

    def _placed(self, address: str) -> str:
        """A Unix socket's path is relative to the data folder."""
        path = address.removeprefix("unix:")
        return address if path == address else f"unix:{self.config.data / path}"

    async def _serve(self, protocol: str, connection: Connection) -> None:
        if protocol == Role.MX.value:
            self._peer_seen(connection.peer.host)
        await self._servers[protocol](connection)

    def _peer_seen(self, address: str) -> None:
        """Somebody is there again: the process with the queue may hold mail for that host."""
        if self._worker is not None:
            self._worker.tell(PEER_SEEN, (address,))
        elif self._runner is not None:
            self._runner.backups.peer_seen(address)

    def _why_not_ready(self) -> str:
        """Why nobody should be sent here now; empty: all is well."""
        if self._stopping:
            return "stopping"
        if not self.house.listening:
            return "starting"
        return "" if self.house.storage.healthy() else "the store cannot be reached"

    def _open_connections(self) -> dict[str, int]:
        return {name: listener.open for name, listener in self._listeners.items()}

    def _counting(self) -> tuple[Duty, ...]:
        """What keeps `/metrics` up to date."""
        worker = self._worker
        if worker is None:
            every, wanted = limits.METRICS_AGE, HEALTH.name in self._listeners
            return (Duty(name="metrics", run=self._metrics.look, every=every, first=0),) if wanted else ()

        async def tell() -> None:
            worker.tell(COUNTED, (told_by(worker.number, self._open_connections()),))

        return (Duty(name="metrics", run=tell, every=limits.METRICS_TOLD, first=limits.METRICS_TOLD),)

    def _renewing(self) -> tuple[Duty, ...]:
        """What keeps our certificate good: the process with the doors for browsers does, not its workers."""
        if self._worker is not None:
            return ()
        renewal = self.house.renewal
        renewal.installed = lambda: self.reload(self.config)
        return (Duty(name="certificate", run=renewal.round, every=limits.ACME_LOOK, first=limits.ACME_FIRST),)

    def _build_servers(self, config: Config) -> None:
        self._servers["health"] = HealthServer(self._why_not_ready, self._metrics.text).serve
        house = self.house
        self._servers.update(mail_servers(house, config, self._tls))
        self._vapid = VapidKey.from_secret(house.storage.secret)
        self._jmap = jmap_services(
            house,
            config,
            administration=self._administer,
            vapid=self._vapid,
            push_wanted=self._push_wanted,
        )
        self._servers["web"] = WebServer(web_application(house, config, self._jmap, self._pages)).serve

    def _push_wanted(self, account_id: int) -> None:
        if self._pusher is not None:
            self._pusher.look(account_id)

    def _load_certificate(self, config: Config) -> ssl.SSLContext:
        pair = Paths(config.data).pair(config)
        names = () if pair.own else tuple(filter(None, (config.hostname, config.public_name)))
        return pair_to_show(pair.certificate, pair.key, names)

    # --- reloading -----------------------------------------------------------------------------------

    async def reload(self, config: Config) -> None:
        """Take up what can change while serving; name in the log what needs a restart. ConfigError."""
        async with self._reloading:
            await self._reload(config)

    async def _reload(self, config: Config) -> None:
        config, fixed = keeping_fixed(config, self.config)
        if fixed:
            log.warning("reload keys=%s need a restart", ",".join(fixed))
        # Both may find that the configuration cannot be used, and then all stays as it is.
        context = await asyncio.to_thread(self._load_certificate, config)
        self.house.furnish(config)
        # A context of its own: into the old one OpenSSL would load a certificate of another kind of key (RSA after
        # ECDSA) beside the first, and go on showing that one.
        self._tls = context
        for listener in self._listeners.values():
            if listener.tls is not None:
                listener.tls = context
        self._gate.total = config.limits.connections
        self._gate.per_address = config.limits.connections_per_address
        self._build_servers(config)
        self.config = config
        if self._runner is not None:
            self._runner.refit(self.house.courier)
        if self._workers is not None:
            self._workers.reload(config)
        log.info("reloaded")
