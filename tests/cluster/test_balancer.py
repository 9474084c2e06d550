"""HAProxy before two nodes: it asks `/ready`, sends people where that is yes, and says whose connection it is."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.balancer import Balancer, haproxy
from tests.cluster.database import Database, free_ports
from tests.cluster.processes import NodeProcess, start


@pytest.fixture
def nodes(server: Database, url: str, tmp_path: Path) -> Iterator[list[NodeProcess]]:
    haproxy()
    more = 'proxies = ["127.0.0.0/8"]\nlog = "info"\ndrain = 2'
    made = [NodeProcess(tmp_path / name, url, "imap,jobs", more=more) for name in ("one", "two")]
    try:
        start(*made)
        made[0].command("domain", "add", "example.test")
        made[0].command("account", "add", "ann@example.test", "--password", "secret-of-ann")
        yield made
    finally:
        for node in made:
            node.stop()


def test_people_are_sent_where_it_is_ready(nodes: list[NodeProcess], tmp_path: Path) -> None:
    (port,) = free_ports(1)
    servers = "\n".join(
        f"    server n{i} 127.0.0.1:{node.address('imap')[1]} send-proxy-v2"
        f" check port {node.address('health')[1]} inter 200ms fall 1 rise 1"
        for i, node in enumerate(nodes)
    )
    text = (
        "defaults\n    mode tcp\n    timeout connect 3s\n    timeout client 30s\n    timeout server 30s\n"
        f"listen imap\n    bind 127.0.0.1:{port}\n    option httpchk GET /ready\n    balance roundrobin\n{servers}\n"
    )
    with Balancer(tmp_path / "haproxy.cfg", text, ("127.0.0.1", port)):
        for _ in range(4):
            _log_in(port)
        for node in nodes:
            assert "imap login" in node.log(), "one after the other"
        with pytest.raises((imaplib.IMAP4.abort, imaplib.IMAP4.error, OSError)):
            imaplib.IMAP4(*nodes[0].address("imap"), timeout=20)  # without the header that a proxy must send
        with imaplib.IMAP4("127.0.0.1", port, timeout=20) as held:
            held.login("ann@example.test", "secret-of-ann")
            nodes[0].terminate()
            while nodes[0].health("/ready") == 200:
                time.sleep(0.02)
            time.sleep(0.5)  # the balancer asks every 0.2 s
            for _ in range(6):
                _log_in(port)
        assert nodes[0].process is not None
        assert nodes[0].process.wait(30) == 0


def _log_in(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with imaplib.IMAP4("127.0.0.1", port, timeout=20) as imap:
                imap.login("ann@example.test", "secret-of-ann")
                assert imap.select()[0] == "OK"
            return
        except (imaplib.IMAP4.abort, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
