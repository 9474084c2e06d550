"""A mail client beside the browser that also brings odd messages and counts; and a folder of ordinary letters."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Final

from tests.browser.stage import Stage, connect
from tests.browser.watcher import PATIENCE, Watcher

ALICE: Final = "alice@north.test"
LETTERS: Final = 70
"""More than the webmail asks for at once (60), so that the oldest stand beyond what a list loads first."""


class Witness(Watcher):
    """Every method opens a connection of its own."""

    def answers(self) -> dict[str, Callable[..., Any]]:
        """The questions that suites may ask."""
        return super().answers() | {
            name: getattr(self, name) for name in ("append", "count", "until_count", "write_to")
        }

    def append(self, mailbox: str, flags: str, raw: str) -> None:
        """Put a message into a mailbox of alice, as another client does."""
        client = connect(self._stage, ALICE)
        client.append(f'"{mailbox}"', f"({flags})", None, raw.replace("\n", "\r\n").encode())  # type: ignore[arg-type]
        client.logout()

    def write_to(self, address: str, subject: str) -> int:
        """A stranger's message to an address that it does not name; the reply code to RCPT or to the text."""
        letter = f"From: shop@fjord.test\r\nTo: customers@fjord.test\r\nSubject: {subject}\r\n\r\nHello\r\n"
        with smtplib.SMTP(*self._stage.smtp) as client:
            try:
                client.sendmail("shop@fjord.test", [address], letter)
            except smtplib.SMTPRecipientsRefused as refused:
                return refused.recipients[address][0]
        return 250

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
