"""For how long a folder keeps its mail is said in the browser; the house obeys, and mail programs see it."""

from __future__ import annotations

import asyncio
import imaplib
from pathlib import Path

import pytest

from posthouse.config import Store
from posthouse.store.retention import DAY
from tests.browser.runner import needs_browser, run_suite
from tests.browser.test_sharing import letter
from tests.house import PASSWORDS, TestHouse

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.mark.slow
@pytest.mark.interop
async def test_keeping(tmp_path: Path) -> None:
    needs_browser()
    house = await TestHouse.open(tmp_path, store=Store(trash_days=30))
    loop = asyncio.get_running_loop()

    def login() -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", house.port("imap"))
        client.login(ALICE, PASSWORDS[ALICE])
        return client

    def put(mailbox: str, subject: str, flags: str = "") -> None:
        with login() as client:
            client.create(mailbox)
            status, _ = client.append(mailbox, flags, "", letter(subject, f"About {subject}."))
            assert status == "OK"

    def subjects(mailbox: str) -> list[str]:
        with login() as client:
            client.select(mailbox, readonly=True)
            found = client.search(None, "ALL")[1][0].decode().replace(" ", ",")
            rows = client.fetch(found, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if found else []
            return [row[1].decode().removeprefix("Subject: ").strip() for row in rows if len(row) == 2]

    def hour() -> int:
        """What the house does every hour."""
        return asyncio.run_coroutine_threadsafe(house.app.house.retaining.round(), loop).result(30)

    try:
        for subject, flags in (("Old tide", ""), ("Older tide", ""), ("Dear tide", "\\Flagged")):
            await asyncio.to_thread(put, "News", subject, flags)
        house.app.house.clock.advance(40 * DAY)
        await asyncio.to_thread(put, "News", "New tide")
        await asyncio.to_thread(put, "Trash", "Thrown away")
        stage = {
            "web": f"http://127.0.0.1:{house.port('http')}",
            "people": {name: PASSWORDS[name] for name in (ALICE, BOB)},
        }
        await run_suite("keeping", stage, {"subjects": subjects, "hour": hour})
    finally:
        await house.close()
