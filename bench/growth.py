"""What an operation costs as the post office grows: 1,000 against 100,000 messages, 10 against 1,000 accounts.

    python bench/growth.py [--write]

Operations that touch a fixed number of messages should cost the same in all columns. A cell is the median wait of the
client and, behind the stroke, the server's CPU per operation, both in microseconds; growth is that of the CPU, which
does not depend on what else the machine does. `--write` puts the table into docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import contextlib
import imaplib
import shutil
import smtplib
import socket
import statistics
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from places import WORK
from servers import Posthouse, rest
from tables import write_into_page

MARK = "<!-- growth -->"
TEXT = b"From: a@example.net\r\nTo: u000@bench.test\r\nSubject: growth %d\r\nMessage-ID: <%d@growth>\r\n\r\n%s\r\n"
BODY = b"word " * 700
TIMES = 200
SEEDED = 600.0
"""Seconds at most until the envelopes and the index of all that was put in are made."""
QUIET = 3.0
"""Seconds between two measurements: upkeep of what one left (envelopes, index) is not the next one's cost."""


def seed(port: int, user: str, count: int) -> None:
    """Fill a mailbox by MULTIAPPEND-free, pipelined APPENDs."""
    client = imaplib.IMAP4("127.0.0.1", port)
    client.login(user, "secret")
    have = int(client.select("INBOX")[1][0] or 0)
    batch = 100
    for start in range(have, count, batch):
        parts = []
        for number in range(start, min(start + batch, count)):
            text = TEXT % (number, number, BODY)
            parts.append(b"s%d APPEND INBOX {%d+}\r\n" % (number, len(text)) + text + b"\r\n")
        client.send(b"".join(parts))
        last = b"s%d OK" % (min(start + batch, count) - 1)
        while not client.readline().startswith(last):
            pass
    client.logout()


class Cost(NamedTuple):
    """Of one operation, in microseconds."""

    waited: float
    """By the client, the median."""
    cpu: float
    """Of the server, the mean."""


def cpu_seconds(pids: Collection[int]) -> float:
    """What all threads of some processes have run so far."""
    spent = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # a database's worker that has ended meanwhile
            threads = Path(f"/proc/{pid}/task").iterdir()
            spent += sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    return spent / 1e9


def cost(pids: Collection[int], action: Callable[[int], object]) -> Cost:
    """What one action costs, after a quiet moment for what the one before left to the background."""
    time.sleep(QUIET)
    spent = []
    before = cpu_seconds(pids)
    for number in range(TIMES):
        begin = time.perf_counter()
        action(number)
        spent.append(time.perf_counter() - begin)
    return Cost(statistics.median(spent) * 1e6, (cpu_seconds(pids) - before) / TIMES * 1e6)


def operations(pids: Collection[int], user: str, *, imap: int = 4143, smtp: int = 4025) -> dict[str, Cost]:
    """Each operation's cost for one user's INBOX, in the CPU of these processes."""
    client = imaplib.IMAP4("127.0.0.1", imap)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # imaplib sends an APPEND in pieces
    client.login(user, "secret")
    sender = smtplib.SMTP("127.0.0.1", smtp)
    sender.ehlo("growth.test")
    last = int(client.select("INBOX")[1][0] or 0)
    first = max(1, last - 49)
    text = TEXT % (0, 0, BODY)
    actions: dict[str, Callable[[int], object]] = {
        "SELECT": lambda _: client.select("INBOX"),
        "STATUS": lambda _: client.status("INBOX", "(MESSAGES UNSEEN)"),
        "FETCH FLAGS of 50": lambda _: client.fetch(f"{first}:{last}", "(FLAGS)"),
        "FETCH ENVELOPE of 50": lambda _: client.fetch(f"{first}:{last}", "(ENVELOPE)"),
        "FETCH one body": lambda n: client.fetch(str(last - n % 50), "(BODY.PEEK[])"),
        "STORE one": lambda n: client.store(str(last), "-FLAGS" if n % 2 else "+FLAGS", "(\\Flagged)"),
        "APPEND": lambda _: client.append("INBOX", None, None, text),
        "SMTP to mailbox": lambda _: sender.sendmail("a@example.net", [f"{user}@bench.test"], text),
    }
    found = {name: cost(pids, action) for name, action in actions.items()}
    sender.quit()
    client.logout()
    return found


def table(columns: dict[str, dict[str, Cost]]) -> str:
    """Costs by size of the post office, as Markdown."""
    names = list(columns)
    lines = [
        "| microseconds, waited / CPU | " + " | ".join(names) + " | growth |",
        "|---" * (len(names) + 2) + "|",
    ]
    for operation in columns[names[0]]:
        costs = [columns[name][operation] for name in names]
        cells = [f"{each.waited:.0f} / {each.cpu:.0f}" for each in costs]
        lines.append(f"| {operation} | " + " | ".join(cells) + f" | {costs[-1].cpu / costs[0].cpu:.2f}x |")
    return "\n".join(lines)


def main() -> None:
    """Measure all four sizes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--big", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=1000)
    options = parser.parse_args()
    columns: dict[str, dict[str, Cost]] = {}
    for accounts in (10, options.accounts):
        server = Posthouse(accounts, checked="posthouse-checked")
        server.start()
        assert server.process is not None
        try:
            for user, messages in (("u000", 1000), ("u001", options.big)):
                seed(4143, user, messages)
                rest(server, SEEDED)
                columns[f"{accounts:,} accounts, {messages:,} messages"] = operations(
                    [server.process.pid], user
                )
        finally:
            server.stop()
            shutil.rmtree(WORK, ignore_errors=True)
    text = table(columns)
    print(text)
    if options.write:
        write_into_page(MARK, text)


if __name__ == "__main__":
    main()
