"""A cluster as it grows, and from one node to another: what `cluster.py` measures beside the comparison.

The database is filled by SQL, so that a million messages take a minute; what is measured goes through IMAP and SMTP.
"""

from __future__ import annotations

import imaplib
import smtplib
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import growth

from tests.cluster.database import Database

BASE: Final = 1_000_000_000
"""Numbers of what is filled in are above it: the program's own never come so far here."""
HEADER: Final = (
    r"From: a@example.net\r\nTo: b@bench.test\r\nSubject: filled in %s\r\n"
    r"Date: Fri, 1 Aug 2025 10:00:00 +0000\r\n\r\n"
)
"""With PostgreSQL's escapes."""
SAMPLES: Final = 200


class Running(Protocol):
    """A cluster's first node with what belongs to it."""

    database: Database

    def processes(self) -> Collection[int]:
        """The node's, the database's, the object store's."""
        ...


def fill(database: Database, accounts: int, messages: int, *, name: str) -> None:
    """So many accounts more, with so many messages in their INBOXes together; all have the password of u000."""
    each = messages // accounts
    numbers = (
        f"(SELECT coalesce(max(account_id), {BASE}) AS a FROM account WHERE account_id >= {BASE}) AS top"
    )
    places = (
        f"(SELECT top.a + 1 + (g - 1) / {each} AS account, top.a + 1 + (g - 1) / {each} AS mailbox,"
        f" (g - 1) % {each} + 1 AS uid, top.a * 1000 + g AS id"
        f" FROM {numbers}, generate_series(1, {messages}) AS g) AS n"
    )
    steps = [
        "INSERT INTO placement SELECT account, mailbox, uid, id, 0, uid, uid, 500, 1754042400, 1754042400"
        f" FROM {places}",
        f"INSERT INTO email SELECT account, id, id, 500, 1754042400, '' FROM {places}",
        "INSERT INTO blob SELECT account, id, 500, decode(md5(id::text), 'hex'), NULL,"
        f" convert_to(rpad(replace(E'{HEADER}', '%s', id::text), 500, 'words and more '), 'UTF8') FROM {places}",
        "INSERT INTO search_document SELECT account, id, 0, 'filled in ' || id, 'a@example.net', 'b@bench.test', '',"
        " array_to_tsvector(ARRAY(SELECT to_hex(account) || U&'\\E000' || 't' || w FROM"
        f" unnest(ARRAY['filled', 'in', 'words', 'and', 'more', id::text]) AS w)) FROM {places}",
        f"INSERT INTO mailbox SELECT top.a + g, top.a + g, 'INBOX', 'inbox', 1, {each} + 1, {each}, {each}, {each}, 0,"
        f" {each} * 500, 1, 1, 0 FROM {numbers}, generate_series(1, {accounts}) AS g",
        f"INSERT INTO account_state (account_id, modseq, uid_validity) SELECT top.a + g, {each} + 1, 1"
        f" FROM {numbers}, generate_series(1, {accounts}) AS g",
        "INSERT INTO account SELECT top.a + g, "
        f"'{name}' || g || '@bench.test', 'bench.test', '', first.password, first.scram, 0, 0, 0, 1754042400"
        f" FROM {numbers}, generate_series(1, {accounts}) AS g,"
        " (SELECT * FROM account WHERE address = 'u000@bench.test') AS first",
        "ANALYZE",
    ]
    for step in steps:  # the accounts last: their numbers tell the others where to begin
        database.sql(step, "house")


def table(server: Running, imap: int, smtp: int, sizes: Collection[tuple[int, int]]) -> str:
    """What operations of one user cost in databases of growing size, as Markdown."""
    growth.QUIET, growth.TIMES = 1.0, 100
    growth.seed(imap, "u000", 1000)
    columns = {}
    have = 0
    for accounts, messages in sizes:
        if accounts > 100:
            fill(server.database, accounts, messages - have, name=f"of{accounts}-")
        have = messages
        columns[f"{accounts:,} accounts, {messages:,} messages"] = growth.operations(
            server.processes(), "u000", imap=imap, smtp=smtp
        )
    return growth.table(columns)


def across(smtp: int, imap: int, user: str = "u001") -> tuple[float, float]:
    """Milliseconds from `250` of one node to `EXISTS` for a client in IDLE on another: the median, and p99."""
    client = imaplib.IMAP4("127.0.0.1", imap)
    client.login(user, "secret")
    client.select("INBOX")
    client.send(b"i IDLE\r\n")
    client.readline()
    sender = smtplib.SMTP("127.0.0.1", smtp)
    waits = []
    for number in range(SAMPLES):
        sender.sendmail("a@example.net", [f"{user}@bench.test"], f"Subject: {number}\r\n\r\nx\r\n")
        sent = time.perf_counter()
        while b"EXISTS" not in client.readline():
            pass
        waits.append(max(time.perf_counter() - sent, 0.0) * 1e3)
    sender.quit()
    client.send(b"DONE\r\n")
    client.shutdown()
    waits.sort()
    return waits[SAMPLES // 2], waits[SAMPLES * 99 // 100]


class Listing(NamedTuple):
    """FETCH of header fields of a whole mailbox."""

    seconds: float
    grown: float
    """MiB by which the node's memory grew at most."""


def streamed(server: Running, node: int, imap: int, messages: int = 100_000) -> list[Listing]:
    """Two large mailboxes are listed, one after the other: with the first the node's bounded caches fill up."""
    fill(server.database, 2, messages * 2, name="big")
    return [_listed(node, imap, user, messages) for user in ("big1", "big2")]


def _listed(node: int, imap: int, user: str, messages: int) -> Listing:
    client = imaplib.IMAP4("127.0.0.1", imap)
    client.login(user, "secret")
    client.select("INBOX", readonly=True)
    before = _status(node, "VmRSS")
    Path(f"/proc/{node}/clear_refs").write_text("5")  # the peak begins anew
    begin = time.perf_counter()
    client.send(b"f FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])\r\n")
    lines = 0
    while not (line := client.readline()).startswith(b"f "):
        lines += line.startswith(b"* ")
    assert lines == messages and line.startswith(b"f OK"), (lines, line)
    seconds = time.perf_counter() - begin
    client.logout()
    return Listing(seconds, _status(node, "VmHWM") - before)


def _status(pid: int, name: str) -> float:
    """MiB, from the kernel's account of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0
