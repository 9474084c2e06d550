"""Posthouse as a process on loopback with ports of its own, for clients that need no network namespace."""

from __future__ import annotations

import imaplib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from tests.interop.namespace import ROOT, free_port

CONFIG = """\
hostname = "localhost"
data = "data"
[listen]
smtp = "127.0.0.1:{smtp}"
submission = "127.0.0.1:{submission}"
submissions = "127.0.0.1:{submissions}"
imap = "127.0.0.1:{imap}"
imaps = "127.0.0.1:{imaps}"
pop3 = "127.0.0.1:{pop3}"
pop3s = "127.0.0.1:{pop3s}"
"""

PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
ACCOUNTS = {"alice@example.test": "wonderland", "bob@example.test": "builder"}


class LocalHouse:
    """One running post office for `example.test` with alice and bob."""

    _furnished: ClassVar[dict[str, bytes]] = {}
    """The data folder that the commands made the first time: file → octets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in PROTOCOLS}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `posthouse …`."""
        return subprocess.run(
            [sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml"), *words],
            capture_output=True,
            text=True,
            input=text,
            timeout=60,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )

    def configure(self) -> None:
        """Write the file, add the domain and the accounts: by commands once, later houses take their data."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "posthouse.toml").write_text(CONFIG.format(**self.ports))
        data = self.folder / "data"
        if self._furnished:
            for name, octets in self._furnished.items():
                (data / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                (data / name).write_bytes(octets)
            return
        assert self.command("domain", "add", "example.test").returncode == 0
        for address, password in ACCOUNTS.items():
            done = self.command("account", "add", address, "--password-stdin", text=password + "\n")
            assert done.returncode == 0, done.stderr
        files = [
            path for path in data.rglob("*") if path.is_file() and path.suffix not in (".reserve", ".lock")
        ]
        self._furnished.update({str(path.relative_to(data)): path.read_bytes() for path in files})

    def launch(self) -> Path:
        """Serve; the file will exist once every listener accepts."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml")),
                *("serve", "--ready-file", str(ready)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        return ready

    def start(self) -> None:
        """Serve, and wait until every listener accepts."""
        ready = self.launch()
        assert self.process is not None
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "not ready within 20 s"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as systemd would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def imap(self, user: str) -> imaplib.IMAP4:
        """A logged-in IMAP client."""
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login(user, ACCOUNTS[user])
        return client

    def subjects(self, user: str, mailbox: str = "INBOX") -> list[str]:
        """The subjects in a mailbox, in order."""
        client = self.imap(user)
        try:
            count = int(client.select(mailbox, readonly=True)[1][0] or 0)
            if not count:
                return []
            found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            return [part[1].decode().partition(":")[2].strip() for part in found if isinstance(part, tuple)]
        finally:
            client.logout()

    def append(self, user: str, subject: str) -> None:
        """Put a message into a user's INBOX."""
        client = self.imap(user)
        text = f"From: {user}\r\nTo: {user}\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n"
        assert client.append("INBOX", None, None, text.encode())[0] == "OK"  # type: ignore[arg-type]
        client.logout()
