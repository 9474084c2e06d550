"""The wheel is whole: unpacked anywhere, it works without this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=os.environ | environment,
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_works_by_itself(tmp_path: Path) -> None:
    options = ("-q", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run("-m", "pip", "wheel", *options, "-w", str(tmp_path / "wheel"), str(ROOT))
    (wheel,) = (tmp_path / "wheel").glob("posthouse-*.whl")
    place = tmp_path / "place"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(place)
    assert not [name for name in names if name.startswith("tests/") or name.endswith(".pyc")]
    packaged = {name for name in names if name.startswith("posthouse/")}
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "posthouse").rglob("*")
        if path.is_file() and path.suffix in (".py", ".sql", ".html", ".typed")
    }
    assert sources <= packaged
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "posthouse = posthouse.cli:main" in (place / points).read_text()
    assert "posthouse = posthouse.pytest_plugin" in (place / points).read_text()

    where = run("-c", "import posthouse; print(posthouse.__file__)", PYTHONPATH=str(place))
    assert Path(where.strip()).is_relative_to(place)
    house = tmp_path / "house"
    file = house / "posthouse.toml"
    house.mkdir()
    file.write_text('hostname = "mx.example.test"\n[dns]\nservers = ["127.0.0.1:9"]\ntimeout = 0.1\n')
    words = ("-m", "posthouse", "-c", str(file))
    run(*words, "domain", "add", "example.test", PYTHONPATH=str(place))
    run(*words, "account", "add", "you@example.test", "--password", "secret", PYTHONPATH=str(place))
    assert "you@example.test" in run(*words, "account", "list", PYTHONPATH=str(place))
