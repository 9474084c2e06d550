"""What goes wrong around the webmail (a full disk, a second window, a hostile letter) loses and doubles nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened
from tests.browser.witness import Witness, fill


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(900)
async def test_mishaps() -> None:
    needs_browser()
    async with opened(furnished=False) as stage:
        await asyncio.to_thread(fill, stage)
        await run_suite("mishaps", stage, Witness(stage).answers())
