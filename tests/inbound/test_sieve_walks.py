"""Real scripts on mail that comes by SMTP, over the embedded store."""

from __future__ import annotations

import pytest

from tests.inbound.office import Office
from tests.kits.sieve_walks import WALKS, Walk


@pytest.mark.parametrize("walk", WALKS)
async def test_a_script_does_what_it_says(office: Office, walk: Walk) -> None:
    await walk(office)
