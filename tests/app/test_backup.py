"""A backup of a running server under load: what was answered before it began is in it, and it is whole."""

from __future__ import annotations

import smtplib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.app.conftest import Served

pytestmark = [pytest.mark.slow]
ALICE = "alice@north.test"
SIZES = (100, 30_000)


class Sender(threading.Thread):
    """Sends as fast as it is answered, and keeps count."""

    def __init__(self, house: Served) -> None:
        super().__init__()
        self._port = house.port("smtp")
        self.accepted = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, timeout=20) as client:
            while not self.stopping.is_set():
                body = "x" * SIZES[self.accepted % 2]
                text = f"From: x@far.test\r\nSubject: {self.accepted}\r\n\r\n{body}\r\n"
                client.sendmail("x@far.test", [ALICE], text)
                self.accepted += 1


def subjects(folder: Path) -> list[int]:
    """The numbers of an exported INBOX."""
    found = []
    for path in (folder / "cur").iterdir():
        raw = path.read_bytes()
        number = int(raw.partition(b"Subject: ")[2].partition(b"\n")[0])
        assert raw.endswith(b"\n" + b"x" * SIZES[number % 2] + b"\n"), "it is whole"
        found.append(number)
    return sorted(found)


def test_a_backup_under_load_is_one_moment(tmp_path: Path) -> None:
    house = Served(tmp_path / "house")
    house.fine("domain", "add", "north.test")
    house.fine("account", "add", ALICE, "--password", "secret")
    house.start()
    sender = Sender(house)
    sender.start()
    folder = tmp_path / "backup"
    try:
        before = []
        for _ in range(3):  # the first, and two that add what is new
            before.append(sender.accepted)
            house.fine("backup", str(folder))
        assert before[-1] > before[0]
        # While it is restored from, the house goes on.
        house.fine("restore", str(folder), "--account", ALICE)
        house.fine("verify")
    finally:
        sender.stopping.set()
        sender.join()
    assert "fault" not in house.log
    other = Served(tmp_path / "other")
    refused = house.run("restore", str(folder), "--replace")
    assert refused.returncode == 1
    assert b"in use by process" in refused.stderr
    house.stop()
    other.fine("restore", str(folder))
    assert "everything is as it should be" in other.fine("verify")
    other.fine("export", ALICE, str(tmp_path / "out"), "--folder", "INBOX")
    there = subjects(tmp_path / "out")
    assert there == list(range(len(there))), "one moment: no gaps"
    assert len(there) >= before[-1], "what was answered before it began is in it"
    other.start()
    assert other.stop() == 0


def test_a_backup_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    house = Served(tmp_path / "house")
    house.fine("domain", "add", "north.test")
    house.start()
    (tmp_path / "file").touch()
    done = house.run("backup", str(tmp_path / "file" / "below"))
    assert done.returncode in (1, 2)
    assert b"Traceback" not in done.stderr
    done = house.run("backup", "/proc/nowhere")
    assert done.returncode == 1
    assert b"/proc/nowhere" in done.stderr
    half = subprocess.Popen(
        [sys.executable, "-m", "posthouse", "-c", str(house.file), "backup", str(tmp_path / "backup")],
        env=house.environment,
        stdout=subprocess.DEVNULL,
    )
    half.kill()
    half.wait()
    house.fine("backup", str(tmp_path / "backup"))
    assert house.stop() == 0
