"""Filters of the webmail: rules and scripts by a person's hand."""

from __future__ import annotations

import smtplib

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import opened

pytestmark = [pytest.mark.slow, pytest.mark.interop]


async def test_filters() -> None:
    needs_browser()
    async with opened() as stage:

        def deliver(subject: str) -> None:
            with smtplib.SMTP(*stage.smtp) as stranger:
                letter = (
                    f"From: keeper@fjord.test\r\nTo: alice@north.test\r\nSubject: {subject}\r\n\r\nHello\r\n"
                )
                stranger.sendmail("keeper@fjord.test", ["alice@north.test"], letter)

        await run_suite("filters", stage, {"deliver": deliver})
