"""Real programs: what they need, and a plain word when they are absent.

In CI (`CI=true`) an absent program fails the run (`.ci/run` checks); elsewhere its tests are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.local import LocalHouse
from tests.interop.namespace import Namespace
from tests.interop.postfix import Postfix

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers"


def absent(what: str) -> None:
    """Skip, or fail where everything must be present."""
    message = f"{what} is not here; scripts/install-peers.sh installs it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def program() -> Iterator[object]:
    """`program("swaks")` is the path of a program."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/lib/dovecot")
        if path is None:
            absent(name)
        assert path is not None
        return path

    yield find


@pytest.fixture
def house(tmp_path: Path) -> Iterator[LocalHouse]:
    """A fresh house on loopback, serving."""
    made = LocalHouse(tmp_path / "house")
    made.configure()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def dovecot(program: Callable[[str], str]) -> Iterator[Dovecot]:
    """Debian's Dovecot, serving an empty account."""
    if os.geteuid() != 0:
        absent("root (for Dovecot)")
    # Not below pytest's own folder, which only root may enter: Dovecot's processes are other users.
    with tempfile.TemporaryDirectory(prefix="posthouse-dovecot-") as folder:
        made = Dovecot(program("dovecot"), Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A network of this test's own: nothing outside it can be reached."""
    if os.geteuid() != 0:
        absent("root (for a network namespace)")
    made = Namespace.make()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def postfix(namespace: Namespace, tmp_path: Path) -> Iterator[Postfix]:
    """Debian's Postfix in the test's namespace, not yet started."""
    if not (PEERS / "usr/lib/postfix/sbin/master").exists():
        absent("Postfix")
    server = Postfix(PEERS, namespace, tmp_path / "postfix")
    try:
        yield server
    finally:
        server.stop()


def run(*words: str, timeout: float = 60, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and keep what it said."""
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, input=text, check=False)
