"""`posthouse serve` as an administrator runs it: a folder, a configuration, a process; ports that the system gives."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
hostname = "mx.north.test"
{extra}
[listen]
smtp = "127.0.0.1:0"
submission = "127.0.0.1:0"
submissions = "127.0.0.1:0"
lmtp = "unix:run/lmtp"
imap = "127.0.0.1:0"
imaps = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
pop3s = "127.0.0.1:0"
[dns]
servers = ["127.0.0.1:9"]
timeout = "200ms"
[auth]
default_domain = "north.test"
"""
TRUSTING = ssl._create_unverified_context()


class Served:
    """One post office in a folder."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder = folder
        self.file = folder / "posthouse.toml"
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: dict[str, list[str]] = {}
        self.python = sys.executable
        self.environment = os.environ | {"PYTHONPATH": str(ROOT)}
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(extra)

    def configure(self, extra: str = "", more: str = "") -> None:
        """Write the configuration; `extra` at the top, `more` at the end."""
        self.file.write_text(CONFIG.format(extra=extra) + more)

    def run(self, *words: str, text: str | bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A command, to its end."""
        return subprocess.run(
            [self.python, "-m", "posthouse", "-c", str(self.file), *words],
            input=text.encode() if isinstance(text, str) else text,
            capture_output=True,
            timeout=60,
            check=False,
            env=self.environment,
        )

    def fine(self, *words: str, text: str | bytes = b"") -> str:
        """A command that must succeed; what it printed."""
        done = self.run(*words, text=text)
        assert done.returncode == 0, (words, done.stderr.decode(), done.stdout.decode())
        return done.stdout.decode()

    def json(self, *words: str) -> object:
        """A command's answer as values."""
        return json.loads(self.fine(*words, "--json"))

    def start(self, *options: str) -> None:
        """Serve, and wait until it is ready."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        words = [self.python, "-m", "posthouse", "-c", str(self.file), "serve", *options]
        self.process = subprocess.Popen(
            [*words, "--ready-file", str(ready), "--pid-file", str(self.folder / "pid")],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("ab"),
            env=self.environment,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.log
        self.addresses = json.loads(ready.read_text())["addresses"]

    def port(self, name: str) -> int:
        """Where a listener is."""
        return int(self.addresses[name][0].rpartition(":")[2])

    def workers(self) -> list[int]:
        """The ids of the processes that it has started and that live."""
        assert self.process is not None
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(folder.name))
        return sorted(found)

    @property
    def log(self) -> str:
        """All that was logged."""
        return (self.folder / "log").read_text()

    def await_log(self, text: str) -> None:
        """Wait until a line is logged."""
        deadline = time.monotonic() + 10
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the server."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it as systemd would; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running post office for north.test with alice and bob (password `secret`)."""
    made = Served(tmp_path_factory.mktemp("served"))
    made.fine("domain", "add", "north.test")
    made.fine("account", "add", "alice@north.test", "--password", "secret", "--admin")
    made.fine("account", "add", "bob@north.test", "--password-stdin", text="secret\n")
    made.start()
    yield made
    assert made.stop() == 0, made.log
