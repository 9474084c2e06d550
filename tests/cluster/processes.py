"""Nodes as processes: `posthouse serve` with roles, over one database."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.interop.namespace import Namespace

LISTENERS = ("smtp", "imap", "pop3", "submission", "http", "health")


class NodeProcess:
    """One node. `start`, `kill`, `stop`; `address` tells where a listener is."""

    def __init__(
        self, folder: Path, url: str, roles: str, more: str = "", inside: Namespace | None = None
    ) -> None:
        """`more`: of the configuration. `inside`: the host it runs on, else this machine."""
        self.folder = folder
        self.roles = roles
        self._inside = inside
        folder.mkdir(parents=True)
        self.file = folder / "posthouse.toml"
        listen = "\n".join(f'{name} = "127.0.0.1:0"' for name in LISTENERS)
        self.file.write_text(
            f'hostname = "{folder.name}.example.test"\n{more}\n[listen]\n{listen}\n'
            f'[auth]\nplaintext = "always"\n[store]\nurl = "{url}"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: dict[str, list[str]] = {}

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        (self.folder / "ready").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._words("serve", "--roles", self.roles, "--ready-file", str(self.folder / "ready")),
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        assert self.process is not None
        ready, deadline = self.folder / "ready", time.monotonic() + 40
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log())
            time.sleep(0.05)
        self.addresses = json.loads(ready.read_text())["addresses"]

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def address(self, name: str) -> tuple[str, int]:
        host, _, port = self.addresses[name][0].rpartition(":")
        return host, int(port)

    def command(self, *words: str, text: str = "", wait: float = 60) -> str:
        """A command of the administrator's, beside the running node."""
        done = subprocess.run(
            self._words(*words), input=text, capture_output=True, text=True, check=False, timeout=wait
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _words(self, *words: str) -> list[str]:
        whole = [sys.executable, "-m", "posthouse", "-c", str(self.file), *words]
        return self._inside.command(*whole) if self._inside else whole

    def health(self, path: str) -> int:
        host, port = self.address("health")
        with contextlib.suppress(urllib.error.URLError):
            try:
                with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                return refused.code
        return 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None


def start(*nodes: NodeProcess) -> None:
    """Start them all at once."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.wait_until_ready()
