"""A network namespace that a test makes, uses and removes: real port 25, its own resolv.conf, no way out."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PORTS = (10_000, 32_000)
"""Below those that connections get (ip_local_port_range)."""
_given: set[int] = set()
ROOT = Path(__file__).resolve().parents[2]
FOLDERS = Path("/etc/netns")


class Namespace:
    """Addresses live on its loopback device; `run` and `spawn` start programs inside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def make(cls) -> Namespace:
        """A fresh namespace with loopback up and the name server at 127.0.0.1."""
        made = cls(f"posthouse-{secrets.token_hex(4)}")
        subprocess.run(["ip", "netns", "add", made.name], check=True)
        made._ip("link", "set", "lo", "up")
        folder = FOLDERS / made.name
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        return made

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def add_address(self, address: str) -> None:
        """Give the namespace one more address (TEST-NET, RFC 5737)."""
        self._ip("addr", "add", f"{address}/32", "dev", "lo")

    def command(self, *words: str) -> list[str]:
        """The words that run a program inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, timeout: float = 120, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout, check=False, **options
        )  # type: ignore[call-overload, no-any-return]

    def spawn(self, *words: str, log: Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a program inside; it is ended with the namespace."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            self.command(*words), stdout=log.open("ab"), stderr=subprocess.STDOUT, cwd=cwd, env=environment
        )
        self._processes.append(process)
        return process

    def serve_dns(self, zones: dict[str, str], folder: Path) -> None:
        """Answer for these zones (below `test`) at 127.0.0.1 port 53."""
        path = folder / "zones.json"
        path.write_text(json.dumps(zones))
        script = Path(__file__).with_name("serve_zones.py")
        self.spawn(sys.executable, str(script), str(path), log=folder / "dns.log")
        self.wait_for(lambda: "ready" in (folder / "dns.log").read_text(), "the name server")

    def is_listening(self, address: str, port: int) -> bool:
        """Whether something accepts connections there."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), 2).close()"
        return self.run(sys.executable, "-c", code).returncode == 0

    def wait_for(self, ready: object, what: str, seconds: float = 30) -> None:
        """Poll a condition; fail with its name when it does not come true."""
        assert callable(ready)
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds:g} s")
            time.sleep(0.05)

    def remove(self) -> None:
        """End what was started here and remove the namespace."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False)
        shutil.rmtree(FOLDERS / self.name, ignore_errors=True)


def make_user(name: str) -> None:
    """A system user with a group of its own, as a Debian package would make it."""
    subprocess.run(["groupadd", "-rf", name], check=True)
    try:
        pwd.getpwnam(name)
    except KeyError:
        words = ["useradd", "-r", "-g", name, "-d", "/nonexistent", "-s", "/usr/sbin/nologin", name]
        subprocess.run(words, check=True)


def reachable(folder: Path) -> None:
    """Make a folder, and let the users of mail programs pass through all that is above it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.parents):
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o011 != 0o011:
            path.chmod(status.st_mode | 0o011)


def free_port() -> int:
    """A port that nobody listens on now, and that the system gives to no connection while a server is restarted.

    Never the same one twice; of several workers each has its own share.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.randrange(PORTS[0] + worker, PORTS[1], workers)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
