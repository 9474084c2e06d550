"""Filters of the webmail: rules and scripts by a person's hand."""

from __future__ import annotations

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened

pytestmark = [pytest.mark.slow, pytest.mark.interop]


async def test_filters() -> None:
    needs_browser()
    async with opened() as stage:
        await run_suite("filters", stage)
