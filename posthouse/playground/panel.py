"""What `posthouse playground` shows: where to look, and everything that happens as it happens.

On a terminal a table of hosts stands above the latest events; on a pipe the same comes as plain lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from posthouse import limits
from posthouse.playground.host import OFFERED, Host
from posthouse.playground.network import NetworkEvent, Playground
from posthouse.playground.scenarios import PASSWORD

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHOWN_PORTS = tuple(name for name in OFFERED if name not in {"submission"})


def addresses(net: Playground) -> Iterator[str]:
    """Where to look, as lines."""
    yield "Posthouse playground: a small internet on this machine. Nothing leaves it."
    yield ""
    yield f"{'host':<20}{'address':<14}{'for':<21}ports"
    yield f"{'ns.test':<20}{'127.0.0.1':<14}{'DNS':<21}{net.name_server.port} udp, tcp"
    for host in net.hosts.values():
        ports = "  ".join(f"{name} {net.ports[name]}" for name in OFFERED)
        yield f"{host.name:<20}{host.address:<14}{duty(host):<21}{ports}"
    yield ""
    for host in net.hosts.values():
        for address, password in host.spec.accounts:
            yield f"{address:<20}password {password:<12}imaps://{host.address}:{net.ports['imaps']}"
    yield ""
    yield from examples(net)


def examples(net: Playground) -> Iterator[str]:
    """Commands to paste."""
    readers = [(host, user) for host in net.hosts.values() for user, _ in host.spec.accounts]
    if not readers:
        return
    host, user = readers[-1]
    yield "Try:"
    yield f'  curl -k --user {user}:{PASSWORD} "imaps://{host.address}:{net.ports["imaps"]}/INBOX?ALL"'
    yield f"  https://{host.address}:{net.ports['https']}/ in a browser, as {user}"
    yield f"  {program()} -c {net.folder}/{next(iter(net.hosts))}/posthouse.toml trace {user}"
    yield f"  {program()} playground --tour"


def program() -> str:
    """How to call `posthouse` from where one stands."""
    if shutil.which("posthouse"):
        return "posthouse"
    beside = Path(sys.executable).parent / "posthouse"
    with contextlib.suppress(ValueError):
        return str(beside.relative_to(Path.cwd()))
    return str(beside)


def duty(host: Host) -> str:
    """What a host is for, in a few words."""
    if host.spec.backup_for:
        return f"backup {', '.join(host.spec.backup_for)}"
    return ", ".join(host.spec.domains)


def line_of(event: NetworkEvent) -> str:
    """An event as one line: the time, the host, what happened."""
    return f"{time.strftime('%H:%M:%S')}  {event.host:<20}{event.text}"


async def show_plain(net: Playground, say: Callable[[str], None], ended: asyncio.Event) -> None:
    """The panel for a pipe: the addresses once, then events line by line until `ended`."""
    for line in addresses(net):
        say(line)
    say("")

    def heard(event: NetworkEvent) -> None:
        say(line_of(event))

    net.heard.append(heard)
    try:
        await ended.wait()
    finally:
        net.heard.remove(heard)


async def show_live(net: Playground, console: Console, ended: asyncio.Event) -> None:
    """The panel for a terminal: redrawn a few times a second until `ended`."""
    from rich.live import Live

    latest: deque[str] = deque(maxlen=limits.PLAYGROUND_EVENTS)

    def heard(event: NetworkEvent) -> None:
        latest.append(line_of(event))

    net.heard.append(heard)
    try:
        with Live(console=console, screen=False, auto_refresh=False) as live:
            while not ended.is_set():
                live.update(_drawn(net, latest, console.height), refresh=True)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limits.PLAYGROUND_REDRAW):
                        await ended.wait()
    finally:
        net.heard.remove(heard)


def _drawn(net: Playground, latest: deque[str], height: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("", "host", "address", "for", *SHOWN_PORTS):
        table.add_column(title, no_wrap=True)
    table.add_row(Text("✓", "green"), "ns.test", "127.0.0.1", f"DNS {net.name_server.port}")
    for host in net.hosts.values():
        mark = Text("✓", "green") if host.running else Text("✗", "red")
        ports = [str(net.ports[name]) for name in SHOWN_PORTS]
        table.add_row(mark, host.name, host.address, duty(host), *ports)
    people = ", ".join(user for host in net.hosts.values() for user, _ in host.spec.accounts)
    head: list[RenderableType] = [
        Text("驿站 Posthouse playground", "bold"),
        table,
        Text(f"\n{people}    password {PASSWORD}", "dim"),
        *(Text(line, "dim") for line in examples(net)),
        Text("Ctrl-C ends it.\n", "dim"),
    ]
    room = max(3, height - len(net.hosts) - len(head) - 8)
    return Group(*head, *(Text(line, no_wrap=True, overflow="ellipsis") for line in list(latest)[-room:]))
