"""HTML mails that attack their reader: nothing runs, nothing loads, nothing leaves the frame."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import msgspec
import pytest

from tests.browser.hostile import letters
from tests.browser.runner import needs_browser, run_suite
from tests.browser.stage import Stage, connect, opened

TOGETHER = 12
"""Letters of one conversation: all are unread, so all are shown at once."""


def put(stage: Stage) -> tuple[int, int]:
    """All letters into alice's inbox; how many there are, in how many conversations."""
    client = connect(stage, "alice@north.test")
    cases = [
        (
            "A picture from elsewhere",
            '<p>Look</p><img src="https://pictures.test/a.png" width="40" height="40">',
        )
    ]
    cases += [(f"case {number:03d}", html) for number, html in enumerate(letters())]
    for number, (name, html) in enumerate(cases):
        first = (number - 1) // TOGETHER * TOGETHER + 1
        made = EmailMessage()
        made["From"], made["To"] = f"{name} <mallory@evil.test>", "alice@north.test"
        made["Subject"] = name if number == 0 else f"cases from {first}"
        made["Message-ID"] = f"<{number}@evil.test>"
        if number > first:
            made["References"] = f"<{first}@evil.test>"
        made.set_content(html, subtype="html", cte="base64")
        client.append("INBOX", "()", None, made.as_bytes())  # type: ignore[arg-type]
    client.logout()
    return len(cases), 1 + -(-(len(cases) - 1) // TOGETHER)


def test_there_are_enough_cases() -> None:
    assert len(set(letters())) >= 150


@pytest.mark.slow
@pytest.mark.interop
async def test_hostile_letters() -> None:
    needs_browser()
    async with opened(furnished=False) as stage:
        count, conversations = await asyncio.to_thread(put, stage)
        more = {"count": count, "conversations": conversations}
        await run_suite("hostile", msgspec.to_builtins(stage) | more)
