"""A large mailbox scrolls smoothly.

`make test` takes 5,000 messages and judges by processor time, since other tests share the cores. On a quiet machine
the issue's trace is recorded, where no frame may be late:

    MESSAGES=100000 BROWSER_SHOTS=somewhere pytest tests/browser/test_scroll.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posthouse.store.interface import AddEmail
from posthouse.store.model import Content
from tests.browser.runner import needs_browser, run_suite
from tests.house import PASSWORDS, TestHouse, message

ADDRESS = "alice@example.test"
MESSAGES = int(os.environ.get("MESSAGES", "5000"))
BATCH = 2000


async def fill(house: TestHouse) -> None:
    """MESSAGES conversations of one message each."""
    account = house.accounts[ADDRESS].account_id
    inbox = await house.app.store.mailbox(account, "INBOX")
    assert inbox is not None
    for start in range(0, MESSAGES, BATCH):
        await house.app.store.commit(
            *(
                AddEmail(
                    account_id=account,
                    mailbox_id=inbox.mailbox_id,
                    content=Content.of(message(number)),
                    received_at=1793613600 + number,
                )
                for number in range(start, min(start + BATCH, MESSAGES))
            )
        )


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(1800)
async def test_scrolling(tmp_path: Path) -> None:
    needs_browser()
    house = await TestHouse.open(tmp_path)
    try:
        await fill(house)
        web = f"http://127.0.0.1:{house.port('http')}"
        stage = {
            "web": web,
            "address": ADDRESS,
            "password": PASSWORDS[ADDRESS],
            "count": MESSAGES,
            "record": MESSAGES >= 100_000,
        }
        await run_suite("scroll", stage)
    finally:
        await house.close()
