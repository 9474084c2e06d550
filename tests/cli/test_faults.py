"""What an administrator is told when the disk refuses: the reason, not only that it is so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse.errors import NotFound, StoreUnavailable, told_to_administrators

DISK = 4 * 1024 * 1024


def test_the_reason_is_told_once() -> None:
    fault = StoreUnavailable("not now")
    assert told_to_administrators(fault) == "not now"
    fault.__cause__ = OSError(28, "No space left on device")
    assert told_to_administrators(fault) == "not now ([Errno 28] No space left on device)"
    again = StoreUnavailable("/x: No space left on device")
    again.__cause__ = OSError(28, "No space left on device", "/x")
    assert told_to_administrators(again) == "/x: No space left on device", "and this in other words"
    plain = NotFound("no account x")
    plain.__cause__ = ValueError("account x")
    assert told_to_administrators(plain) == "no account x", "it says so already"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own without any space, and a configuration on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    try:
        (disk / "posthouse.toml").write_text('hostname = "mx.test"\n')
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            for size in (65_536, 4096, 1):
                try:
                    while ballast.write(bytes(size)):
                        pass
                except OSError:
                    continue
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("serve",), ("account", "list")])
def test_a_full_disk_is_named(full_disk: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "posthouse", "-c", str(full_disk / "posthouse.toml"), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "full" in done.stderr or "No space left" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
