"""Vectors that nobody here wrote, read from ../shared/vectors; a test that has none says so and is skipped."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"


def folder(name: str) -> Path:
    """A folder of vectors."""
    path = VECTORS / name
    if not path.is_dir():
        pytest.skip(f"no test vectors here: {path} is absent", allow_module_level=True)
    return path


@functools.cache
def scenarios(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(path.read_text("utf-8"), loader) if document]
