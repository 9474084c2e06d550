"""Programs that tests start need not compile Posthouse: most of what takes them long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_program_started_by_a_test_finds_modules_compiled() -> None:
    words = [sys.executable, "-c", "from posthouse.message import address; print(address.__cached__)"]
    cached = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()
    assert Path(cached).is_file()
