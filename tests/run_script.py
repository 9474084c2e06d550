"""Runs a conversation written as text against a server, and says where it went another way.

A script is a header, a blank line, then the conversation (tests/scripts/README.md has the grammar):

    server: imap    state: selected    messages: 3

    C: a STORE 2 +FLAGS (\\Deleted)
    S: * 2 FETCH (FLAGS (\\Deleted))
    S: a OK $*

Used by tests/test_scripts.py, and by hand: `python tests/run_script.py FILE HOST:PORT` plays the conversation
against any server that has been prepared as the header says.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

WAIT = 10.0
"""Seconds that one expected line may take."""

STEP = re.compile(r"^(C!|C|S\?|S~|S|X|T|TLS|DEFLATE)(\d*):(?: (.*)|)$")
VARIABLE = re.compile(r"\$\*|\$\$|\$([a-z][a-z0-9_]*)")


@dataclass
class Step:
    """One line of a conversation."""

    kind: str
    client: int
    text: str
    number: int


@dataclass
class Script:
    """A parsed script file."""

    path: Path
    header: dict[str, str]
    steps: list[Step]
    lines: list[str]

    @property
    def clients(self) -> int:
        """How many connections the conversation uses."""
        return max([int(self.header.get("clients", "1")), *(step.client for step in self.steps)])


class Mismatch(AssertionError):
    """The server said something else. The text shows the script with a mark at the line."""


def parse(path: Path) -> Script:
    """Read a script file. Raises ValueError naming the line that is not in the grammar."""
    lines = path.read_text("utf-8").splitlines()
    header: dict[str, str] = {}
    body = len(lines)
    for number, line in enumerate(lines):
        if not line.strip():
            body = number
            break
        if line.startswith("#"):
            continue
        for item in re.split(r"\s{2,}", line.strip()):
            key, colon, value = item.partition(":")
            if not colon:
                raise ValueError(f"{path}:{number + 1}: not a header: {item!r}")
            header[key.strip()] = value.strip()
    steps = []
    for number in range(body, len(lines)):
        line = lines[number]
        if not line.strip() or line.startswith("#"):
            continue
        match = STEP.match(line)
        if match is None:
            raise ValueError(f"{path}:{number + 1}: not a step: {line!r}")
        steps.append(Step(match[1], int(match[2] or 1), match[3] or "", number))
    return Script(path, header, steps, lines)


def unescape(text: str) -> bytes:
    """Raw octets of a `C!:` line: \\r \\n \\t \\0 \\\\ and \\xHH; everything else is UTF-8."""
    table = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def replace(match: re.Match[bytes]) -> bytes:
        code = match[1].decode()
        return bytes([int(code[1:], 16)]) if code[0] == "x" and len(code) == 3 else table[code]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", replace, text.encode())


def pattern(text: str, bound: dict[str, str]) -> re.Pattern[str]:
    """The expected line as a regular expression; `$name` is bound on first sight."""
    out, position, seen = [], 0, set[str]()
    for match in VARIABLE.finditer(text):
        out.append(re.escape(text[position : match.start()]))
        position = match.end()
        name = match[1]
        if match[0] == "$*":
            out.append(".*")
        elif match[0] == "$$":
            out.append(r"\$")
        elif name in bound:
            out.append(re.escape(bound[name]))
        elif name in seen:
            out.append(f"(?P={name})")
        else:
            seen.add(name)
            out.append(f"(?P<{name}>[^\\s()\\[\\]<>]+)")
    out.append(re.escape(text[position:]))
    return re.compile("".join(out), re.DOTALL)


def substitute(text: str, bound: dict[str, str]) -> str:
    """A client line with its variables filled in."""
    return VARIABLE.sub(
        lambda m: "$" if m[0] == "$$" else bound.get(m[1] or "", m[0]),
        text,
    )


class Inflating:
    """Lines out of a stream that is compressed from here on (RFC 4978)."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._below = reader
        self._state = zlib.decompressobj(-15)
        self._text = b""

    async def readline(self) -> bytes:
        """The next line, or b"" when the server has closed."""
        while b"\n" not in self._text:
            raw = await self._below.read(2**16)
            if not raw:
                return b""
            self._text += self._state.decompress(raw)
        line, newline, self._text = self._text.partition(b"\n")
        return line + newline


