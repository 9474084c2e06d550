"""Of which hosts this house consists, for those who tell the world about it: one, or the nodes of a cluster.

A small site is one host with one name. In a cluster the MX hosts, the hosts that send and those that people come to are
different ones, and each must speak for all: a policy for senders (MTA-STS) that names the host it is read from alone
would keep mail away from the others. Hosts are remembered for some days (`store/postgres/nodes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from posthouse import limits
from posthouse.store.host_facts import HostFacts

_SENDS: Final = "queue"
"""The role of those that send."""


class Household:
    """The hosts of the house, by what is known now."""

    def __init__(
        self,
        hostname: str,
        ports: Mapping[str, int],
        *,
        public_name: str = "",
        hosts: Callable[[], tuple[HostFacts, ...]] = tuple,
    ) -> None:
        """`ports`: listener → port, of this host's configuration; `hosts`: of a cluster; none: we are alone."""
        self.hostname = _plain(hostname)
        self._ports = ports
        self.hosts = hosts
        self.public_name = _plain(public_name)
        self.name = self.public_name or self.hostname
        """By which people find us, and under which we say what we found about senders."""

    def names(self) -> frozenset[str]:
        """Every name that is ours."""
        return frozenset({self.name, self.hostname, *(_plain(host.name) for host in self.hosts())})

    def ports(self) -> Mapping[str, int]:
        """Listener → port, of all that the house serves."""
        found = {name: port for host in self.hosts() for name, port in host.ports.items()}
        return found or self._ports

    def mail_hosts(self) -> tuple[str, ...]:
        """Those that take other servers' mail."""
        found = {_plain(host.name) for host in self.hosts() if "smtp" in host.ports}
        return tuple(sorted(found)) or (self.hostname,)

    def policy_hosts(self) -> tuple[str, ...]:
        """Those that the MTA-STS policy names: it may be that the load balancer stands in MX."""
        return tuple(dict.fromkeys((*self.mail_hosts(), self.name)))

    def senders(self) -> tuple[str, ...]:
        """Those that send to other servers."""
        found = {_plain(host.name) for host in self.hosts() if _SENDS in host.roles}
        return tuple(sorted(found)) or (self.hostname,)

    def alive(self) -> tuple[HostFacts, ...]:
        """Those that gave a sign of life not long ago."""
        return tuple(host for host in self.hosts() if not host.ended and host.silent < limits.NODE_SILENCE)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")
