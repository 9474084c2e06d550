"""A name server on loopback, UDP and TCP on one port, that says what the test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rrset

Reply = Callable[[dns.message.Message, str], "list[bytes]"]
"""(question, "udp" or "tcp") → the packets to send back, in order; none: silence."""


class FakeNameServer:
    """`async with FakeNameServer(reply) as server`; `server.at` is its address:port."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[str] = []
        """"udp MX example.test" in order."""
        self.port = 0

    @property
    def at(self) -> str:
        """As `dns.servers` takes it."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeNameServer:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            self._server = await loop.create_server(lambda: _Tcp(self), "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self), local_addr=("127.0.0.1", self.port)
                )
            except OSError:  # the port that is free for TCP may be taken for UDP
                self._server.close()
            else:
                return self
        raise OSError("no port is free for both")

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._udp.close()

    def packets(self, wire: bytes, how: str) -> list[bytes]:
        """Note the question and ask the test."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(f"{how} {dns.rdatatype.to_text(question.rdtype)} {name}")
        return self.reply(query, how)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: FakeNameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for packet in self._server.packets(data, "udp"):
            self._transport.sendto(packet, addr)


class _Tcp(asyncio.Protocol):
    def __init__(self, server: FakeNameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # A question is far below one segment: it comes whole.
        for packet in self._server.packets(data[2:], "tcp"):
            # In two pieces, as a real network may.
            self._transport.write(len(packet).to_bytes(2, "big") + packet[:5])
            self._transport.write(packet[5:])


def answer(
    query: dns.message.Message,
    *records: str,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    authority: tuple[str, ...] = (),
    flags: int = 0,
) -> bytes:
    """A reply packet; each record is "name ttl IN type data"."""
    message = dns.message.make_response(query)
    message.set_rcode(rcode)
    message.flags |= flags
    for section, lines in ((message.answer, records), (message.authority, authority)):
        for line in lines:
            name, ttl, rdclass, rdtype, data = line.split(None, 4)
            section.append(dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data))
    return message.to_wire(max_size=65535)
