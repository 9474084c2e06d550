"""Debian's HAProxy as a test needs it."""

from __future__ import annotations

import shutil
import subprocess
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

    def __init__(self, file: Path, text: str, inside: Namespace | None = None) -> None:
        """`file`: where the configuration is written. `inside`: the host it runs on, else this machine."""
        file.write_text(text)
        words = [haproxy(), "-f", str(file), "-db"]
        self._words = inside.command(*words) if inside else words
        self._log = file.with_suffix(".log")

    def __enter__(self) -> Balancer:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
