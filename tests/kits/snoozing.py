"""What every store must do for snoozed mail: a house that was shut while it was due brings it back by itself."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.house import PASSWORDS, TestHouse
from tests.jmap.conftest import Client, letter

ADDRESS: Final = "alice@example.test"
HOUR: Final = timedelta(hours=1)
PATIENCE: Final = 20.0
"""Seconds until it must be back: the house looks a second after its start."""


async def comes_back_after_a_restart(house: TestHouse) -> None:
    """Snooze, shut the house, open it when the time has come; then look by JMAP until the mail is back."""
    client = Client(house, ADDRESS, PASSWORDS[ADDRESS])
    email = await client.add(letter("put off"), flags=("\\Seen",))
    made = await client.call("Mailbox/set", create={"s": {"name": "Snoozed", "role": "snoozed"}})
    box = made["created"]["s"]["id"]
    until = (datetime.now(UTC) + HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"mailboxIds": {box: True}, "snoozed": {"until": until}}
    assert not (await client.call("Email/set", update={email: patch}))["notUpdated"]
    await client.http.aclose()

    await house.restart()
    client = Client(house, ADDRESS, PASSWORDS[ADDRESS])
    assert await place(client, email) == ({box}, True, {"until": until})
    house.app.house.waker.now = lambda: time.time() + 2 * HOUR.total_seconds()
    inbox = await client.mailbox("inbox")
    async with asyncio.timeout(PATIENCE):
        while await place(client, email) != ({inbox}, False, None):
            await asyncio.sleep(0)
    await client.http.aclose()


async def place(client: Client, email: str) -> tuple[set[str], bool, object]:
    """(its mailboxes, whether it is read, until when it is snoozed)."""
    (found,) = await client.get(email, properties=["mailboxIds", "keywords", "snoozed"])
    return set(found["mailboxIds"]), "$seen" in found["keywords"], found["snoozed"]
