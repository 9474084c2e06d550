"""`posthouse playground --tour` tells all four chapters on free ports and ends well."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_tour_tells_four_chapters() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "posthouse", "playground", "--tour"],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout
    for beginning in ("\n1. ", "\n2. ", "\n3. ", "\n4. "):
        assert beginning in said
    assert "S: 235 2.7.0" in said
    assert said.index("mx.south.test", said.index("step by step")) > 0
    assert said.count("S: 550 5.7.1") >= 2
    assert said.count("S: * 1 FETCH (FLAGS") == 3, "the desk is answered; the phone hears of both changes"
    assert '"$flagged": true' in said
    assert "posthouse" not in [line for line in said.splitlines() if "PASS " in line or "LOGIN " in line]
