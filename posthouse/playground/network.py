"""A small internet: one name server and any number of post offices, on loopback addresses of one machine.

    async with Playground() as net:                        # north.test, south.test, backup.south.test
        await net.host("mx.south.test").stop()

    net = Playground(scenario=None, published=False)        # or one's own
    net.add_zone("east.test", "@ MX 10 mx\\nmx A 127.0.0.30\\n")
    net.add_host(HostSpec(name="mx.east.test", address="127.0.0.30", domains=("east.test",)))

    net.partition("mx.north.test", "mx.east.test")          # neither reaches the other
    net.host("mx.east.test").gate.say("RCPT", "451 later")  # see `gate`
    await net.advance(4 * 3600)                             # every host's clock: what is due then is tried now

Nothing ever leaves the machine: the name server knows only `test`, and all hosts use its ports.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.playground.host import PUBLISHED, Host, HostSpec, held_ports
from posthouse.playground.name_server import NameServer
from posthouse.playground.ports import HeldPorts
from posthouse.playground.scenarios import SCENARIOS
from posthouse.playground.zones import Level, Zones

DNS_PORT = 5453


class NetworkEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: a DNS question or a line of a host's log."""

    host: str
    text: str


class Playground:
    """The network. An async context manager; `start` and `stop` do the same."""

    def __init__(
        self, folder: Path | None = None, *, scenario: str | None = "standard", published: bool = True
    ) -> None:
        """`folder` keeps everything (None: a temporary one, removed at the end).

        `scenario`: begin with one of SCENARIOS (NotFound), or with nothing. `published`: the ports of the
        documentation, else free ones, with a gate before each host.
        """
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.gettempdir()) / f"posthouse-playground-{secrets.token_hex(8)}"
        self._held: HeldPorts | None = None
        if published:
            self.ports = dict(PUBLISHED)
        else:
            self.ports, self._held = held_ports()
        self.zones = Zones()
        self.hosts: dict[str, Host] = {}
        self.heard: list[Callable[[NetworkEvent], None]] = []
        """Called with everything that happens."""
        self.name_server = NameServer(self.zones, DNS_PORT if published else 0, self._asked)
        self._specs: list[HostSpec] = []
        self._away: frozenset[str] = frozenset()
        self._published: dict[str, tuple[str, bool]] = {}
        if scenario is not None:
            self._begin_as(scenario)

    def _begin_as(self, name: str) -> None:
        chosen = SCENARIOS.get(name)
        if chosen is None:
            raise NotFound(f"no scenario {name}; there are {', '.join(SCENARIOS)}")
        for domain, records in chosen.zones.items():
            self.add_zone(domain, records, signed=domain in chosen.signed)
        for spec in chosen.hosts:
            self.add_host(spec)
        self._away = chosen.away

    def add_zone(self, domain: str, records: str, *, signed: bool = False) -> None:
        """Publish a domain: records in master file form, names relative to it."""
        self._published[domain] = (records, signed)
        self.zones.put(domain, records, signed=signed)

    def add_host(self, spec: HostSpec) -> None:
        """Plan a host; it is started with the network."""
        self._specs.append(spec)

    def host(self, name: str) -> Host:
        """A running network's host. NotFound."""
        try:
            return self.hosts[name]
        except KeyError:
            raise NotFound(f"no host {name} in this playground") from None

    def partition(self, one: str, other: str) -> None:
        """Part two hosts: whatever either sends to the other's SMTP port is broken off. NotFound."""
        first, second = self.host(one), self.host(other)
        first.gate.block(second.address)
        second.gate.block(first.address)

    def heal(self) -> None:
        """End all partitions."""
        for host in self.hosts.values():
            host.gate.blocked.clear()

    async def until(self, true: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
        """Wait until something is so in another process, by asking again and again. TimeoutError."""
        async with asyncio.timeout(seconds):
            while not await true():  # noqa: ASYNC110  # another process can only be asked
                await asyncio.sleep(limits.PLAYGROUND_POLL)

    async def advance(self, seconds: float) -> None:
        """Move every host's clock on. ValueError: clocks do not go back."""
        if not seconds >= 0:
            raise ValueError("the clock goes forward only")
        await asyncio.gather(*(host.advance(seconds) for host in self.hosts.values()))

    async def start(self) -> None:
        """Start the name server, make the data, start the hosts; returns when all accept connections."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=not self._temporary)
        await self.name_server.start()
        for spec in self._specs:
            host = Host(spec, self.folder / spec.name, self.ports, self.name_server.port)
            host.on_line = self._logged
            self.hosts[spec.name] = host
        await asyncio.gather(*(self._open(host) for host in self.hosts.values()))

    async def _open(self, host: Host) -> None:
        furnished = host.folder / "furnished"
        if not (furnished.exists() and host.name in self._away):
            await host.start()
        if not furnished.exists():
            await furnish(host)
            furnished.touch()
        for domain in host.spec.domains:
            await self._publish(host, domain)
        if host.name in self._away and host.running:
            await host.stop()

    async def _publish(self, host: Host, domain: str) -> None:
        """Add to a domain's zone what its post office says is to be published: SPF, DKIM keys, DMARC, …"""
        if domain not in self._published:
            return
        records, signed = self._published[domain]
        answer = json.loads(await host.command("domain", "dns", domain, "--json"))
        self.zones.put(domain, records + answer["zone"], signed=signed)

    async def stop(self) -> None:
        """Stop everything; a temporary folder is removed."""
        await asyncio.gather(*(host.stop() for host in self.hosts.values()))
        await self.name_server.stop()
        if self._held is not None:
            self._held.release()
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _asked(self, level: Level, name: str, kind: str) -> None:
        self._tell(
            NetworkEvent(host="ns.test", text=f"dns level={level.name.lower()} name={name} type={kind}")
        )

    def _logged(self, host: Host, line: str) -> None:
        self._tell(NetworkEvent(host=host.name, text=line))

    def _tell(self, event: NetworkEvent) -> None:
        for heard in tuple(self.heard):
            heard(event)


async def furnish(host: Host) -> None:
    """Give a running host its domains and accounts, as an administrator would; the first account is one."""
    for domain in host.spec.domains:
        await host.ask("domain.add", name=domain)
    for domain in host.spec.backup_for:
        await host.ask("domain.add", name=domain, backup=True)
    if host.spec.accounts:
        yes = ("yes", *("no",) * (len(host.spec.accounts) - 1))
        lines = (
            f"{address},{password},{admin}\n"
            for (address, password), admin in zip(host.spec.accounts, yes, strict=True)
        )
        done = await host.ask("account.import", body=f"address,password,admin\n{''.join(lines)}".encode())
        if done["refused"]:
            raise ValueError(f"{host.name}: {done['refused'][0]['reason']}")
