"""The servers that are compared, as an administrator would run them: Postfix + Dovecot, and `posthouse serve`.

Each has `start`, `stop`, the load generator's words for its `ports`, and a file with the ids of its processes.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import places

PEER_PORTS = ["--smtp", "127.0.0.1:3025", "--imap", "127.0.0.1:3143", "--pop3", "127.0.0.1:3110"]
OUR_PORTS = ["--smtp", "127.0.0.1:4025", "--imap", "127.0.0.1:4143", "--pop3", "127.0.0.1:4110"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(places.ROOT)}
DNS_PORT = "4053"

CONFIG = """\
hostname = "mx.bench.test"
data = "data"
[listen]
smtp = "127.0.0.1:4025"
imap = "127.0.0.1:4143"
imaps = "127.0.0.1:4993"
pop3 = "127.0.0.1:4110"
[auth]
plaintext = "loopback"
default_domain = "bench.test"
[dns]
servers = ["127.0.0.1:4053"]
[limits]
message_size = "50MB"
"""
UNCHECKED = """\
[msgauth]
verify = "off"
[junk]
filter = "off"
"""
CHECKED = {"posthouse-checked": 1, "posthouse-workers": 2}
"""Posthouse with all checks on: name in the results → `workers`."""
REST_SECONDS = 30.0
"""How long a server's background work is waited for before a test begins."""


class Peer:
    """Postfix + Dovecot with one mailbox format, by the set-up script beside the load generator."""

    def __init__(self, mailbox_format: str, users: int) -> None:
        self.name = mailbox_format
        self.folder = places.WORK / f"peer-{mailbox_format}"
        self.environment = os.environ | {
            "PEER_DIR": str(self.folder),
            "PEER_FORMAT": mailbox_format,
            "PEER_USERS": str(users),
            "PEER_LOGIN": "fast",
        }
        self.ports = [*PEER_PORTS, "--imaps", "127.0.0.1:3993"]
        self.pidfile = self.folder / "peer.pids"

    def start(self) -> None:
        """Write the configuration and start both servers."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        places.WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [places.SHARED / "peer_setup.sh"], env=self.environment, check=True, stdout=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """End exactly what was started."""
        subprocess.run(
            [places.SHARED / "peer_stop.sh"], env=self.environment, check=False, stdout=subprocess.DEVNULL
        )


class Posthouse:
    """`posthouse serve` as an administrator would run it."""

    def __init__(self, users: int, *, checked: str = "") -> None:
        """`checked`: with the checks of senders and the junk filter, as is the default; one of CHECKED."""
        self.name = checked or "posthouse"
        self.checked = checked
        self.users = users
        self.folder = places.WORK / "posthouse"
        self.ports = [*OUR_PORTS, "--imaps", "127.0.0.1:4993"]
        self.pidfile = self.folder / "posthouse.pid"
        self.process: subprocess.Popen[bytes] | None = None
        self.dns: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the accounts and serve; what is asked of the DNS goes to a name server of our own."""
        self.dns = subprocess.Popen([sys.executable, places.ROOT / "bench" / "name_server.py", DNS_PORT])
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / "posthouse.toml").write_text(self.configuration())
        self._command("domain", "add", "bench.test")
        listing = self.folder / "accounts.csv"
        rows = "".join(f"u{i:03d}@bench.test,secret\n" for i in range(self.users))
        listing.write_text("address,password\n" + rows)
        self._command("account", "import", str(listing))
        self.serve()

    def serve(self) -> None:
        """Start the program in a folder that has its configuration."""
        ready = self.folder / "ready"
        self.process = subprocess.Popen(
            [*self._program(), "serve", "--ready-file", str(ready)],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"),
            env=ENVIRONMENT,
        )
        deadline = time.monotonic() + 30
        while not ready.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise SystemExit(f"posthouse did not start; see {self.folder / 'log'}")
            time.sleep(0.05)
        self.pidfile.write_text(str(self.process.pid))

    def configuration(self) -> str:
        """The file."""
        return f"workers = {CHECKED[self.checked]}\n{CONFIG}" if self.checked else CONFIG + UNCHECKED

    def stop(self) -> None:
        """End the server."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.dns is not None:
            self.dns.terminate()
            self.dns.wait(10)

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml")]

    def _command(self, *words: str) -> None:
        subprocess.run(
            [*self._program(), *words],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )


def warm(server: Peer | Posthouse, users: int) -> None:
    """Log every user in once: both sides then stand as they do on an ordinary day, with passwords remembered."""
    port = int(server.ports[server.ports.index("--imap") + 1].rpartition(":")[2])
    for number in range(users):
        client = imaplib.IMAP4("127.0.0.1", port)
        client.login(f"u{number:03d}", "secret")
        client.logout()


def tree(roots: set[int]) -> set[int]:
    """Processes with their descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found, more = set(roots), True
    while more:
        children = {child for child, parent in parents.items() if parent in found} - found
        found |= children
        more = bool(children)
    return found


def cpu_seconds(processes: set[int]) -> float:
    """What they have run so far, in the kernel and outside."""
    ticks = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rest(server: Peer | Posthouse, seconds: float | None = None) -> None:
    """Wait until a server has done what the last test left to its background: it is not the next test's cost."""
    roots = {int(word) for word in server.pidfile.read_text().split()}
    deadline = time.monotonic() + (REST_SECONDS if seconds is None else seconds)
    while time.monotonic() < deadline:
        before = cpu_seconds(tree(roots))
        time.sleep(1)
        if cpu_seconds(tree(roots)) - before < 0.03:
            return
