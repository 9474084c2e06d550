"""What an operation costs as the post office grows: 1,000 against 100,000 messages, 10 against 1,000 accounts.

    python bench/growth.py [--write]

Operations that touch a fixed number of messages should cost the same in all columns. Prints the median of many
in microseconds, client included; `--write` puts the table into docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import imaplib
import smtplib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from compare import ROOT, Posthouse

MARK = "<!-- growth -->"
TEXT = b"From: a@example.net\r\nTo: u000@bench.test\r\nSubject: growth %d\r\nMessage-ID: <%d@growth>\r\n\r\n%s\r\n"
BODY = b"word " * 700
TIMES = 200


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


def timed(action: Callable[[int], object]) -> float:
    """The median of one action in microseconds."""
    spent = []
    for number in range(TIMES):
        begin = time.perf_counter()
        action(number)
        spent.append(time.perf_counter() - begin)
    return statistics.median(spent) * 1e6


def operations(user: str) -> dict[str, float]:
    """Each operation's median cost for one user's INBOX."""
    client = imaplib.IMAP4("127.0.0.1", 4143)
    client.login(user, "secret")
    sender = smtplib.SMTP("127.0.0.1", 4025)
    sender.ehlo("growth.test")
    count = int(client.select("INBOX")[1][0])
    text = TEXT % (0, 0, BODY)
    first, last = max(1, count - 49), count
    found = {
        "SELECT": timed(lambda _: client.select("INBOX")),
        "STATUS": timed(lambda _: client.status("INBOX", "(MESSAGES UNSEEN)")),
        "FETCH FLAGS of 50": timed(lambda _: client.fetch(f"{first}:{last}", "(FLAGS)")),
        "FETCH ENVELOPE of 50": timed(lambda _: client.fetch(f"{first}:{last}", "(ENVELOPE)")),
        "FETCH one body": timed(lambda n: client.fetch(str(last - n % 50), "(BODY.PEEK[])")),
        "STORE one": timed(lambda n: client.store(str(last), "+FLAGS" if n % 2 else "-FLAGS", "(\\Flagged)")),
        "APPEND": timed(lambda _: client.append("INBOX", None, None, text)),  # type: ignore[arg-type]
        "SMTP to mailbox": timed(lambda _: sender.sendmail("a@example.net", [f"{user}@bench.test"], text)),
    }
    sender.quit()
    client.logout()
    return found


def main() -> None:
    """Measure all four sizes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--big", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=1000)
    options = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for accounts in (10, options.accounts):
        server = Posthouse(accounts)
        server.start()
        try:
            for user, messages in (("u000", 1000), ("u001", options.big)):
                seed(4143, user, messages)
                columns[f"{accounts:,} accounts, {messages:,} messages"] = operations(user)
        finally:
            server.stop()
    names = list(columns)
    lines = ["| microseconds | " + " | ".join(names) + " | growth |", "|---" * (len(names) + 2) + "|"]
    for operation in columns[names[0]]:
        values = [columns[name][operation] for name in names]
        cells = [f"{value:.0f}" for value in values]
        lines.append(f"| {operation} | " + " | ".join(cells) + f" | {values[-1] / values[0]:.2f}x |")
    text = "\n".join(lines)
    print(text)
    if options.write:
        page = ROOT / "docs" / "benchmark.md"
        before, _, after = page.read_text().partition(MARK)
        _, _, after = after.partition(MARK)
        page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}")


if __name__ == "__main__":
    main()
