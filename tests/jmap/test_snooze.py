"""Snoozed mail: the house brings it back when its time has come, unread, whoever else has touched it meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthouse.inbound.snooze import KIND, Waker
from tests.house import TestHouse
from tests.jmap.conftest import NOW, Client, letter
from tests.kits.snoozing import comes_back_after_a_restart

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNTIL = {"until": "2027-03-01T08:00:00Z"}
DUE = 1_803_888_000


def waker(client: Client, now: float = DUE) -> Waker:
    return Waker(client.house.app.store, lambda: now)


async def snoozed_box(client: Client) -> str:
    found = await client.call("Mailbox/query", filter={"role": "snoozed"})
    if found["ids"]:
        return str(found["ids"][0])
    made = await client.call("Mailbox/set", create={"s": {"name": "Snoozed", "role": "snoozed"}})
    return str(made["created"]["s"]["id"])


async def snooze(client: Client, email: str, until: Any = UNTIL, **more: Any) -> Any:
    box = await snoozed_box(client)
    patch = {"mailboxIds": {box: True}, "snoozed": until} | more
    return await client.call("Email/set", update={email: patch})


async def where(client: Client, email: str) -> tuple[set[str], set[str], Any]:
    (found,) = await client.get(email, properties=["mailboxIds", "keywords", "snoozed"])
    return set(found["mailboxIds"]), set(found["keywords"]), found["snoozed"]


async def test_it_comes_back_unread_when_its_time_has_come(alice: Client) -> None:
    email = await alice.add(letter("later"), flags=("\\Seen", "\\Flagged"))
    inbox, box = await alice.mailbox("inbox"), await snoozed_box(alice)
    assert not (await snooze(alice, email))["notUpdated"]
    assert await where(alice, email) == ({box}, {"$seen", "$flagged"}, UNTIL)
    assert await waker(alice, DUE - 1).round() == 0
    state = (await alice.call("Email/get", ids=[]))["state"]
    assert await waker(alice).round() == 1
    assert await where(alice, email) == ({inbox}, {"$flagged"}, None)
    assert (await alice.call("Email/changes", sinceState=state))["updated"] == [email]
    assert await waker(alice).round() == 0


async def test_many_at_once(alice: Client) -> None:
    emails = [await alice.add(letter(f"m{i}")) for i in range(5)]
    box = await snoozed_box(alice)
    patch = {"mailboxIds": {box: True}, "snoozed": UNTIL}
    await alice.call("Email/set", update=dict.fromkeys(emails, patch))
    assert await waker(alice).round() == 5
    assert {next(iter((await where(alice, each))[0])) for each in emails} == {await alice.mailbox("inbox")}


async def test_who_moves_it_has_woken_it(alice: Client) -> None:
    email = await alice.add(letter("moved"), flags=("\\Seen",))
    archive = await alice.mailbox("archive")
    await snooze(alice, email)
    await alice.call("Email/set", update={email: {"mailboxIds": {archive: True}}})
    assert await waker(alice).round() == 0
    assert await where(alice, email) == ({archive}, {"$seen"}, None)


async def test_it_is_taken_back_destroyed_or_put_off(alice: Client) -> None:
    taken, gone, later = [await alice.add(letter(each)) for each in ("taken", "gone", "later")]
    for email in (taken, gone, later):
        await snooze(alice, email)
    inbox, box = await alice.mailbox("inbox"), await snoozed_box(alice)
    await alice.call(
        "Email/set", update={taken: {"mailboxIds": {inbox: True}, "snoozed": None}}, destroy=[gone]
    )
    await alice.call("Email/set", update={later: {"snoozed": {"until": "2028-01-01T00:00:00Z"}}})
    assert (await where(alice, taken))[2] is None
    assert await waker(alice).round() == 0
    assert (await where(alice, later))[0] == {box}
    kept = await alice.house.app.store.items(alice.number, KIND)
    assert [f"M{item.item_id}" for item in kept] == [later]


async def test_in_the_inbox_too_it_is_there_once(alice: Client) -> None:
    email = await alice.add(letter("both"))
    inbox, box = await alice.mailbox("inbox"), await snoozed_box(alice)
    await snooze(alice, email, mailboxIds={inbox: True, box: True})
    assert await waker(alice).round() == 1
    assert (await where(alice, email))[0] == {inbox}
    assert (await alice.call("Email/query", filter={"inMailbox": inbox}))["ids"] == [email]


@pytest.mark.parametrize(
    "value",
    [
        *(
            5,
            "2027-03-01T08:00:00Z",
            {},
            {"until": 5},
            {"until": "soon"},
            {"until": "2027-03-01T08:00:00+01:00"},
        ),
        *({"until": "2400-01-01T00:00:00Z"}, {"until": "1960-01-01T00:00:00Z"}, UNTIL | {"more": 1}),
    ],
)
async def test_what_is_no_time(alice: Client, value: Any) -> None:
    email = await alice.add(letter("odd"))
    answer = await snooze(alice, email, value)
    assert answer["notUpdated"][email]["properties"] == ["snoozed"]
    assert (await where(alice, email))[2] is None


async def test_mail_of_others_cannot_be_snoozed(alice: Client, bob: Client) -> None:
    theirs = await bob.add(letter("secret"))
    answer = await snooze(alice, theirs)
    assert answer["notUpdated"][theirs]["type"] == "notFound"
    assert await alice.house.app.store.items(alice.number, KIND, [int(theirs[1:])]) == []
    assert NOW < DUE


@pytest.mark.slow
async def test_it_comes_back_after_a_restart(tmp_path: Path) -> None:
    other = await TestHouse.open(tmp_path)
    try:
        await comes_back_after_a_restart(other)
    finally:
        await other.close()


async def test_the_house_looks_by_itself(alice: Client) -> None:
    (duty,) = [each for each in alice.house.app.house.duties() if each.name == "snoozed mail"]
    assert duty.every + duty.first < 60
    email = await alice.add(letter("soon"))
    await snooze(alice, email, {"until": "2026-01-01T00:00:00Z"})
    await duty.run()
    assert (await where(alice, email))[0] == {await alice.mailbox("inbox")}
