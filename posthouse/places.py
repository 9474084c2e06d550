"""Where things of a house are, by its configuration: files in the data folder, and the ports that others use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from posthouse.config import Config, Listen
from posthouse.operations.acme.files import AcmeFiles
from posthouse.operations.household import Household
from posthouse.store.host_facts import HostFacts


class Paths(msgspec.Struct, frozen=True):
    """Where things are in the data folder."""

    data: Path

    @property
    def run(self) -> Path:
        """Sockets."""
        return self.data / "run"

    @property
    def self_made(self) -> tuple[Path, Path]:
        """Certificate and key of the pair that we sign ourselves."""
        return self.data / "tls" / "certificate.pem", self.data / "tls" / "key.pem"

    @property
    def acme(self) -> AcmeFiles:
        """What stays of ACME."""
        return AcmeFiles(self.data / "tls" / "acme")

    def pair(self, config: Config) -> Pair:
        """The pair to show: the administrator's, else that of an authority where one is configured, else our own."""
        if config.tls.certificate is not None and config.tls.key is not None:
            return Pair(certificate=config.tls.certificate, key=config.tls.key, own=True)
        pair = self.acme.pair
        if config.tls.acme.directory and self.acme.usable():
            return Pair(certificate=pair, key=pair, own=True)
        certificate, key = self.self_made
        return Pair(certificate=certificate, key=key, own=False)


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Where certificate and key are; it may be the same file."""

    certificate: Path
    key: Path
    own: bool
    """Whether it is somebody else's work than ours: else it is self-signed."""


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


def web_url(config: Config) -> str:
    """Where our pages are, without a slash at the end; empty: that depends on who stands before us."""
    base = config.web.url.rstrip("/")
    if not base:
        port = ports_of(config).get("https")
        if port is None:
            return ""
        base = f"https://{config.public_name or config.hostname}"
        if port not in {443, 0}:  # 0: any that is free, so no programs are told of it
            base += f":{port}"
    return base


def jmap_session_url(config: Config) -> str:
    """Where programs find the JMAP Session object (RFC 8620 §2); empty: that depends on who stands before us."""
    base = web_url(config)
    return f"{base}/jmap/session" if base else ""


def household_of(config: Config, hosts: Callable[[], tuple[HostFacts, ...]]) -> Household:
    """The hosts of the house, for those who tell the world about them."""
    return Household(config.hostname, ports_of(config), public_name=config.public_name, hosts=hosts)
