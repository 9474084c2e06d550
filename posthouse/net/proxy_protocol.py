"""The PROXY protocol, versions 1 and 2: a proxy tells whose connection it hands on.

`parse_header` is pure. `receive_header` takes exactly the header off a fresh socket and not an octet more, so
what follows may as well be a TLS handshake. Whether the peer may speak so is the listener's decision: only
addresses that the administrator named, and those must.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import msgspec

from posthouse.errors import RemoteProtocolError
from posthouse.limits import PROXY_HEADER, PROXY_TIMEOUT
from posthouse.net.endpoint import Endpoint

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_LONGEST: Final = 107
V2_FIXED: Final = 16
V2_ADDRESS: Final = {0x11: 4, 0x21: 16}
"""Octets of one address by (family, transport): TCP over IPv4, TCP over IPv6."""
V1_FAMILY: Final = {b"TCP4": 4, b"TCP6": 6}


class ProxyHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A whole header. Without endpoints (LOCAL, UNKNOWN) the socket's own count."""

    length: int
    """Octets that it took."""
    peer: Endpoint | None = None
    local: Endpoint | None = None


class ProxyHeaderError(RemoteProtocolError):
    """Not a PROXY header, or one that is broken or over `PROXY_HEADER`."""


def parse_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of `data`; None: it goes on. Raises ProxyHeaderError."""
    if data.startswith(SIGNATURE[: len(data)]):
        return _parse_v2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _parse_v1(data)
    raise ProxyHeaderError("PROXY header expected")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, V1_LONGEST)
    if end < 0:
        if len(data) >= V1_LONGEST:
            raise ProxyHeaderError("PROXY header too long")
        return None
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHeader(length=end + 2)
    family = V1_FAMILY.get(words[1])
    if family is None or len(words) != 6:
        raise ProxyHeaderError("broken PROXY header")
    return ProxyHeader(
        length=end + 2,
        peer=_endpoint_v1(words[2], words[4], family),
        local=_endpoint_v1(words[3], words[5], family),
    )


def _endpoint_v1(host: bytes, port: bytes, family: int) -> Endpoint:
    try:
        address = ip_address(host.decode("ascii"))
    except ValueError as error:
        raise ProxyHeaderError("broken PROXY header") from error
    if address.version != family or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ProxyHeaderError("broken PROXY header")
    return _endpoint(address, int(port))


def _endpoint(address: IPv4Address | IPv6Address, port: int) -> Endpoint:
    """A proxy that takes IPv4 on its IPv6 socket tells it so (RFC 4291 §2.5.5.2); to us it is the IPv4 address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return Endpoint(str(mapped or address), port)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < V2_FIXED:
        return None
    version, command = divmod(data[12], 16)
    length = V2_FIXED + int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or length > PROXY_HEADER:
        raise ProxyHeaderError("broken PROXY header")
    if len(data) < length:
        return None
    size = V2_ADDRESS.get(data[13])
    if command == 0 or size is None:  # LOCAL, or a family without addresses for us
        return ProxyHeader(length=length)
    ports = V2_FIXED + 2 * size
    if ports + 4 > length:
        raise ProxyHeaderError("broken PROXY header")
    return ProxyHeader(
        length=length,
        peer=_endpoint_v2(data[V2_FIXED : V2_FIXED + size], data[ports : ports + 2]),
        local=_endpoint_v2(data[V2_FIXED + size : ports], data[ports + 2 : ports + 4]),
    )


def _endpoint_v2(host: bytes, port: bytes) -> Endpoint:
    return _endpoint(ip_address(host), int.from_bytes(port, "big"))


async def receive_header(sock: socket.socket) -> ProxyHeader:
    """Take the header off a non-blocking socket. Raises ProxyHeaderError, OSError, TimeoutError."""
    taken = b""
    async with asyncio.timeout(PROXY_TIMEOUT):
        while True:
            await _readable(sock)
            ahead = sock.recv(PROXY_HEADER, socket.MSG_PEEK)
            if not ahead:
                raise ProxyHeaderError("connection ended in its PROXY header")
            header = parse_header(taken + ahead)
            if header is not None:
                sock.recv(header.length - len(taken))
                return header
            taken += sock.recv(len(ahead))


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
