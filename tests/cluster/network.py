"""A bridge on this machine, with namespaces joined to it: each node a host of its own, whose cable can be pulled.

The machine has the first address on the bridge; servers that stand for "elsewhere" (database, object store) and the
programs of people are there. Nothing beyond the bridge can be reached from within.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.interop.namespace import Namespace


def possible() -> str:
    """Why there can be none here; empty: there can."""
    if os.getuid() != 0:
        return "only root can make a network namespace"
    if shutil.which("ip") is None:
        return "there is no `ip` (scripts/install-peers.sh)"
    name = f"phtry{os.getpid() % 100_000}"
    tried = subprocess.run(
        ["ip", "link", "add", name, "type", "bridge"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"no bridge can be made here: {tried.stderr.strip()}"
    _ip("link", "del", name)
    return ""


class Network:
    """One bridge. `host`, `cut`, `mend`; `remove` takes all of it away."""

    def __init__(self) -> None:
        self._bridge = f"ph{os.getpid() % 100_000}"
        self._net = _free_net()
        self._ends: dict[str, str] = {}
        self._hosts: list[Namespace] = []
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address(1)}/24", "dev", self._bridge)
        _without_more_addresses(self._bridge)
        _ip("link", "set", self._bridge, "up")

    def address(self, number: int) -> str:
        """The address of a host; 1 is this machine."""
        return f"10.213.{self._net}.{number}"

    def host(self, number: int) -> Namespace:
        """A new host on the bridge, at `address(number)`."""
        made = Namespace.make()
        self._hosts.append(made)
        end = self._ends[made.name] = f"{self._bridge}n{number}"
        _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", made.name)
        _without_more_addresses(end)
        _ip("link", "set", end, "master", self._bridge, "up")
        _ip("-n", made.name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        _ip("-n", made.name, "link", "set", "eth0", "up")
        return made

    def cut(self, host: Namespace) -> None:
        """Pull its cable: packets vanish, nobody is told."""
        _ip("link", "set", self._ends[host.name], "down")

    def mend(self, host: Namespace) -> None:
        """Put the cable in again."""
        _ip("link", "set", self._ends[host.name], "up")

    def remove(self) -> None:
        for host in self._hosts:
            host.remove()
        _ip("link", "del", self._bridge)


def _without_more_addresses(device: str) -> None:
    """A link-local address that comes a second later makes browsers on this machine break off what they load."""
    _ip("link", "set", device, "addrgenmode", "none")


def _free_net() -> int:
    """The third part of the addresses: of those that nobody has now, another for each process."""
    taken = _ip("-4", "-o", "addr", "show")
    first = os.getpid() % 200
    return next(net for net in range(first, first + 55) if f"10.213.{net}.1/" not in taken)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