@dataclass
class Client:
    """One connection of a conversation."""

    reader: asyncio.StreamReader | Inflating
    writer: asyncio.StreamWriter
    chunk: int = 0
    """Octets per write: 0 sends each line whole, 1 sends octet by octet."""
    heard: list[str] = field(default_factory=list)
    compressor: zlib._Compress | None = None

    @classmethod
    async def connect(cls, host: str, port: int, chunk: int = 0) -> Client:
        """Open a connection to a TCP server, or with an empty host to the one at the Unix path `port`."""
        reader, writer = await asyncio.open_connection(host, port, limit=2**24)
        return cls(reader, writer, chunk)

    async def send(self, data: bytes) -> None:
        """Send octets, whole or in small pieces."""
        if self.compressor is not None:
            data = self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        if not self.chunk:
            self.writer.write(data)
        else:
            for start in range(0, len(data), self.chunk):
                self.writer.write(data[start : start + self.chunk])
                await asyncio.sleep(0)
        await self.writer.drain()

    async def line(self) -> str:
        """The next line without its CRLF. Raises EOFError when the server has closed."""
        raw = await asyncio.wait_for(self.reader.readline(), WAIT)
        if not raw:
            raise EOFError
        text = raw.decode("utf-8", "surrogateescape")
        text = text.removesuffix("\n").removesuffix("\r")
        self.heard.append(text)
        return text

    async def upgrade(self) -> None:
        """Start TLS as a client that trusts anything."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await self.writer.start_tls(context, server_hostname="localhost")

    def deflate(self) -> None:
        """Compress from here on, both ways."""
        assert isinstance(self.reader, asyncio.StreamReader)
        self.reader = Inflating(self.reader)
        self.compressor = zlib.compressobj(6, zlib.DEFLATED, -15)

    def close(self) -> None:
        """Drop the connection."""
        self.writer.close()


class Player:
    """Plays one script over connected clients."""

    def __init__(self, script: Script, clients: list[Client]) -> None:
        self.script = script
        self.clients = clients
        self.bound: dict[str, str] = {}

    async def play(self) -> None:
        """Play to the end. Raises Mismatch."""
        steps = self.script.steps
        i = 0
        while i < len(steps):
            step = steps[i]
            if step.kind == "S?":
                group = [step]
                while i + 1 < len(steps) and steps[i + 1].kind == "S?" and steps[i + 1].client == step.client:
                    i += 1
                    group.append(steps[i])
                await self._unordered(group)
            else:
                await self._one(step)
            i += 1

    async def _one(self, step: Step) -> None:
        client = self.clients[step.client - 1]
        try:
            if step.kind == "C":
                await client.send(substitute(step.text, self.bound).encode() + b"\r\n")
            elif step.kind == "C!":
                await client.send(unescape(substitute(step.text, self.bound)))
            elif step.kind == "S":
                self._match(step, await client.line())
            elif step.kind == "S~":
                while not pattern(step.text + "$*", self.bound).fullmatch(await client.line()):
                    pass
            elif step.kind == "X":
                await self._closed(client, step)
            elif step.kind == "TLS":
                await client.upgrade()
            elif step.kind == "DEFLATE":
                client.deflate()
            else:
                self._fail(step, "this runner has no clock to move")
        except EOFError:
            self._fail(step, "the server closed the connection")
        except TimeoutError:
            self._fail(step, f"nothing came for {WAIT:g} seconds")

    async def _closed(self, client: Client, step: Step) -> None:
        try:
            extra = await client.line()
        except (EOFError, ConnectionError):
            return
        self._fail(step, f"the connection is still open and said: {extra}")

    def _match(self, step: Step, line: str) -> None:
        match = pattern(step.text, self.bound).fullmatch(line)
        if match is None:
            self._fail(step, f"got: {line}")
        else:
            self.bound |= match.groupdict()

    async def _unordered(self, group: list[Step]) -> None:
        waiting = list(group)
        while waiting:
            try:
                line = await self.clients[group[0].client - 1].line()
            except EOFError:
                self._fail(waiting[0], "the server closed the connection")
            except TimeoutError:
                self._fail(waiting[0], f"nothing came for {WAIT:g} seconds")
            for step in waiting:
                match = pattern(step.text, self.bound).fullmatch(line)
                if match:
                    self.bound |= match.groupdict()
                    waiting.remove(step)
                    break
            else:
                self._fail(waiting[0], f"got: {line}")

    def _fail(self, step: Step, reason: str) -> None:
        shown = []
        for number, line in enumerate(self.script.lines):
            shown.append(f"  {line}")
            if number == step.number:
                shown.append(f"  ^ {reason}")
                break
        heard = "\n".join(f"  < {line}" for line in self.clients[step.client - 1].heard[-12:])
        raise Mismatch(f"{self.script.path.name}\n" + "\n".join(shown) + f"\nheard last:\n{heard}")


async def by_hand(path: Path, address: str) -> None:
    """Play a script against a foreign server."""
    script = parse(path)
    host, _, port = address.rpartition(":")
    clients = [await Client.connect(host, int(port)) for _ in range(script.clients)]
    await Player(script, clients).play()
    print(f"{path}: as written")


if __name__ == "__main__":
    asyncio.run(by_hand(Path(sys.argv[1]), sys.argv[2]))
