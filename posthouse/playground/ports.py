"""Ports that nobody else takes: each is held by a bound socket that never listens.

Both sockets allow the address to be used again, so a server of ours can listen on a held port, go away and come
back; whoever merely looks for a free port finds it taken all the while.
"""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Self

from posthouse import limits
from posthouse.errors import Temporary


class HeldPorts:
    """Some ports, the same on every IPv4 address of the machine. `release` ends it, or the end of the process."""

    def __init__(self, count: int) -> None:
        """Of those that the system gives to no connection. Temporary when too few are free."""
        self.ports: list[int] = []
        self._holders: list[socket.socket] = []
        for port in random.sample(range(*limits.PLAYGROUND_PORTS), limits.PLAYGROUND_PORT_PROBES):
            if len(self.ports) == count:
                return
            with contextlib.suppress(OSError):
                self._hold(port)
        if len(self.ports) < count:
            self.release()
            raise Temporary("too few free ports on this machine")

    def _hold(self, port: int) -> None:
        holder = socket.socket()
        try:
            holder.bind(("0.0.0.0", port))  # free on every address at once
            holder.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # only now: another's held port is not free
        except OSError:
            holder.close()
            raise
        self._holders.append(holder)
        self.ports.append(port)

    def release(self) -> None:
        """Let others have them."""
        for holder in self._holders:
            holder.close()
        self._holders.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.release()
