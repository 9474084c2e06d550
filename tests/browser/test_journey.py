"""A day in the webmail, in Chromium against a playground, while IMAP and a second browser watch."""

from __future__ import annotations

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened
from tests.browser.watcher import Watcher


@pytest.mark.slow
@pytest.mark.interop
async def test_journey() -> None:
    needs_browser()
    async with opened() as stage:
        await run_suite("journey", stage, Watcher(stage).answers())
