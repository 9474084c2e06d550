"""One post office for all attacks of a module, so that they also meet what earlier ones left behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.attack.besieged import Besieged


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Open, with alice and bob."""
    folder = tmp_path_factory.mktemp("besieged")
    house = Besieged(folder)
    house.open()
    yield house
    house.close()
    shutil.rmtree(folder)  # attacks leave much behind, and pytest would keep it to the end
