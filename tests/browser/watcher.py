"""What IMAP and SMTP see and do, for the checks in the browser."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable
from typing import Any, Final

from tests.browser.stage import Stage, connect

PATIENCE: Final = 10.0


class Watcher:
    """A mail client beside the browser. Every method opens a connection of its own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def answers(self) -> dict[str, Callable[..., Any]]:
        """The questions that suites may ask."""
        names = (
            "is_in",
            "until_in",
            "until_flag",
            "until_no_flag",
            "store",
            "move",
            "deliver",
            "source",
        )
        return {name: getattr(self, name) for name in names}

    def _look(self, address: str, mailbox: str, subject: str) -> tuple[bytes, bytes] | None:
        """(UID, flags) of the message with a subject."""
        client = connect(self._stage, address)
        try:
            client.select(f'"{mailbox}"')
            found = client.uid("SEARCH", "SUBJECT", f'"{subject}"')[1][0]
            if not found:
                return None
            uid = found.split()[-1]
            return uid, client.uid("FETCH", uid, "(FLAGS)")[1][0]
        finally:
            client.logout()

    def _until(self, true: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                return False
        return True

    def is_in(self, address: str, mailbox: str, subject: str) -> bool:
        """Whether the mailbox holds it now."""
        return self._look(address, mailbox, subject) is not None

    def until_in(self, address: str, mailbox: str, subject: str) -> bool:
        """Whether the mailbox comes to hold it."""
        return self._until(lambda: self.is_in(address, mailbox, subject))

    def until_flag(self, address: str, mailbox: str, subject: str, flag: str) -> bool:
        """Whether it gets a flag."""

        return self._until(lambda: self._has_flag(address, mailbox, subject, flag))

    def until_no_flag(self, address: str, mailbox: str, subject: str, flag: str) -> bool:
        """Whether it loses a flag."""
        return self._until(lambda: not self._has_flag(address, mailbox, subject, flag))

    def _has_flag(self, address: str, mailbox: str, subject: str, flag: str) -> bool:
        found = self._look(address, mailbox, subject)
        return found is not None and flag.encode() in found[1]

    def source(self, address: str, mailbox: str, subject: str) -> str:
        """The message as it came, unfolded."""
        found = self._look(address, mailbox, subject)
        assert found is not None
        client = connect(self._stage, address)
        client.select(f'"{mailbox}"')
        raw: bytes = client.uid("FETCH", found[0], "(BODY.PEEK[])")[1][0][1]
        client.logout()
        return raw.decode().replace("\r\n ", " ").replace("\r\n\t", " ")

    def store(self, address: str, mailbox: str, subject: str, flag: str, sign: str = "+") -> float:
        """Set a flag, or take it away; when the OK was there (milliseconds)."""
        found = self._look(address, mailbox, subject)
        assert found is not None
        client = connect(self._stage, address)
        client.select(f'"{mailbox}"')
        client.uid("STORE", found[0], f"{sign}FLAGS", f"({flag})")
        moment = time.time() * 1000
        client.logout()
        return moment

    def move(self, address: str, source: str, target: str, subject: str) -> None:
        """Move it."""
        found = self._look(address, source, subject)
        assert found is not None
        client = connect(self._stage, address)
        client.select(f'"{source}"')
        client.uid("COPY", found[0], f'"{target}"')
        client.uid("STORE", found[0], "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.logout()

    def deliver(self, subject: str) -> float:
        """A stranger's mail to alice, by SMTP; when the 250 was there (milliseconds)."""
        with smtplib.SMTP(*self._stage.smtp) as client:
            text = f"From: Post Rider <rider@road.test>\r\nTo: alice@north.test\r\nSubject: {subject}\r\n\r\nHello.\r\n"
            client.sendmail("rider@road.test", ["alice@north.test"], text)
            return time.time() * 1000
