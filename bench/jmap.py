"""JMAP on this machine: requests a second, p99, and what an open EventSource costs. `make bench` runs it too.

Starts one `posthouse serve` in a folder of its own, fills a mailbox, and asks as a webmail does: one request of
Email/query and Email/get of the first 50, threads collapsed. No peer has JMAP, so there is nothing to compare with.

    python bench/jmap.py                      100,000 messages, 1,000 streams
    python bench/jmap.py --messages 10000     a smaller mailbox
    python bench/jmap.py --write              also write docs/benchmark.md's lines
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ADDRESS, PASSWORD = "u@bench.test", "secret"
MARK = "<!-- jmap -->"
PROPERTIES = ["threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "preview"]
CONFIG = """\
hostname = "mx.bench.test"
[listen]
http = "127.0.0.1:0"
lmtp = "unix:run/lmtp"
[limits]
connections = 20000
"""
MESSAGE = """\
From: Sender {n} <s{n}@elsewhere.test>\r
To: u@bench.test\r
Subject: {reply}Message about topic {topic}\r
Message-ID: <{n}@elsewhere.test>\r
References: <{topic}@elsewhere.test>\r
Date: Mon, 2 Nov 2026 10:00:00 +0000\r
\r
Some text of message {n}.\r
"""


FIRST_STREAMS = 10
"""EventSources opened before memory is looked at."""


class Server:
    """One post office."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "posthouse.toml"
        self.file.write_text(CONFIG)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def command(self, *words: str) -> None:
        """One administrator's command."""
        subprocess.run(
            [sys.executable, "-m", "posthouse", "-c", str(self.file), *words], check=True, cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        """Serve."""
        ready = self.folder / "ready"
        words = [sys.executable, "-m", "posthouse", "-c", str(self.file), "serve", "--ready-file", str(ready)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.port = int(json.loads(ready.read_text())["addresses"]["http"][0].rpartition(":")[2])

    @property
    def resident(self) -> int:
        """Octets of memory in use."""
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


async def fill(server: Server, messages: int) -> None:
    """Put messages into the inbox, four of each conversation, straight into the store."""
    from posthouse.config import load
    from posthouse.house import House
    from posthouse.store.interface import AddEmail
    from posthouse.store.model import Content
    from posthouse.store.sqlite.store import SqliteStore

    house = await House.open(load(server.file, {}))
    account = await house.store.account(ADDRESS)
    assert account is not None
    inbox = await house.store.mailbox(account.account_id, "INBOX")
    assert inbox is not None
    for start in range(0, messages, 1000):
        made = [
            AddEmail(
                account_id=account.account_id,
                mailbox_id=inbox.mailbox_id,
                content=Content.of(
                    MESSAGE.format(n=n, topic=n // 4 * 4, reply="Re: " if n % 4 else "").encode()
                ),
                received_at=1_790_000_000 + n,
            )
            for n in range(start, min(start + 1000, messages))
        ]
        await house.store.commit(*made)
    assert isinstance(house.store, SqliteStore)
    await house.store.settle()
    await house.close()


class Client:
    """A keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        token = base64.b64encode(f"{ADDRESS}:{PASSWORD}".encode()).decode()
        self.head = f"Host: a\r\nAuthorization: Basic {token}\r\n"

    async def open(self) -> Client:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def ask(self, calls: list[object]) -> list[list[object]]:
        """One request."""
        using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
        body = json.dumps({"using": using, "methodCalls": calls}).encode()
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(f"POST /jmap/ HTTP/1.1\r\n{self.head}{fields}".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        found: list[list[object]] = json.loads(await self.reader.readexactly(length))["methodResponses"]
        return found

    async def stream(self) -> None:
        """Turn the connection into an EventSource."""
        self.writer.write(
            f"GET /jmap/eventsource/?types=*&closeafter=no&ping=0 HTTP/1.1\r\n{self.head}\r\n".encode()
        )
        await self.reader.readuntil(b": here\n\n\r\n")


def listing(inbox: str) -> list[object]:
    """What a webmail asks to show a mailbox."""
    sort = [{"property": "receivedAt", "isAscending": False}]
    reference = {"resultOf": "q", "name": "Email/query", "path": "/ids"}
    query = {
        "accountId": "A1",
        "filter": {"inMailbox": inbox},
        "sort": sort,
        "collapseThreads": True,
        "limit": 50,
    }
    return [
        ["Email/query", query, "q"],
        ["Email/get", {"accountId": "A1", "#ids": reference, "properties": PROPERTIES}, "g"],
    ]


async def requests(port: int, clients: int, each: int, inbox: str) -> tuple[float, list[float]]:
    """(requests a second, seconds of each)."""
    times: list[float] = []

    async def one(client: Client) -> None:
        for _ in range(each):
            began = time.perf_counter()
            answer = await client.ask(listing(inbox))
            times.append(time.perf_counter() - began)
            assert answer[1][0] == "Email/get", answer

    opened = [await Client(port).open() for _ in range(clients)]
    began = time.perf_counter()
    await asyncio.gather(*map(one, opened))
    return len(times) / (time.perf_counter() - began), sorted(times)


async def measure(server: Server, options: argparse.Namespace) -> list[tuple[str, str]]:
    """All figures."""
    client = await Client(server.port).open()
    rows = [await streaming(server, options.streams)]
    mailboxes = await client.ask([["Mailbox/get", {"accountId": "A1"}, "m"]])
    inbox = next(box["id"] for box in mailboxes[0][1]["list"] if box["role"] == "inbox")  # type: ignore[index]
    began = time.perf_counter()
    await client.ask(listing(inbox))
    rows.append(
        (
            "first listing of the inbox after a start and logging in",
            f"{(time.perf_counter() - began) * 1000:.0f} ms",
        )
    )
    changed = []
    for _ in range(5):
        await client.ask(
            [["Mailbox/set", {"accountId": "A1", "create": {"a": {"name": os.urandom(6).hex()}}}, "a"]]
        )
        began = time.perf_counter()
        await client.ask(listing(inbox))
        changed.append(time.perf_counter() - began)
    rows.append(("listing of 50 when mail has changed", f"{sorted(changed)[2] * 1000:.1f} ms"))
    rate, times = await requests(server.port, 1, 200, inbox)
    rows.append(
        ("listing of 50, one client", f"{rate:.0f}/s, p99 {times[int(len(times) * 0.99)] * 1000:.1f} ms")
    )
    rate, times = await requests(server.port, 8, 50, inbox)
    rows.append(
        ("listing of 50, eight clients", f"{rate:.0f}/s, p99 {times[int(len(times) * 0.99)] * 1000:.1f} ms")
    )
    return rows


async def streaming(server: Server, count: int) -> tuple[str, str]:
    """What an open EventSource costs: on a fresh server, for later memory is there that others have left."""
    streams = []
    for number in range(count + FIRST_STREAMS):
        if number == FIRST_STREAMS:
            before = server.resident
        streams.append(await Client(server.port).open())
        await streams[-1].stream()
    cost = (server.resident - before) / 1024 / count
    for stream in streams:
        stream.writer.close()
    return f"memory of an open EventSource ({count})", f"{cost:.1f} KB"


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=80, help="at most what one account may have open")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="posthouse-bench-jmap-"))
    server = Server(folder)
    try:
        server.command("domain", "add", "bench.test")
        server.command("account", "add", ADDRESS, "--password", PASSWORD)
        asyncio.run(fill(server, options.messages))
        server.start()
        rows = asyncio.run(measure(server, options))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    lines = [
        f"| JMAP, mailbox of {options.messages:,} | |",
        "|---|---|",
        *(f"| {a} | {b} |" for a, b in rows),
    ]
    print("\n".join(lines))
    if options.write:
        page = ROOT / "docs" / "benchmark.md"
        before, _, rest = page.read_text().partition(MARK)
        after = rest.partition(MARK)[2]
        page.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}")


if __name__ == "__main__":
    main()
