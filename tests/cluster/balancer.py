"""Debian's HAProxy as a test needs it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.cluster.absent import absent
from tests.interop.namespace import Namespace

HAPROXY: Final = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def haproxy() -> str:
    """The program; skips the test where there is none."""
    if HAPROXY is None:
        absent("HAProxy (scripts/install-peers.sh)")
    assert HAPROXY is not None
    return HAPROXY


class Balancer:
    """One HAProxy with a configuration, while it is entered."""

    def __init__(
        self, file: Path, text: str, address: tuple[str, int], inside: Namespace | None = None
    ) -> None:
        """`file`: where the configuration is written. `address`: one of those where it then listens.

        `inside`: the host it runs on, else this machine.
        """
        file.write_text(text)
        words = [haproxy(), "-f", str(file), "-db"]
        self._words = inside.command(*words) if inside else words
        self._address = address
        self._log = file.with_suffix(".log")

    def __enter__(self) -> Balancer:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text()[-2000:])
            time.sleep(0.02)
        return self

    def down(self, server: str) -> set[str]:
        """The backends in which it is not asked any more, by what HAProxy says."""
        said = re.findall(rf"Server (\S+)/{server} is (DOWN|UP)", self._log.read_text())
        return {backend for backend, state in dict(said).items() if state == "DOWN"}

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self._address) == 0

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
