"""kill -9 at random instants of an import, of the server below it, of a backup: run again, all is there once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.interop.local import LocalHouse

COUNT = 3_000
KILLS = 8
ALICE = "alice@example.test"


def started(house: LocalHouse, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "posthouse", "-c", str(house.folder / "posthouse.toml"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )


def killed_in_the_middle(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    try:
        process.wait(chance.uniform(0.3, 1.2))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@pytest.mark.slow
def test_whatever_is_killed_everything_is_there_once(tmp_path: Path) -> None:
    chance = random.Random(20261125)
    house = LocalHouse(tmp_path / "house")
    house.configure()
    letters = b"".join(
        b"From x Sun Sep  9 01:46:40 2001\nSubject: %d\n\n%s\n\n" % (n, b"y" * chance.choice((50, 20_000)))
        for n in range(COUNT)
    )
    source = tmp_path / "mail"
    source.write_bytes(letters)
    backup = tmp_path / "backup"
    house.start()
    for number in range(KILLS):
        carrying = started(house, "import", str(source), ALICE)
        if number % 2:
            copying = started(house, "backup", str(backup))
            killed_in_the_middle(copying, chance)
        if number % 4 == 3:
            house.kill()  # the server, under both
            carrying.wait(60)
            house.start()
        else:
            killed_in_the_middle(carrying, chance)
    done = house.command("import", str(source), ALICE, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folders"][0]["before"] > 0, "nothing was cut off"
    subjects = Counter(house.subjects(ALICE))
    assert len(subjects) == COUNT
    assert set(subjects.values()) == {1}
    assert house.command("verify").returncode == 0
    assert house.command("backup", str(backup)).returncode == 0
    assert house.command("verify", "--backup", str(backup)).returncode == 0
    house.stop()
