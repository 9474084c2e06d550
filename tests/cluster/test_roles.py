"""Three nodes with separate roles, as processes over one database: mail comes in by one and is read by the others."""

from __future__ import annotations

import imaplib
import json
import poplib
import shutil
import smtplib
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.absent import absent
from tests.cluster.database import Database, programs
from tests.cluster.processes import NodeProcess, start
from tests.interop.mirror import Mirror, fetched
from tests.machine import slowness

pytestmark = [pytest.mark.slow, pytest.mark.interop]


class Cluster:
    """A database of its own and three nodes."""

    def __init__(self, folder: Path) -> None:
        self.database = Database()
        self.database.initialise()
        self.database.start()
        url = self.database.make("house")
        self.mx = NodeProcess(folder / "mx", url, "mx,queue")
        self.reading = NodeProcess(folder / "reading", url, "imap,pop3,jobs")
        self.all = NodeProcess(folder / "all", url, "imap,pop3,submission,web,jobs", more="drain = 1")
        self.nodes = (self.mx, self.reading, self.all)

    def close(self) -> None:
        for node in self.nodes:
            node.stop()
        self.database.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if programs() is None:
        absent("PostgreSQL (scripts/install-peers.sh)")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        start(*made.nodes)
        made.mx.command("domain", "add", "example.test")
        made.mx.command("account", "add", "ann@example.test", "--password", "secret-of-ann")
        yield made
    finally:
        made.close()


def send(node: NodeProcess, subject: str) -> None:
    with smtplib.SMTP(*node.address("smtp"), timeout=20) as smtp:
        smtp.sendmail("a@far.test", ["ann@example.test"], f"Subject: {subject}\r\n\r\nhello\r\n".encode())


def reader(node: NodeProcess) -> imaplib.IMAP4:
    imap = imaplib.IMAP4(*node.address("imap"), timeout=20)
    imap.login("ann@example.test", "secret-of-ann")
    assert imap.select()[0] == "OK"
    return imap


def uids(imap: imaplib.IMAP4) -> tuple[bytes, bytes]:
    validity = imap.response("UIDVALIDITY")[1][0]
    assert isinstance(validity, bytes)
    return validity, imap.uid("SEARCH", "ALL")[1][0]


def test_mail_in_by_one_is_read_by_the_others(cluster: Cluster) -> None:
    send(cluster.mx, "first")
    one, two = reader(cluster.reading), reader(cluster.all)
    assert uids(one) == uids(two)
    began = time.monotonic()
    send(cluster.mx, "second")
    for imap in (one, two):
        while imap.noop() and len(imap.search(None, "ALL")[1][0].split()) < 2:
            assert time.monotonic() - began < 10 * slowness()
    one.store("2", "+FLAGS", "(\\Flagged)")
    while b"\\Flagged" not in (two.noop() and two.fetch("2", "(FLAGS)")[1][0]):
        assert time.monotonic() - began < 10 * slowness()
    pop = poplib.POP3(*cluster.reading.address("pop3"), timeout=20)
    pop.user("ann@example.test")
    pop.pass_("secret-of-ann")
    assert pop.stat()[0] == 2
    other = poplib.POP3(*cluster.all.address("pop3"), timeout=20)
    other.user("ann@example.test")
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        other.pass_("secret-of-ann")
    pop.dele(1)
    pop.quit()
    while len(two.search(None, "ALL")[1][0].split()) > 1:
        two.noop()
        assert time.monotonic() - began < 20 * slowness()
    one.logout()
    two.logout()


def test_a_node_that_is_not_asked_for_a_role_does_not_serve_it(cluster: Cluster) -> None:
    assert set(cluster.mx.addresses) == {"smtp", "health"}
    assert set(cluster.reading.addresses) == {"imap", "pop3", "health"}


def test_a_killed_node_s_clients_find_the_same_elsewhere(cluster: Cluster) -> None:
    send(cluster.mx, "before")
    here = reader(cluster.reading)
    began = time.monotonic()
    while b"3" not in here.uid("SEARCH", "ALL")[1][0].split():
        here.noop()
        assert time.monotonic() - began < 10 * slowness()
    before = uids(here)
    cluster.reading.kill()
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        here.noop()
    there = reader(cluster.all)
    assert uids(there) == before
    send(cluster.mx, "while it is away")
    cluster.reading.start()
    again = reader(cluster.reading)
    after = uids(again)
    assert after[0] == before[0]
    assert set(before[1].split()) < set(after[1].split())
    there.logout()
    again.logout()


