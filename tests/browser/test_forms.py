"""Settings, contacts and administration under bad luck: nothing typed is lost, nothing done twice, faults are told."""

from __future__ import annotations

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened
from tests.browser.witness import Witness


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(900)
async def test_forms() -> None:
    needs_browser()
    async with opened(furnished=False, administered=True) as stage:
        await run_suite("forms", stage, Witness(stage).answers())
