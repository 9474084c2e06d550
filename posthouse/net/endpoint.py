"""The ends of connections and the places we listen at, as values and as text.

Text is `address:port`, `[v6]:port` or `unix:PATH`, the spelling of the configuration and of every log line.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from typing import Any, Final

import msgspec

UNIX: Final = "unix:"


class Endpoint(msgspec.Struct, frozen=True):
    """One end of a connection. The host is an address as text; empty for a Unix socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """On this very machine: 127.0.0.0/8, ::1 or a Unix socket."""
        return not self.host or self.host.startswith("127.") or self.host == "::1"


NOWHERE: Final = Endpoint("", 0)


def endpoint_of(name: Any) -> Endpoint:
    """From what `getpeername` and `getsockname` give: a tuple, or a path for Unix sockets."""
    if not isinstance(name, tuple):
        return NOWHERE
    host = name[0]
    if host.startswith("::ffff:"):  # RFC 4291 §2.5.5.2: an IPv4 peer on an IPv6 socket
        host = host[7:]
    return Endpoint(host.partition("%")[0], name[1])


def address_group(host: str) -> str:
    """What counts as one address for limits: an IPv4 address, an IPv6 /64 (one household, RFC 6177)."""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(host)) >> 64 << 64))


def bind(address: str, unix_mode: int) -> list[socket.socket]:
    """Non-blocking sockets bound to an address text, not yet listening. Raises OSError, ValueError.

    A name such as `localhost` is bound on each of its addresses; port 0 takes a free one. A Unix socket gets
    `unix_mode`; a dead one in its place is removed.
    """
    if address.startswith(UNIX):
        return [_bind_unix(address.removeprefix(UNIX), unix_mode)]
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, name in _resolved(address):
            bound.append(sock := socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol))
            _prepare(sock)
            sock.bind(name)
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def bind_shared(address: str, times: int) -> list[list[socket.socket]]:
    """The same address, bound so often (SO_REUSEPORT): one list of sockets for each of several processes.

    Connections are shared out by the system. Raises OSError, ValueError; a Unix socket cannot be shared.
    """
    if address.startswith(UNIX):
        raise ValueError(f"{address!r} cannot be shared by several processes")
    shared: list[list[socket.socket]] = []
    try:
        for _ in range(times):
            shared.append([])
            for family, kind, protocol, _, name in _resolved(address):
                sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
                shared[-1].append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                _prepare(sock)
                if len(shared) > 1:  # the port that the first one was given
                    name = shared[0][len(shared[-1]) - 1].getsockname()
                sock.bind(name)
    except OSError:
        for sock in (each for sockets in shared for each in sockets):
            sock.close()
        raise
    return shared


def _resolved(address: str) -> list[Any]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{address!r} is not address:port, [v6]:port or unix:PATH")
    host = host.removeprefix("[").removesuffix("]")
    return socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _bind_unix(path: str, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _remove_dead(path)
        sock.bind(path)
        os.chmod(path, mode)  # nobody can connect before listen(), so there is no moment with the wrong mode
    except OSError:
        sock.close()
        raise
    return sock


def _remove_dead(path: str) -> None:
    """Remove a socket that a dead process left; OSError when a living one answers there."""
    if not os.path.exists(path) or not stat.S_ISSOCK(os.stat(path).st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(f"{path}: somebody listens here already")