def jmap(node: NodeProcess, *calls: tuple[str, dict[str, object]]) -> list[dict[str, Any]]:
    """The answers of JMAP calls, as a program that runs in a browser makes them; `accountId` is filled in."""
    host, port = node.address("http")
    word = b64encode(b"ann@example.test:secret-of-ann").decode()
    headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}

    def ask(path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://{host}:{port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    mail = "urn:ietf:params:jmap:mail"
    account = ask("/.well-known/jmap")["primaryAccounts"][mail]
    wanted = [[name, {"accountId": account} | words, str(place)] for place, (name, words) in enumerate(calls)]
    body = {"using": ["urn:ietf:params:jmap:core", mail], "methodCalls": wanted}
    return [answer for _, answer, _ in ask("/jmap/", json.dumps(body).encode())["methodResponses"]]


def test_the_browser_sees_what_imap_does_on_another_node(cluster: Cluster) -> None:
    send(cluster.mx, "for the browser")
    query = ("Email/query", {"filter": {"subject": "for the browser"}})
    began = time.monotonic()
    while not (found := jmap(cluster.all, query)[0]["ids"]):
        assert time.monotonic() - began < 10 * slowness()
    imap = reader(cluster.reading)
    number = imap.search(None, "SUBJECT", '"for the browser"')[1][0].decode()
    assert imap.store(number, "+FLAGS", "(\\Flagged \\Seen)")[0] == "OK"
    get = ("Email/get", {"ids": found, "properties": ["keywords"]})
    while jmap(cluster.all, get)[0]["list"][0]["keywords"] != {"$flagged": True, "$seen": True}:
        assert time.monotonic() - began < 20 * slowness()
    (told,) = jmap(cluster.all, ("Email/set", {"update": {found[0]: {"keywords/$flagged": None}}}))
    assert told["updated"] == {found[0]: None}
    while b"\\Flagged" in (imap.noop() and imap.fetch(number, "(FLAGS)")[1][0]):
        assert time.monotonic() - began < 30 * slowness()
    imap.logout()


def test_mbsync_goes_on_at_another_node_and_fetches_nothing_again(cluster: Cluster, tmp_path: Path) -> None:
    program = shutil.which("mbsync")
    if program is None:
        absent("mbsync (scripts/install-peers.sh)")
        return
    for number in range(20):
        send(cluster.mx, f"for the mirror {number}")
    imap = reader(cluster.reading)  # it hears of what others took a moment later
    deadline = time.monotonic() + 20
    imap.select(readonly=True)
    while len(imap.search(None, 'SUBJECT "for the mirror"')[1][0].split()) < 20:
        assert time.monotonic() < deadline
        imap.noop()
    imap.logout()
    mirror = Mirror(tmp_path, program, "ann@example.test", "secret-of-ann")
    first = mirror.run(*cluster.reading.address("imap"))
    before = mirror.letters()
    assert fetched(first) == len(before) >= 20
    cluster.reading.kill()
    send(cluster.mx, "while it is away")
    said = mirror.run(*cluster.all.address("imap"))
    after = mirror.letters()
    assert fetched(said) == 1
    assert before.items() <= after.items()
    assert [text for name, text in after.items() if name not in before and "while it is away" in text]
    assert fetched(mirror.run(*cluster.all.address("imap"))) == 0
    cluster.reading.start()
    assert fetched(mirror.run(*cluster.reading.address("imap"))) == 0


def test_while_the_database_is_away_mail_is_deferred_and_nothing_hangs(cluster: Cluster) -> None:
    imap = reader(cluster.reading)
    assert cluster.mx.health("/ready") == 200
    cluster.database.kill()
    began = time.monotonic()
    with smtplib.SMTP(*cluster.mx.address("smtp"), timeout=20) as smtp:
        smtp.ehlo()
        code, _ = smtp.mail("a@far.test")
        if code == 250:
            code, _ = smtp.rcpt("ann@example.test")
        if code == 250:
            code, _ = smtp.data(b"Subject: deferred\r\n\r\nx\r\n")
        assert code // 100 == 4
    kind, words = imap.create("New")
    assert kind == "NO"
    assert b"UNAVAILABLE" in words[0]
    while cluster.mx.health("/ready") != 503:
        assert time.monotonic() - began < 15 * slowness()
    assert cluster.mx.health("/health") == 200
    assert time.monotonic() - began < 20 * slowness()
    cluster.database.start()
    while cluster.mx.health("/ready") != 200:
        assert time.monotonic() - began < 60 * slowness()
    send(cluster.mx, "after")
    assert imap.create("New")[0] == "OK"
    imap.logout()


def test_draining_says_no_to_new_ones_and_serves_the_others(cluster: Cluster) -> None:
    imap = reader(cluster.all)
    cluster.all.terminate()
    began = time.monotonic()
    while cluster.all.health("/ready") == 200:
        assert time.monotonic() - began < 5 * slowness()
    assert imap.noop()[0] == "OK"
    reader(cluster.all).logout()
    assert cluster.all.process is not None
    assert cluster.all.process.wait(20) == 0
    cluster.all.start()
