"""Whom one has written to: learnt from every door, forgettable, and not learnt when one does not want it."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import Any

import pytest

from tests.jmap.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


def send(client: Client, to: str, *, recipients: list[str] | None = None, **fields: str) -> None:
    """By port 587, as a mail program does."""
    message = EmailMessage()
    message["From"] = "alice@example.test"
    message["To"] = to
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello.")
    with smtplib.SMTP("127.0.0.1", client.house.port("submission"), timeout=20) as smtp:
        smtp.starttls()
        smtp.login("alice@example.test", "wonderland")
        smtp.send_message(message, to_addrs=recipients)


async def sent(client: Client, to: str, **more: Any) -> None:
    import asyncio

    await asyncio.to_thread(lambda: send(client, to, **more))


async def learnt(client: Client) -> list[tuple[str, str | None, int]]:
    found = (await client.call("LearntAddress/get"))["list"]
    return [(each["email"], each["name"], each["written"]) for each in found]


async def test_recipients_are_learnt_with_their_names(alice: Client, bob: Client) -> None:
    await sent(alice, "王小明 <Bob@example.test>", recipients=["Bob@example.test", "admin@example.test"])
    await sent(alice, "bob@example.test")
    assert await learnt(alice) == [("bob@example.test", "王小明", 2), ("admin@example.test", None, 1)]
    assert await learnt(bob) == []


async def test_they_are_forgotten(alice: Client) -> None:
    await sent(alice, "bob@example.test", recipients=["bob@example.test", "admin@example.test"])
    gone = await alice.call("LearntAddress/destroy", emails=["BOB@example.test", "nobody@x.test"])
    assert gone["destroyed"] == ["bob@example.test"]
    assert await learnt(alice) == [("admin@example.test", None, 1)]
    await sent(alice, "bob@example.test")
    assert ("bob@example.test", None, 1) in await learnt(alice)
    assert len((await alice.call("LearntAddress/destroy", everything=True))["destroyed"]) == 2
    assert await learnt(alice) == []


async def test_automatic_and_mass_mail_teaches_nothing(alice: Client) -> None:
    await sent(alice, "bob@example.test", Auto_Submitted="auto-replied")
    team = ["bob@example.test"] + [f"bob+{i}@example.test" for i in range(50)]
    await sent(alice, "bob@example.test", recipients=team)
    assert await learnt(alice) == []


async def test_the_setting(alice: Client) -> None:
    await alice.call("Preferences/set", update={"learnAddresses": False})
    await sent(alice, "bob@example.test")
    assert await learnt(alice) == []
    await alice.call("Preferences/set", update={"learnAddresses": None})
    await sent(alice, "bob@example.test")
    assert await learnt(alice) == [("bob@example.test", None, 1)]


async def test_the_browser_teaches_too(alice: Client) -> None:
    identity = (await alice.call("Identity/get"))["list"][0]["id"]
    draft = {
        "mailboxIds": {await alice.mailbox("drafts"): True},
        "from": [{"email": "alice@example.test"}],
        "to": [{"name": "Bob B.", "email": "bob@example.test"}],
        "subject": "x",
    }
    answer = await alice.calls(
        ("Email/set", {"create": {"m": draft}}),
        ("EmailSubmission/set", {"create": {"s": {"emailId": "#m", "identityId": identity}}}),
    )
    assert answer[1][1]["created"], answer
    assert await learnt(alice) == [("bob@example.test", "Bob B.", 1)]


@pytest.mark.parametrize("arguments", [{}, {"emails": [], "everything": True}, {"emails": 5}])
async def test_what_to_forget_must_be_said(alice: Client, arguments: Any) -> None:
    assert await alice.error("LearntAddress/destroy", **arguments) == "invalidArguments"
