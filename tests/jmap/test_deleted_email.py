"""Deleted mail comes back where it was, under its id; until then nobody finds it, and it may go for good."""

from __future__ import annotations

import time
from typing import Any

import pytest
import pytest_asyncio

from posthouse import limits
from posthouse.operations.undeleting import Undeleting
from tests.jmap.conftest import NOW, Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def deleted(client: Client, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("DeletedEmail/get", **more))["list"]
    return found


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _nothing_deleted(alice: Client) -> None:
    await alice.call("DeletedEmail/destroy", ids=[each["id"] for each in await deleted(alice, limit=1000)])


async def test_it_is_listed_and_comes_back_with_its_id_and_keywords(alice: Client) -> None:
    name = await alice.add(letter("Minutes of May", "About the bridge."), flags=("\\Seen",))
    before = (await alice.call("Email/get", ids=[]))["state"]
    await alice.call("Email/set", destroy=[name])
    (row,) = await deleted(alice)
    assert abs(row.pop("deletedAt") - time.time()) < 60
    assert row.pop("size") > 100
    assert row == {
        "id": name,
        "receivedAt": NOW,
        "mailbox": "INBOX",
        "from": "Bob <bob@elsewhere.test>",
        "subject": "Minutes of May",
    }
    assert (await alice.call("Email/get", ids=[name]))["notFound"] == [name]
    assert (await alice.call("Email/query", filter={"text": "bridge"}))["ids"] == []
    assert (await alice.call("Email/changes", sinceState=before))["destroyed"] == [name]
    between = (await alice.call("Email/get", ids=[]))["state"]
    back = await alice.call("DeletedEmail/restore", ids=[name, "M999999"])
    assert (back["restored"], back["notFound"]) == ([name], ["M999999"])
    assert (await alice.get(name, properties=["keywords"]))[0]["keywords"] == {"$seen": True}
    assert (await alice.call("Email/query", filter={"text": "bridge"}))["ids"] == [name]
    assert (await alice.call("Email/changes", sinceState=between))["created"] == [name]
    assert await deleted(alice) == []


async def test_the_trash_gives_it_back_to_the_inbox(alice: Client) -> None:
    trash, inbox, archive = [await alice.mailbox(role) for role in ("trash", "inbox", "archive")]
    one, two = (
        await alice.add(letter("One"), mailbox="Trash"),
        await alice.add(letter("Two"), mailbox="Trash"),
    )
    await alice.call("Email/set", destroy=[one, two])
    assert {each["mailbox"] for each in await deleted(alice)} == {"Trash"}
    assert (await alice.call("DeletedEmail/restore", ids=[one]))["restored"] == [one]
    assert (await alice.get(one, properties=["mailboxIds"]))[0]["mailboxIds"] == {inbox: True}
    await alice.call("DeletedEmail/restore", ids=[two], mailboxId=archive)
    assert (await alice.get(two, properties=["mailboxIds"]))[0]["mailboxIds"] == {archive: True}
    assert trash


async def test_a_deleted_folder_can_be_had_back_by_its_mail(alice: Client) -> None:
    made = await alice.call("Mailbox/set", create={"new": {"name": "Plans"}})
    plans = made["created"]["new"]["id"]
    name = await alice.add(letter("A plan"), mailbox="Plans")
    await alice.call("Mailbox/set", destroy=[plans], onDestroyRemoveEmails=True)
    await alice.house.app.store.settle()  # type: ignore[attr-defined]
    assert [(each["id"], each["mailbox"]) for each in await deleted(alice)] == [(name, "Plans")]
    await alice.call("DeletedEmail/restore", ids=[name])
    inbox = await alice.mailbox("inbox")
    assert (await alice.get(name, properties=["mailboxIds"]))[0]["mailboxIds"] == {inbox: True}


async def test_it_goes_for_good_and_is_nobody_elses(alice: Client, bob: Client) -> None:
    name = await alice.add(letter("Secret"))
    await alice.call("Email/set", destroy=[name])
    assert (await bob.call("DeletedEmail/restore", ids=[name]))["notFound"] == [name]
    assert (await bob.call("DeletedEmail/destroy", ids=[name]))["destroyed"] == []
    assert (await alice.call("DeletedEmail/destroy", ids=[name]))["destroyed"] == [name]
    assert (await alice.call("DeletedEmail/restore", ids=[name]))["notFound"] == [name]


async def test_no_more_than_the_account_may_have(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await alice.add(letter("Large", "x" * 2000))
    await alice.call("Email/set", destroy=[name])
    used = (await alice.house.app.store.usage(alice.number)).octets
    alice.house.app.house.store.configure(default_quota=used + 1000, keep_deleted=True)  # type: ignore[attr-defined]
    try:
        assert await alice.error("DeletedEmail/restore", ids=[name]) == "overQuota"
        assert [each["id"] for each in await deleted(alice)] == [name]
    finally:
        alice.house.app.house.store.configure(default_quota=0, keep_deleted=True)  # type: ignore[attr-defined]
    assert (await alice.call("DeletedEmail/restore", ids=[name]))["restored"] == [name]


async def test_an_administrator_brings_back_all_since_a_time(alice: Client) -> None:
    house = alice.house.app.house
    commands = Undeleting(house.store, house.deleted_mail)
    names = [await alice.add(letter(f"Letter {number}")) for number in range(5)]
    await alice.call("Email/set", destroy=names)
    rows = await commands.message_deleted(address="Alice@example.test", since=3600.0)
    assert {row.subject for row in rows} == {f"Letter {number}" for number in range(5)}
    later = Undeleting(house.store, house.deleted_mail, now=lambda: time.time() + 7200)
    assert await later.message_undelete(address="alice@example.test", since=3600.0) == 0
    assert await commands.message_undelete(address="alice@example.test", ids=(rows[0].id,)) == 1
    assert await commands.message_undelete(address="alice@example.test", since=3600.0, into="Archive") == 4
    assert await deleted(alice) == []
    assert len(await alice.get(*names)) == 5


async def test_after_its_time_it_is_tidied_away(alice: Client) -> None:
    house = alice.house.app.house
    name = await alice.add(letter("Old"))
    await alice.call("Email/set", destroy=[name])
    assert await house.deleted_mail.tidy(3600.0) == 0
    assert [each["id"] for each in await deleted(alice)] == [name]
    assert await house.deleted_mail.tidy(-10.0) == 1
    assert await deleted(alice) == []


async def test_so_many_are_listed_and_so_much_of_a_header_is_read(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [await alice.add(letter(f"Letter {number}")) for number in range(3)]
    await alice.call("Email/set", destroy=names)
    monkeypatch.setattr(limits, "DELETED_LISTED", 2)
    assert len(await deleted(alice, limit=10)) == 2
    monkeypatch.setattr(limits, "DELETED_LISTED", 3)
    monkeypatch.setattr(limits, "DELETED_HEADER", len("From: Bob <bob@elsewhere.test>\r\n"))
    rows = await deleted(alice, limit=10)
    assert {(each["from"], each["subject"]) for each in rows} == {("Bob <bob@elsewhere.test>", "")}
