"""Where things of a house are, by its configuration: files in the data folder, and the ports that others use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from posthouse.config import Config, Listen
from posthouse.operations.household import Household
from posthouse.store.host_facts import HostFacts


class Paths(msgspec.Struct, frozen=True):
    """Where things are in the data folder."""

    data: Path

    @property
    def run(self) -> Path:
        """Sockets."""
        return self.data / "run"

    def certificate(self, config: Config) -> Path:
        """The certificate in use: the administrator's, else our own."""
        return config.tls.certificate or self.data / "tls" / "certificate.pem"

    def key(self, config: Config) -> Path:
        """The key of that certificate."""
        return config.tls.key or self.data / "tls" / "key.pem"


def file_name(url: str) -> str:
    """The first name of what a `[store]` address says, below the data folder."""
    return Path(url.partition(":")[2]).parts[0]


def ports_of(config: Config) -> dict[str, int]:
    """Listener name → the port that others use: that of its first address that is no Unix socket."""
    ports: dict[str, int] = {}
    for name in Listen.__struct_fields__:
        numbers = [a.rpartition(":")[2] for a in getattr(config.listen, name) if not a.startswith("unix:")]
        if numbers:
            ports[name] = int(numbers[0])
    return ports


def jmap_session_url(config: Config) -> str:
    """Where programs find the JMAP Session object (RFC 8620 §2); empty: that depends on who stands before us."""
    base = config.web.url.rstrip("/")
    if not base:
        port = ports_of(config).get("https")
        if port is None:
            return ""
        base = f"https://{config.public_name or config.hostname}"
        if port not in {443, 0}:  # 0: any that is free, so no programs are told of it
            base += f":{port}"
    return f"{base}/jmap/session"


def household_of(config: Config, hosts: Callable[[], tuple[HostFacts, ...]]) -> Household:
    """The hosts of the house, for those who tell the world about them."""
    return Household(config.hostname, ports_of(config), public_name=config.public_name, hosts=hosts)
