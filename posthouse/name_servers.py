"""Where a name server listens, as the configuration writes it and as it is shown."""

from __future__ import annotations

import msgspec

from posthouse.ip_addresses import read_ip


class NameServer(msgspec.Struct, frozen=True):
    """Where a name server listens."""

    address: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> NameServer:
        """Read "address", "address:port" or "[v6]:port". Raises ValueError: a name cannot be asked for before that."""
        address, port = text, "53"
        if text.startswith("["):
            address, bracket, port = text[1:].partition("]")
            port = "53" if bracket and not port else port.removeprefix(":")
        elif text.count(":") == 1:
            address, _, port = text.partition(":")
        read_ip(address)
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
            raise ValueError(f'"{text}" is not "address", "address:port" or "[v6]:port"')
        return cls(address, int(port))

    def __str__(self) -> str:
        """As it is written in the configuration."""
        if self.port == 53:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
