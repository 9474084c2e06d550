"""A foreign mail server on a loopback socket that replies as it is told.

    async with FakeMailServer() as server:                      # takes everything
        server.say("RCPT TO:<nobody@", "550 5.1.1 nobody here")  # the first rule whose beginning fits wins
        server.say("CONNECT", "554 no")                          # also CONNECT, MESSAGE (the end of DATA or BDAT)
        server.say("MAIL", CLOSE)                                # drop the connection instead of a reply
        server.say("EHLO", None)                                 # silence
        server.say("MAIL", "451 later", times=1)                 # then the next rule, or 250

What it heard is in `commands`, `messages` and `connections`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import Final

CLOSE: Final = "CLOSE"
KEEP_AND_CLOSE: Final = "KEEP AND CLOSE"
"""For MESSAGE: take it, but let the sender not know."""


@dataclass
class Rule:
    """What to say to commands that begin so."""

    begins: str
    reply: str | None
    times: int = -1


@dataclass
class Received:
    """A message that was taken."""

    sender: str
    recipients: list[str]
    content: bytes
    tls: bool
    connection: int


@dataclass
class FakeMailServer:
    """One server; `async with` starts it."""

    address: str = "127.0.0.1"
    extensions: list[str] = field(default_factory=lambda: ["PIPELINING", "SIZE 50000000", "8BITMIME"])
    tls: ssl.SSLContext | None = None
    """Offers STARTTLS with it."""
    port: int = 0
    name: str = "mx.far.test"

    def __post_init__(self) -> None:
        self.rules: list[Rule] = []
        self.commands: list[str] = []
        self.messages: list[Received] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.pause: asyncio.Event | None = None
        """When set, the end of every message is answered only after it is set."""
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, begins: str, reply: str | None, *, times: int = -1) -> None:
        """Add a rule, before the earlier ones."""
        self.rules.insert(0, Rule(begins, reply, times))

    async def __aenter__(self) -> FakeMailServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; with port 0 a free one is taken and kept."""
        self._server = await asyncio.start_server(self._serve, self.address, self.port, limit=64 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def heard(self, begins: str) -> None:
        """Wait until a command that begins so has come."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: self.count(begins) > 0)

    def count(self, verb: str) -> int:
        """How many commands began so."""
        return sum(command.upper().startswith(verb.upper()) for command in self.commands)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Talk(self, reader, writer, self.connections).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    def reply_to(self, command: str, usual: str) -> str | None:
        """The first rule that fits, or the usual reply."""
        for rule in self.rules:
            if rule.times != 0 and command.upper().startswith(rule.begins.upper()):
                rule.times -= 1
                return rule.reply
        return usual


class _Talk:
    """One connection."""

    def __init__(
        self,
        server: FakeMailServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self.server, self.reader, self.writer, self.number = server, reader, writer, number
        self.encrypted = False
        self.sender: str | None = None
        self.recipients: list[str] = []

    async def answer(self, command: str, usual: str) -> bool:
        """Reply; whether the reply was positive."""
        return await self.send(self.server.reply_to(command, usual))

    async def send(self, reply: str | None) -> bool:
        """Send a reply, or do what stands in its place."""
        if reply in (CLOSE, KEEP_AND_CLOSE):
            raise ConnectionResetError
        if reply is None:
            await asyncio.Event().wait()
        assert reply is not None
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()
        return reply[0] in "23"

    async def run(self) -> None:
        """The conversation."""
        await self.answer("CONNECT", f"220 {self.server.name} ESMTP")
        while line := await self.reader.readline():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            async with self.server._news:
                self.server.commands.append(command)
                self.server._news.notify_all()
            verb = command.split(" ")[0].upper()
            if verb == "QUIT":
                await self.answer(command, "221 bye")
                return
            await self.do(verb, command)

    async def do(self, verb: str, command: str) -> None:
        """One command."""
        path = re.search(r"<(.*?)>", command)
        if verb in ("EHLO", "HELO"):
            await self.answer(command, self.hello() if verb == "EHLO" else f"250 {self.server.name}")
        elif verb == "STARTTLS":
            if await self.answer(command, "220 go") and self.server.tls is not None:
                await self.writer.start_tls(self.server.tls)
                self.encrypted = True
        elif verb == "MAIL":
            if await self.answer(command, "250 2.1.0 ok"):
                self.sender, self.recipients = path[1] if path else "", []
        elif verb == "RCPT":
            if await self.answer(command, "503 MAIL first" if self.sender is None else "250 2.1.5 ok"):
                self.recipients.append(path[1] if path else "")
        elif verb == "DATA":
            usual = "354 go" if self.recipients else "554 5.5.1 no recipients"
            if await self.answer(command, usual):
                await self.take(await self.text())
        elif verb == "RSET":
            self.sender, self.recipients = None, []
            await self.answer(command, "250 ok")
        elif verb == "BDAT":
            await self.take(await self.reader.readexactly(int(command.split()[1])))
        else:
            await self.answer(command, "250 ok")

    async def text(self) -> bytes:
        """The text behind DATA, dots removed."""
        lines = []
        while (line := await self.reader.readuntil(b"\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def hello(self) -> str:
        """The reply to EHLO."""
        offered = [*self.server.extensions]
        if self.server.tls is not None and not self.encrypted:
            offered.append("STARTTLS")
        lines = [self.server.name, *offered]
        return "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    async def take(self, content: bytes) -> None:
        """The end of a message."""
        if self.server.pause is not None:
            await self.server.pause.wait()
        received = Received(self.sender or "", self.recipients, content, self.encrypted, self.number)
        reply = self.server.reply_to("MESSAGE", "250 2.0.0 queued")
        if reply is not None and (reply == KEEP_AND_CLOSE or reply.startswith("2")):
            self.server.messages.append(received)
        self.sender, self.recipients = None, []
        await self.send(reply)
