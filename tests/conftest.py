"""What all tests share: compiled modules, wherever bytecode is not to lie about; and what takes long begins first."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

if sys.dont_write_bytecode:
    # Hundreds of programs are started, and to compile all of Posthouse takes each of them a second of one core.
    # The processes of pytest-xdist and whatever a test starts find this in their environment.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(Path(sys.prefix) / "bytecode")
    sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that have a test marked `long` in front; all else stays in its order."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no garbage collection in the middle of a test looks through it again."""
    gc.collect()
    gc.freeze()
