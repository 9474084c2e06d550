"""What tests say of a program that is not here."""

from __future__ import annotations

import os

import pytest


def absent(what: str) -> None:
    """Skip, or fail in CI, where everything must be present."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not here")
    pytest.skip(f"{what} is not here")
