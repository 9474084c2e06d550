"""Postfix and Posthouse exchange 500 messages each way, by MX look-up, on port 25.

    smtp-source → Postfix (192.0.2.30) ── MX of posthouse.test ──→ Posthouse (192.0.2.10)
    smtplib 587 → Posthouse (192.0.2.10) ── MX of postfix.test ──→ Postfix (192.0.2.30)

Everything runs in a network namespace of the test's own, with its own resolv.conf.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import pytest

from tests.interop.namespace import Namespace
from tests.interop.office import Posthouse
from tests.interop.postfix import Postfix

pytestmark = [pytest.mark.interop, pytest.mark.slow]

COUNT = 500
ZONES = {
    "posthouse.test": "@ MX 10 mx\nmx A 192.0.2.10\n",
    "postfix.test": "@ MX 10 mx\nmx A 192.0.2.30\n",
}

SUBMIT = """
import smtplib, sys
count = int(sys.argv[1])
connection = smtplib.SMTP("192.0.2.10", 587)
connection.ehlo()
import ssl
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
connection.starttls(context=context)
connection.login("carol@posthouse.test", "secret")
for number in range(count):
    lines = ["From: carol@posthouse.test", "To: dave@postfix.test", f"Subject: {number}", "", f"Number {number}.", ""]
    text = "\\r\\n".join(lines)
    connection.sendmail("carol@posthouse.test", ["dave@postfix.test"], text)
connection.quit()
"""


@pytest.fixture
def house(namespace: Namespace, tmp_path: Path) -> Posthouse:
    """Posthouse for posthouse.test at 192.0.2.10, with carol."""
    namespace.serve_dns(ZONES, tmp_path)
    house = Posthouse(namespace, tmp_path / "posthouse", "mx.posthouse.test", "192.0.2.10")
    house.configure(["posthouse.test"], {"carol@posthouse.test": "secret"})
    house.start()
    return house


def test_postfix_delivers_500_to_us(house: Posthouse, postfix: Postfix, namespace: Namespace) -> None:
    postfix.start(hostname="mx.postfix.test", domain="postfix.test", address="192.0.2.30", users=["dave"])
    source = str(postfix.root / "usr/sbin/smtp-source")
    sent = namespace.run(
        "env",
        f"LD_LIBRARY_PATH={postfix.root}/usr/lib/postfix",
        *(source, "-c", "-s", "5", "-m", str(COUNT), "-l", "3000"),
        *("-f", "dave@postfix.test", "-t", "carol@posthouse.test", "192.0.2.30:25"),
    )
    assert sent.returncode == 0, sent.stderr
    namespace.wait_for(lambda: house.count("carol@posthouse.test") >= COUNT, "500 messages", 120)
    namespace.wait_for(lambda: postfix.queued() == 0, "an empty Postfix queue", 30)
    assert house.count("carol@posthouse.test") == COUNT
    ids = house.header_values("carol@posthouse.test", "Message-Id")
    assert len(set(ids)) == COUNT
    assert "status=deferred" not in postfix.log()
    assert "status=bounced" not in postfix.log()


def test_we_deliver_500_to_postfix(house: Posthouse, postfix: Postfix, namespace: Namespace) -> None:
    postfix.start(hostname="mx.postfix.test", domain="postfix.test", address="192.0.2.30", users=["dave"])
    sent = namespace.run(sys.executable, "-c", textwrap.dedent(SUBMIT), str(COUNT))
    assert sent.returncode == 0, sent.stderr
    namespace.wait_for(lambda: len(postfix.mail_of("dave")) >= COUNT, "500 messages at Postfix", 120)
    assert len(postfix.mail_of("dave")) == COUNT
    subjects = [
        match[1]
        for path in postfix.mail_of("dave")
        if (match := re.search(r"^Subject: (\d+)", path.read_text(errors="replace"), re.MULTILINE))
    ]
    assert sorted(map(int, subjects)) == list(range(COUNT))
    assert house.queue_length() == 0


def test_postfix_refusing_a_recipient_makes_a_bounce_the_sender_can_read(
    house: Posthouse, postfix: Postfix, namespace: Namespace
) -> None:
    postfix.start(hostname="mx.postfix.test", domain="postfix.test", address="192.0.2.30", users=["dave"])
    script = SUBMIT.replace("dave@postfix.test", "nobody@postfix.test")
    sent = namespace.run(sys.executable, "-c", textwrap.dedent(script), "1")
    assert sent.returncode == 0, sent.stderr
    namespace.wait_for(lambda: house.count("carol@posthouse.test") == 1, "the bounce", 30)
    bounce = house.messages("carol@posthouse.test")[0]
    assert bounce.get_content_type() == "multipart/report"
    assert "nobody@postfix.test" in bounce.as_string()
    assert "550 5.1.1" in bounce.as_string()
