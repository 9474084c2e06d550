"""The playground's name server: real DNS packets over UDP and TCP, answered from `Zones`.

Answers that do not fit the asker's UDP size are cut short with TC set (RFC 1035 §4.2.1, RFC 6891 §6.2.5).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.playground.zones import Fault, Level, Zones, address_of

Asked = Callable[[Level, str, str], None]
"""Told of each question: the server's level, the name, the type."""


class NameServer:
    """One server for each level of the tree, all on the same port."""

    def __init__(self, zones: Zones, port: int, asked: Asked | None = None) -> None:
        self.zones = zones
        self.port = port
        self._asked = asked
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen on 127.0.0.1, .2 and .3. With port 0 one is chosen and kept in `port`. Temporary: a port is taken."""
        chosen = self.port
        for _ in range(limits.PLAYGROUND_PORT_TRIES - 1):
            try:
                return await self._listen()
            except OSError as fault:
                # A port that is free for datagrams may be taken by somebody's connection: then another.
                await self.stop()
                self.port = chosen
                if chosen:
                    reason = fault.strerror or fault
                    raise Temporary(f"the name server cannot listen on port {chosen}: {reason}") from fault
        return await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for level in Level:
            transport, _ = await loop.create_datagram_endpoint(
                lambda level=level: _Datagrams(self, level),  # type: ignore[misc]
                local_addr=(address_of(level), self.port),
            )
            self._transports.append(transport)
            if not self.port:
                self.port = transport.get_extra_info("sockname")[1]

            async def talk(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, level: Level = level
            ) -> None:
                await self._talk(reader, writer, level)

            self._servers.append(await asyncio.start_server(talk, address_of(level), self.port))

    async def stop(self) -> None:
        """Stop answering."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        self._transports.clear()
        self._servers.clear()

    def answer(self, packet: bytes, level: Level, *, datagram: bool) -> bytes | None:
        """The reply packet, or None when nothing is to be said."""
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return None
        if query.question:
            question = query.question[0]
            if self._asked is not None:
                self._asked(level, question.name.to_text(True), dns.rdatatype.to_text(question.rdtype))
            if self.zones.fault_for(question.name) is Fault.DROP:
                return None
        response = self.zones.reply(query, level)
        if not datagram:
            return response.to_wire()
        size = max(query.payload, 512) if query.edns >= 0 else 512
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, level: Level) -> None:
        try:
            while True:
                async with asyncio.timeout(limits.DNS_TIMEOUT):
                    length = await reader.readexactly(2)
                    packet = await reader.readexactly(struct.unpack("!H", length)[0])
                reply = self.answer(packet, level, datagram=False)
                if reply is None:
                    break
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer, level: Level) -> None:
        self._server = server
        self._level = level

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.answer(data, self._level, datagram=True)
        if reply is not None:
            self._transport.sendto(reply, addr)
