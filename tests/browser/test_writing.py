"""What one writes, passes on and files by hand arrives whole, also when the server is away for a while."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened
from tests.browser.witness import Witness, fill


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(900)
async def test_writing() -> None:
    needs_browser()
    async with opened(furnished=False) as stage:
        await asyncio.to_thread(fill, stage)
        await run_suite("writing", stage, Witness(stage).answers())
