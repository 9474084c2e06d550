"""What goes wrong around the webmail (a full disk, a second window, a hostile letter) loses and doubles nothing."""

from __future__ import annotations

import asyncio
import time
from email.message import EmailMessage

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import Stage, connect, opened
from tests.browser.watcher import PATIENCE, Watcher

ALICE = "alice@north.test"
LETTERS = 70
"""More than the webmail asks for at once (60), so that the oldest stand beyond what a list loads first."""


class Mishaps(Watcher):
    """A mail client that also brings odd messages and counts."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._stage = stage

    def append(self, mailbox: str, flags: str, raw: str) -> None:
        """Put a message into a mailbox of alice, as another client does."""
        client = connect(self._stage, ALICE)
        client.append(f'"{mailbox}"', f"({flags})", None, raw.replace("\n", "\r\n").encode())  # type: ignore[arg-type]
        client.logout()

    def count(self, address: str, mailbox: str, subject: str) -> int:
        """How many messages with a subject a mailbox has."""
        client = connect(self._stage, address)
        client.select(f'"{mailbox}"')
        found = client.uid("SEARCH", "SUBJECT", f'"{subject}"')[1][0].split()
        client.logout()
        return len(found)

    def until_count(self, address: str, mailbox: str, subject: str, wanted: int) -> int:
        """The same, as soon as it is what it should be, or at last."""
        end = time.monotonic() + PATIENCE
        while (found := self.count(address, mailbox, subject)) != wanted and time.monotonic() < end:
            time.sleep(0.1)
        return found


def fill(stage: Stage) -> None:
    """A folder of ordinary letters."""
    client = connect(stage, ALICE)
    for number in range(LETTERS):
        made = EmailMessage()
        made["From"], made["To"] = f"Writer {number} <writer{number}@road.test>", ALICE
        made["Subject"] = f"Letter {number:03d}"
        made["Message-ID"] = f"<letter{number}@road.test>"
        made.set_content(f"This is letter {number}.")
        client.append("INBOX", "()", None, made.as_bytes())  # type: ignore[arg-type]
    client.logout()


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(900)
async def test_mishaps() -> None:
    needs_browser()
    async with opened(furnished=False) as stage:
        await asyncio.to_thread(fill, stage)
        watcher = Mishaps(stage)
        more = {"append": watcher.append, "count": watcher.count, "until_count": watcher.until_count}
        await run_suite("mishaps", stage, watcher.answers() | more)
