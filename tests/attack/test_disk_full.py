"""The whole server on a disk that is full: new mail is deferred, reading and deleting go on, and it recovers alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.besieged import MB, Besieged

pytestmark = pytest.mark.slow
DISK = 96 * MB
BODY = b"Subject: filling\r\n\r\n" + (b"y" * 76 + b"\r\n") * 4_000
RECOVERY = 15.0
"""Seconds after which mail is taken again once there is space."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Besieged]:
    """A post office whose data folder is a small disk of its own."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(data)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    house = Besieged(tmp_path)
    try:
        house.open()
        yield house
    finally:
        house.close()
        subprocess.run(["umount", "-l", str(data)], check=True)


def send(house: Besieged, body: bytes) -> bytes:
    """The reply to one message for alice."""
    with house.enter("smtp") as client:
        client.smtp("EHLO x.elsewhere.test")
        client.smtp("MAIL FROM:<x@elsewhere.test>")
        client.smtp("RCPT TO:<alice@example.test>")
        client.smtp("DATA")
        client.send(body + b"\r\n.\r\n")
        return client.reply()


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    path = folder / "ballast"
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        for size in (MB, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return path


def test_full_disk_defers_mail_and_serves_readers(small_disk: Besieged) -> None:
    house = small_disk
    for number in range(20):
        assert send(house, b"Subject: kept %d\r\n\r\nx\r\n" % number).startswith(b"250")
    assert send(house, BODY).startswith(b"250")
    ballast = fill(house.folder / "data")

    # New mail is deferred by every door, small or large.
    assert any(send(house, BODY).startswith(b"452 4.3.1") for _ in range(5))
    assert send(house, BODY).startswith(b"452 4.3.1")
    assert send(house, b"Subject: small\r\n\r\nx\r\n").startswith(b"452 4.3.1")
    assert send(house, b"Subject: staged\r\n\r\n" + b"z" * 20 * MB).startswith(b"452 4.3.1")
    with house.logged_in() as reader:
        assert reader.ask(b"a APPEND INBOX {20+}\r\nSubject: x\r\n\r\nabcd\r\n", b"a ")[-1].startswith(
            b"a NO ["
        )
        large = b"Subject: x\r\n\r\n" + b"z" * 10 * MB
        assert reader.ask(b"a APPEND INBOX {%d+}\r\n%b" % (len(large), large), b"a ")[-1].startswith(
            b"a NO ["
        )
        assert reader.ask("a CREATE New", b"a ")[-1].startswith((b"a NO [", b"a OK"))

        # Reading goes on, and so do flags, expunging and logging in.
        assert reader.ask("b SELECT INBOX", b"b ")[-1].startswith(b"b OK")
        lines = reader.ask("b FETCH 1:20 (ENVELOPE BODY.PEEK[])", b"b ")
        assert lines[-1].startswith(b"b OK")
        assert sum(b"Subject: kept" in line for line in lines) == 20
        assert reader.ask("b SEARCH TEXT kept", b"b ")[-1].startswith(b"b OK")
        assert reader.ask("b STORE 1:10 +FLAGS (\\Deleted)", b"b ")[-1].startswith(b"b OK")
        expunged = reader.ask("b EXPUNGE", b"b ")
        assert expunged[-1].startswith(b"b OK")
        assert sum(line.endswith(b"EXPUNGE\r\n") for line in expunged) == 10
    with house.logged_in("pop3") as reader:
        reader.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
        text = reader.rest()
        assert b"Subject: kept 10" in text
        assert text.splitlines()[-1].startswith(b"+OK")

    # A restart on the full disk still serves readers.
    house.stop()
    house.start()
    with house.logged_in() as reader:
        assert b"* 10 EXISTS\r\n" in reader.ask("c SELECT INBOX", b"c ")
    fill(house.folder / "data")
    assert send(house, BODY).startswith(b"452 4.3.1")

    # Space returns: mail is taken again, without anybody's help.
    ballast.unlink()
    until = time.monotonic() + RECOVERY
    while not (reply := send(house, b"Subject: after\r\n\r\nx\r\n")).startswith(b"250"):
        assert time.monotonic() < until, reply
        time.sleep(0.2)
    assert "after" in house.subjects("alice@example.test")
    assert "Traceback" not in house.log()
    assert "fault=" not in house.log()
    assert "fault id=" not in house.log()
