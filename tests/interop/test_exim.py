"""Exim and Posthouse exchange messages both ways, by MX look-up, on port 25, in a namespace of the test's own.

exim (192.0.2.40) ── MX of posthouse.test ──→ Posthouse (192.0.2.10)
smtplib 587 → Posthouse (192.0.2.10) ── MX of exim.test ──→ Exim (192.0.2.40)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import PEERS, absent
from tests.interop.exim import Exim
from tests.interop.namespace import Namespace
from tests.interop.office import Posthouse
from tests.interop.test_postfix import SUBMIT

pytestmark = [pytest.mark.interop, pytest.mark.slow]

COUNT = 25
ZONES = {
    "posthouse.test": "@ MX 10 mx\nmx A 192.0.2.10\n",
    "exim.test": "@ MX 10 mx\nmx A 192.0.2.40\n",
}


@pytest.fixture
def exim(namespace: Namespace, tmp_path: Path) -> Iterator[Exim]:
    if not (PEERS / "usr/sbin/exim4").exists():
        absent("Exim")
    namespace.serve_dns(ZONES, tmp_path)
    server = Exim(PEERS, namespace, tmp_path / "exim")
    server.start(hostname="mx.exim.test", domain="exim.test", address="192.0.2.40", users=["dave"])
    yield server


@pytest.fixture
def house(exim: Exim, namespace: Namespace, tmp_path: Path) -> Posthouse:
    made = Posthouse(namespace, tmp_path / "posthouse", "mx.posthouse.test", "192.0.2.10")
    made.configure(["posthouse.test"], {"carol@posthouse.test": "secret"})
    made.start()
    return made


def test_exim_delivers_to_us(exim: Exim, house: Posthouse, namespace: Namespace) -> None:
    for number in range(COUNT):
        lines = [
            "From: dave@exim.test",
            "To: carol@posthouse.test",
            f"Subject: {number}",
            "",
            ".dots",
            "..and more",
            "",
        ]
        text = "\n".join(lines)
        exim.submit("dave@exim.test", "carol@posthouse.test", text)
    namespace.wait_for(lambda: house.count("carol@posthouse.test") >= COUNT, "the messages", 60)
    namespace.wait_for(lambda: exim.queued() == 0, "an empty spool", 30)
    texts = house.messages("carol@posthouse.test")
    assert sorted(int(str(message["Subject"])) for message in texts) == list(range(COUNT))
    assert all(str(message.get_payload()).startswith(".dots\r\n..and more\r\n") for message in texts)


def test_we_deliver_to_exim(exim: Exim, house: Posthouse, namespace: Namespace) -> None:
    script = SUBMIT.replace("dave@postfix.test", "dave@exim.test")
    sent = namespace.run(sys.executable, "-c", script, str(COUNT))
    assert sent.returncode == 0, sent.stderr
    namespace.wait_for(lambda: house.queue_length() == 0, "an empty queue", 30)
    exim.run_queue()
    assert len(exim.mail_of("dave")) == COUNT
    assert house.queue_length() == 0
