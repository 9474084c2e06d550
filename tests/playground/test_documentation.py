"""The examples of docs/playground.md run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "playground.md").read_text()
WITH_PYTEST, BY_HAND = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

pytestmark = [pytest.mark.slow]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )


def test_the_fixtures_are_there_without_asking(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(WITH_PYTEST)
    done = run(tmp_path, "-m", "pytest", "-q", "-W", "error::pytest.PytestUnknownMarkWarning")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "2 passed" in done.stdout


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(BY_HAND)
    done = run(tmp_path, "example.py")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_plug_in_imports_nothing_before_it_is_used() -> None:
    text = "import sys, posthouse.pytest_plugin; print([n for n in sys.modules if n.startswith(('dns', 'uvloop'))])"
    done = run(Path(), "-c", text)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
