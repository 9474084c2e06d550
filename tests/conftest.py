"""What all tests share: what takes long begins first, so that no worker is left alone with it at the end."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that have a test marked `long` in front; all else stays in its order."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)
