"""One SMTP connection through a gate: commands and replies one by one, message bytes as a whole.

The client's side and the host's side are each in clear or in TLS at the same time, so the host knows what it would
have known without a gate. Ends by an exception whenever either side leaves.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from typing import Final

import msgspec

from posthouse import limits
from posthouse.net.certificates import make_pair
from posthouse.net.tls import client_context, server_context
from posthouse.playground.misbehaviour import Act, Misbehaviour, Rule, TlsFault

_NOISE: Final = b"\x16\x03\x01\x00\x02\xff\xff"
"""No TLS handshake that anybody knows."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The host behind the gate."""

    name: str
    address: str
    port: int
    certificate: Path
    key: Path


class Talk:
    """A client and the host, with the gate between them."""

    def __init__(
        self,
        asked: Misbehaviour,
        target: Target,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._asked = asked
        self._target = target
        self._client, self._to_client = reader, writer
        self._host: asyncio.StreamReader
        self._to_host: asyncio.StreamWriter | None = None

    async def run(self, peer: str) -> None:
        """The whole conversation, for a client at this address."""
        rule = await self._rule("CONNECT")
        if isinstance(rule.reply, str):
            await self._reply(rule.reply)
            return
        # Any address of 127.0.0.0/8 may be connected from: the host sees the client's own.
        self._host, self._to_host = await asyncio.open_connection(
            self._target.address, self._target.port, local_addr=(peer, 0), limit=limits.PLAYGROUND_LINE
        )
        await self._relay()
        while line := await self._client.readline():
            await self._command(line)

    def abort(self) -> None:
        """Drop both connections."""
        for writer in (self._to_client, self._to_host):
            if writer is not None:
                writer.transport.abort()

    # --- commands ----------------------------------------------------------------------------------------

    async def _rule(self, command: str) -> Rule:
        """What is asked for a command: waits, is silent or breaks off where that is it."""
        rule = self._asked.rule_for(command) or Rule("", None, 0.0, -1)
        if rule.after:
            await asyncio.sleep(rule.after)
        if rule.reply is Act.CLOSE:
            raise ConnectionResetError
        if rule.reply is Act.SILENCE:
            await asyncio.Event().wait()
        return rule

    async def _command(self, line: bytes) -> None:
        command = line.decode("utf-8", "replace").rstrip("\r\n")
        self._asked.heard.append(command)
        rule = await self._rule(command)
        verb = command.split(" ")[0].upper()
        if isinstance(rule.reply, str):
            await self._reply(rule.reply)
        elif verb == "STARTTLS":
            await self._start_tls(line)
        elif verb == "BDAT":
            await self._chunk(line)
        elif verb == "DATA":
            await self._data(line, taken=rule.reply is Act.TAKE_AND_CLOSE)
        else:
            await self._pass_on(line)
            await self._relay(taken=rule.reply is Act.TAKE_AND_CLOSE, without_tls=verb == "EHLO")

    async def _data(self, line: bytes, *, taken: bool) -> None:
        rule = await self._rule("MESSAGE")
        if isinstance(rule.reply, str):
            # The host must not take what the sender is told was not taken: it hears nothing of this message.
            await self._reply("354 Go on")
            await self._text(None)
            await self._instead(rule.reply)
            return
        await self._pass_on(line)
        if (await self._relay(taken=taken)).startswith(b"354"):
            await self._text(self._to_host)
            await self._relay(taken=rule.reply is Act.TAKE_AND_CLOSE)

    async def _text(self, writer: asyncio.StreamWriter | None) -> None:
        """What stands behind DATA, with its final dot."""
        while True:
            line = await self._client.readuntil(b"\n")
            if writer is not None:
                writer.write(line)
                await writer.drain()
            if line == b".\r\n":
                return

    async def _chunk(self, line: bytes) -> None:
        """RFC 3030 §2: BDAT with its octets."""
        words = line.split()
        left = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        rule = (
            await self._rule("MESSAGE") if line.rstrip().upper().endswith(b"LAST") else Rule("", None, 0, -1)
        )
        instead = isinstance(rule.reply, str)
        if not instead:
            await self._pass_on(line)
        while left:
            piece = await self._client.read(min(left, limits.PLAYGROUND_LINE))
            if not piece:
                raise EOFError
            left -= len(piece)
            if not instead:
                await self._pass_on(piece)
        if isinstance(rule.reply, str):
            await self._instead(rule.reply)
        else:
            await self._relay(taken=rule.reply is Act.TAKE_AND_CLOSE)

    async def _instead(self, reply: str) -> None:
        """Answer for a message that the host did not get, which forgets what it has heard of it."""
        await self._pass_on(b"RSET\r\n")
        await self._heard_reply()
        await self._reply(reply)

    # --- lines -------------------------------------------------------------------------------------------

    async def _pass_on(self, octets: bytes) -> None:
        assert self._to_host is not None
        self._to_host.write(octets)
        await self._to_host.drain()

    async def _heard_reply(self) -> list[bytes]:
        """A whole reply of the host."""
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            line = await self._host.readline()
            if not line:
                raise EOFError
            lines.append(line)
        return lines

    async def _relay(self, *, taken: bool = False, without_tls: bool = False) -> bytes:
        """The host's reply to the client; its last line."""
        lines = await self._heard_reply()
        if taken:
            raise ConnectionResetError
        if without_tls and self._asked.tls is TlsFault.NOT_OFFERED:
            lines = [line for line in lines if line[4:].strip().upper() != b"STARTTLS"]
            lines[-1] = lines[-1][:3] + b" " + lines[-1][4:]
        self._to_client.writelines(lines)
        await self._to_client.drain()
        return lines[-1]

    async def _reply(self, text: str) -> None:
        self._to_client.write(text.replace("\n", "\r\n").encode() + b"\r\n")
        await self._to_client.drain()

    # --- TLS ---------------------------------------------------------------------------------------------

    async def _start_tls(self, line: bytes) -> None:
        fault = self._asked.tls
        if fault is TlsFault.NOT_OFFERED:
            await self._reply("502 5.5.1 Not here")
            return
        if fault is TlsFault.REFUSED:
            await self._reply("454 4.7.0 TLS is not available now")
            return
        await self._pass_on(line)
        reply = (await self._heard_reply())[-1]
        if not reply.startswith(b"220"):
            await self._reply(reply.decode("utf-8", "replace").rstrip())
            return
        if fault is TlsFault.BROKEN:
            self._to_client.writelines((reply, _NOISE))
            await self._to_client.drain()
            raise ConnectionResetError
        assert self._to_host is not None
        await self._to_host.start_tls(client_context(verify=False), server_hostname=self._target.name)
        context = await asyncio.to_thread(_context, fault, self._target)
        # No pause between the two: the client's first octets of TLS must not be taken for a command.
        self._to_client.write(reply)
        await self._to_client.start_tls(context)


def _context(fault: TlsFault | None, target: Target) -> SSLContext:
    """What the client is shown as the host's certificate. In a thread: it reads and may make files."""
    if fault is TlsFault.EXPIRED:
        return _made(target.name, datetime.now(UTC) - timedelta(days=limits.CERTIFICATE_DAYS + 1))
    if fault is TlsFault.WRONG_NAME:
        return _made(f"not-{target.name}", datetime.now(UTC))
    return server_context(target.certificate, target.key)


def _made(name: str, at: datetime) -> SSLContext:
    pair = make_pair(name, at)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "certificate", Path(folder) / "key"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        return server_context(certificate, key)
